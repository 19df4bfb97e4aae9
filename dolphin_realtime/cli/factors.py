"""`dolphin factors`: every indicator's value, age, lifetime, and what it does to the signal."""

import sys
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from dolphin_realtime import grid
from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.inspect import fetch
from dolphin_realtime.model import instant
from dolphin_realtime.model.factor_document import (
    DVOL_BTC,
    FUNDING,
    FUNDING_INTERVAL,
    FactorReading,
    Key,
    Readings,
    readings_of,
)
from dolphin_realtime.model.gates import Reading as GateReading
from dolphin_realtime.model.gates import dvol_gate, funding_gate
from dolphin_realtime.settings import load

WIDE: Final = 140
"""Columns of the table where the output is no terminal."""
SHOWN: Final = 4
"""A factor of more assets than this is one row, unless all are asked for."""
UNWEIGHED: Final = "none: reported"
CALENDAR: Final = (
    "sessions", "is_weekend", "minutes_to_funding", "days_to_expiry", "new_york_is_open",
    "minutes_to_new_york", "halving_fraction", "moon_phase",
)  # fmt: skip


def effect(key: Key, reading: FactorReading, now: datetime) -> str:
    """Return what a reading does to the signal at an instant, in words."""
    name = key[0]
    if name == FUNDING_INTERVAL:
        return "scales the gate of funding"
    if name not in (FUNDING, DVOL_BTC):
        return UNWEIGHED
    if not reading.is_current(now):
        return "none: expired, gate 1"
    if name == FUNDING:
        long, short = _funding_gates(reading)
        return f"long × {long:.3g}, short × {short:.3g}"
    if reading.percentile_90 is None:
        return "none yet: fewer than 7 days known"
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


def _table(document: dict[str, Any], now: datetime, asset: str | None, *, every: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("factor", "asset", "value", "unit", "age", "lifetime", "source", "effect"):
        table.add_column(column, justify="right" if column in ("value", "age") else "left")
    by_name: dict[str, Readings] = {}
    for key, reading in readings_of(document).items():
        if asset is None or key[1] in (None, asset):
            by_name.setdefault(key[0], {})[key] = reading
    for name, mine in by_name.items():
        rows = [_row(key, r, now) for key, r in mine.items()]
        if len(rows) > SHOWN and not every:
            rows = [_summary(name, mine, now)]
        for row in rows:
            table.add_row(*row)
    return table


def _row(key: Key, reading: FactorReading, now: datetime) -> tuple[str, ...]:
    lifetime = instant.span(reading.lifetime_s) + ("" if reading.is_current(now) else ", expired")
    return (
        key[0], key[1] or "", f"{reading.value:.6g}", reading.unit,
        instant.span((now - reading.fetch_time).total_seconds()), lifetime,
        reading.source.split("/")[0], effect(key, reading, now),
    )  # fmt: skip


def _summary(name: str, mine: Readings, now: datetime) -> tuple[str, ...]:
    """Return one row for a factor of many assets: median value, oldest reading, widest effect."""
    oldest = min(mine.values(), key=lambda r: r.fetch_time)
    middle = median(r.value for r in mine.values())
    first = next(iter(mine))
    row = _row(first, oldest, now)
    said = row[-1]
    if name == FUNDING and oldest.is_current(now):
        gates = [min(_funding_gates(r)) for r in mine.values()]
        said = f"× {min(gates):.3g} to {max(gates):.3g}, by asset"
    return (name, f"{len(mine)} assets", f"{middle:.6g}", f"{row[3]}, median", *row[4:-1], said)


def _funding_gates(reading: FactorReading) -> tuple[float, float]:
    long, short = (funding_gate(d, reading.value, reading.interval_h) for d in (1, -1))
    return long, short


def _calendar(document: dict[str, Any] | None) -> None:
    if document is None:
        say("calendar factors: none in the grid; materialize calendar_factors in the Dagster UI")
        return
    shown = ", ".join(f"{name} {_short(document.get(name))}" for name in CALENDAR)
    say(f"calendar at {document.get('as_of')}: × {document.get('gate')}", bold=True)
    say(f"  {shown}")


def _short(value: object) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def market_time(document: dict[str, Any]) -> datetime:
    """Return the market's time: the wall's, or in a replay the newest scan's."""
    scan = grid.decode(fetch(grid.FEATURES, grid.LATEST_SCAN)) or {}
    moment = instant.parse(scan.get("timestamp"))
    return moment if document.get("market_clock") == "replay" and moment else datetime.now(UTC)


@click.command()
@click.option("--asset", help="Of the factors of single assets, those of this one alone.")
@click.option("--all", "every", is_flag=True, help="Factors of many assets asset by asset.")
@click.option("--json", "as_json", is_flag=True, help="Both documents of the grid, one line.")
def factors(asset: str | None, every: bool, as_json: bool) -> None:
    """External and calendar factors: value, unit, age, lifetime, source, effect on the signal.

    A reading past its lifetime stays in the list and does nothing. In a replay, ages are of the
    market's time, which may run faster than the wall's.

    \b
    Example: dolphin factors --asset BTCUSDT
             dolphin factors --json | jq .exf_latest.readings.dvol_btc
    """
    load()
    text = {k: fetch(grid.FEATURES, k) for k in (grid.LATEST_FACTORS, grid.LATEST_CALENDAR)}
    documents = {key: grid.decode(value) for key, value in text.items()}
    found = documents[grid.LATEST_FACTORS]
    if as_json:
        click.echo(msgspec.json.encode(documents).decode())
        sys.exit(0 if found else 1)
    if found is None:
        click.echo(
            "dolphin: no external factor in the grid; are the schedules on (Dagster UI, "
            "Automation), and what do the runs of indicators_job say?",
            err=True,
        )
        _calendar(documents[grid.LATEST_CALENDAR])
        sys.exit(1)
    now = market_time(found)
    clock = ", the replay's clock" if found.get("market_clock") == "replay" else ""
    say(f"external factors at {now.isoformat()}{clock}", bold=True)
    if found.get("simulated"):
        say(f"SIMULATED {found['simulated']}")
    console = Console()
    console = console if console.is_terminal else Console(width=WIDE)
    console.print(_table(found, now, asset, every=every))
    _calendar(documents[grid.LATEST_CALENDAR])
