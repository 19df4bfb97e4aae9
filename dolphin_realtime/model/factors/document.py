"""`exf_latest`: the current readings of the external factors, and how two versions merge. Pure.

The document's fields, merging and expiry belong here. Its map is in grid/; its effect on the
signal is in signal/gates.py. Instants are aware UTC, by the market's clock.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

FUNDING: Final = "funding"
FUNDING_INTERVAL: Final = "funding_interval"
DVOL_BTC: Final = "dvol_btc"
FORGOTTEN: Final = timedelta(days=7)
"""How long after its expiry an asset's reading is kept: delisted assets are dropped then."""
HOUR: Final = timedelta(hours=1)
POSSIBLE_H: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0)
CLOCK_STEP: Final = timedelta(minutes=10)
"""A held reading further in the future than this is from before a clock step: it is replaced."""

Key = tuple[str, str | None]
"""(name, asset); the asset is None for a factor of the whole market."""


class FactorReading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value of one factor, as it goes on the wire.

    Attributes:
        unit: Of the value, e.g. "fraction per interval".
        event_time: The instant that the value describes.
        fetch_time: When it became known; the signal may use it from then on.
        lifetime_s: How long after ``fetch_time`` it may be used.
        expires_at: ``fetch_time`` plus ``lifetime_s``.
        source: Host and path it came from.
        expired: Whether it was past its lifetime when the document was last written.
        fetched_at: Wall time of the fetch; set in a replay only.
        percentile_90: 90th percentile of the factor's last 30 days, where the signal needs it.
        interval_h: Hours between settlements, for a funding rate.
        next_time: The next settlement of a funding rate, as the venue sent it with the rate.
        simulated: How the value was simulated; absent for a real one.
    """

    value: float
    unit: str
    event_time: datetime
    fetch_time: datetime
    lifetime_s: float
    expires_at: datetime
    source: str
    expired: bool = False
    fetched_at: datetime | None = None
    percentile_90: float | None = None
    interval_h: float | None = None
    next_time: datetime | None = None
    simulated: str | None = None

    def is_current(self, now: datetime) -> bool:
        """Return whether the reading may be used at an instant."""
        return self.fetch_time <= now <= self.expires_at


def expiry(fetch_time: datetime, lifetime_s: float) -> datetime:
    """Return when a reading expires."""
    return fetch_time + timedelta(seconds=lifetime_s)


Readings = dict[Key, FactorReading]


def readings_of(document: Mapping[str, Any] | None) -> Readings:
    """Return a document's readings by key; one that is malformed is left out."""
    found: Readings = {}
    raw = document.get("readings") if document else None
    for name, value in raw.items() if isinstance(raw, dict) else ():
        if not isinstance(value, dict):
            continue
        is_one = not isinstance(value.get("value", {}), dict)
        parts = {None: value} if is_one else value
        for asset, part in parts.items():
            reading = _convert(part)
            if reading is not None:
                found[(name, asset)] = reading
    return found


def _convert(raw: object) -> FactorReading | None:
    try:
        reading = msgspec.convert(raw, FactorReading)
    except msgspec.ValidationError:
        return None
    instants = (reading.event_time, reading.fetch_time, reading.expires_at)
    return None if any(moment.tzinfo is None for moment in instants) else reading


def merge(held: Readings, new: Readings, now: datetime) -> Readings:
    """Return what a document holds after new readings come in.

    A held reading that was fetched later than the new one is kept.

    Args:
        held: What the document holds.
        new: What a source said.
        now: The market's time, by which lifetimes are judged.
    """
    merged = {
        key: reading
        for key, reading in held.items()
        if key[1] is None or now - reading.expires_at <= FORGOTTEN
    }
    for key, reading in new.items():
        before = held.get(key)
        if before is None or not reading.fetch_time < before.fetch_time <= now + CLOCK_STEP:
            merged[key] = reading
    for (name, asset), reading in merged.items():
        changes: dict[str, Any] = {"expired": now > reading.expires_at}
        if name == FUNDING:
            told = merged.get((FUNDING_INTERVAL, asset))
            told = told if told is not None and told.is_current(now) else None
            changes["interval_h"] = interval_of(reading, held.get((name, asset)), told)
        if any(getattr(reading, field) != value for field, value in changes.items()):
            merged[(name, asset)] = msgspec.structs.replace(reading, **changes)
    return merged


def interval_of(
    rate: FactorReading, before: FactorReading | None, told: FactorReading | None
) -> float | None:
    """Return the hours between settlements: from successive next instants, else as listed.

    Args:
        rate: A funding rate.
        before: The rate before it, with the interval known then; it may be the same reading.
        told: The listed interval, fetched every few hours; it counts if newer than ``before``.
    """
    listed = told.value if told else None
    if before is None or before.next_time is None or rate.next_time is None:
        return listed
    if told is not None and told.fetch_time > before.fetch_time:
        return listed
    apart_h = (rate.next_time - before.next_time) / HOUR
    known = before.interval_h or listed
    if known and rate.fetch_time >= before.next_time + known * HOUR and apart_h % known == 0.0:
        return known  # settlements in between were missed
    hours = apart_h if apart_h > 0.0 else apart_h + (known or 0.0)
    return hours if hours in POSSIBLE_H else known


class FactorsDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """DOLPHIN_FEATURES["exf_latest"] on the wire.

    Attributes:
        readings: By factor: its reading, or its readings by asset.
        market_clock: wall, or replay.
        pushed_at: Wall time when the document was written.
        simulated: How readings were simulated; absent if all are real.
    """

    readings: dict[str, Any]
    market_clock: str
    pushed_at: datetime = msgspec.field(name="_pushed_at")
    simulated: str | None = None


def document_of(readings: Readings, market_clock: str, pushed_at: datetime) -> FactorsDocument:
    """Return `exf_latest` as it goes on the wire."""
    body: dict[str, Any] = {}
    for (name, asset), reading in sorted(readings.items(), key=lambda pair: _order(pair[0])):
        if asset is None:
            body[name] = msgspec.to_builtins(reading)
        else:
            body.setdefault(name, {})[asset] = msgspec.to_builtins(reading)
    notes = sorted({r.simulated for r in readings.values() if r.simulated})
    return FactorsDocument(
        readings=body,
        market_clock=market_clock,
        pushed_at=pushed_at,
        simulated="; ".join(notes) or None,
    )


def _order(key: Key) -> tuple[str, str]:
    return key[0], key[1] or ""
