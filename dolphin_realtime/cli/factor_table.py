"""The table of `dolphin factors`: one row per reading, or per factor with many assets.

Describing a reading's effect on the signal belongs here; fetching it does not (factors.py).
"""

from datetime import datetime
from statistics import median
from typing import Final

from rich.table import Table

from dolphin_realtime.model import instant
from dolphin_realtime.model.factors.document import (
    DVOL_BTC,
    FUNDING,
    FUNDING_INTERVAL,
    FactorReading,
    Key,
    Readings,
)
from dolphin_realtime.model.signal.gates import Reading as GateReading
from dolphin_realtime.model.signal.gates import dvol_gate, funding_gate

SHOWN: Final = 4
"""A factor with more assets than this is shown as one row, unless --all is given."""
NARROW: Final = 120
"""On narrower terminals the source, the unit and the value's own age are left out."""
EVENT_SHOWN_S: Final = 60.0
BEHIND: Final = ", of "
WEIGHED: Final = {
    FUNDING: "missing: gate 1, nothing booked",
    FUNDING_INTERVAL: "missing: 8 h assumed",
    DVOL_BTC: "missing: gate 1",
}
"""What the signal does without a factor that it weighs."""
REPORTED: Final = "reported"
BILLION: Final = 1e9


def effect(key: Key, reading: FactorReading, now: datetime) -> str:
    """Return what a reading does to the signal at an instant, in words."""
    name = key[0]
    if name not in WEIGHED:
        return REPORTED
    if not reading.is_current(now):
        return WEIGHED[name].replace("missing", "expired")
    if name == FUNDING_INTERVAL:
        return "scales the gate of funding"
    if name == FUNDING:
        long, short = _funding_gates(reading)
        return f"long × {long:.3g}, short × {short:.3g}"
    if reading.percentile_90 is None:
        return "gate 1: fewer than 7 days known"
    gate = dvol_gate(
        GateReading(
            value=reading.value,
            fetch_us=instant.to_us(reading.fetch_time),
            lifetime_s=reading.lifetime_s,
            percentile_90=reading.percentile_90,
        ),
        instant.to_us(now),
    )
    return f"× {gate:.1f} (90th percentile {reading.percentile_90:.2f})"


def table_of(
    readings: Readings, now: datetime, asset: str | None, width: int, *, every: bool
) -> Table:
    """Return the table.

    Args:
        readings: What the grid holds.
        now: The market's time.
        asset: Show per-asset factors of this asset alone; None for all.
        width: Columns of the terminal.
        every: Show each asset of a factor with many assets.
    """
    columns = ["factor", "asset", "value", "unit", "fetched", "lifetime", "source", "effect"]
    kept = [n for n, c in enumerate(columns) if width >= NARROW or c not in ("unit", "source")]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for n in kept:
        name = columns[n]
        table.add_column(
            name, justify="right" if name in ("value", "fetched") else "left",
            no_wrap=name != "effect", overflow="fold",
        )  # fmt: skip
    by_name: dict[str, Readings] = {}
    for key, reading in readings.items():
        if asset is None or key[1] in (None, asset):
            by_name.setdefault(key[0], {})[key] = reading
    for row in _rows(by_name, now, every=every):
        cells = [row[n] for n in kept]
        table.add_row(*(cells if width >= NARROW else [c.split(BEHIND)[0] for c in cells]))
    return table


def _rows(by_name: dict[str, Readings], now: datetime, *, every: bool) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name in sorted({*by_name, *WEIGHED}):
        mine = by_name.get(name, {})
        if not mine:
            rows.append((name, "", "-", "", "never", "-", "-", WEIGHED[name]))
        elif len(mine) > SHOWN and not every:
            rows.append(_summary(name, mine, now))
        else:
            rows += [_row(key, reading, now) for key, reading in mine.items()]
    return rows


def _row(key: Key, reading: FactorReading, now: datetime) -> tuple[str, ...]:
    lifetime = instant.span(reading.lifetime_s) + ("" if reading.is_current(now) else ", expired")
    fetched = instant.span((now - reading.fetch_time).total_seconds())
    behind_s = (reading.fetch_time - reading.event_time).total_seconds()
    if behind_s > EVENT_SHOWN_S:
        fetched += f"{BEHIND}{instant.span(behind_s)} before"
    return (
        key[0], key[1] or "", _number(reading.value), reading.unit, fetched, lifetime,
        reading.source.split("/")[0], effect(key, reading, now),
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value / BILLION:,.2f} bn" if abs(value) >= BILLION else f"{value:.6g}"


def _summary(name: str, mine: Readings, now: datetime) -> tuple[str, ...]:
    """Return one row for a factor of many assets: median, oldest fetch, widest effect."""
    oldest = min(mine.values(), key=lambda r: r.fetch_time)
    row = _row(next(iter(mine)), oldest, now)
    value, unit, said = (
        _number(median(r.value for r in mine.values())),
        f"{row[3]}, median",
        row[-1],
    )
    if unit.startswith("USDT"):
        value, unit = "-", "USDT, by asset"
    if name == FUNDING and oldest.is_current(now):
        gates = [min(_funding_gates(r)) for r in mine.values()]
        said = f"× {min(gates):.3g} to {max(gates):.3g}, by asset"
    return (name, f"{len(mine)} assets", value, unit, *row[4:-1], said)


def _funding_gates(reading: FactorReading) -> tuple[float, float]:
    long, short = (funding_gate(d, reading.value, reading.interval_h) for d in (1, -1))
    return long, short
