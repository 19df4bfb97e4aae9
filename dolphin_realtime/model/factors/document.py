"""`exf_latest`: every current reading of the external factors, and how two writers' meet. Pure.

The document's shape, merging and expiry belong here. Where it lies is the grid's; what the
signal makes of it is gates.py's. Instants are aware UTC, by the market's clock.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

FUNDING: Final = "funding"
FUNDING_INTERVAL: Final = "funding_interval"
DVOL_BTC: Final = "dvol_btc"
FORGOTTEN: Final = timedelta(days=7)
"""How long after its end a reading of one asset is shown: an asset that left is forgotten then."""
HOUR: Final = timedelta(hours=1)
POSSIBLE_H: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0)
CLOCK_STEP: Final = timedelta(minutes=10)
"""A held reading this much newer than now is of a clock that was set back: it gives way."""

Key = tuple[str, str | None]
"""(name, asset); the asset is None where a factor is of the whole market."""


class FactorReading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value of one factor, as it goes on the wire.

    Attributes:
        unit: Of the value, e.g. "fraction per interval".
        event_time: What instant the value is about.
        fetch_time: Since when it is known; the signal may use it from then on.
        lifetime_s: How long after ``fetch_time`` it may be used.
        expires_at: ``fetch_time`` and ``lifetime_s`` added up.
        source: Host and path it came from.
        expired: True where it was past its lifetime at the last writing; it stays as it is.
        fetched_at: Wall time of the fetch, in a replay alone.
        percentile_90: Of the factor's own last 30 days, where the signal needs it.
        interval_h: Hours between fundings, of a funding rate.
        next_time: When a funding rate is settled next, as the venue said with it.
        simulated: How it was made up; absent for a real one.
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
    """Return the end of a reading's life."""
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

    A held reading that was fetched later than a new one stays: its writer was quicker.

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
    """Return the hours between fundings: as the venue's next instants show, else as it lists them.

    Args:
        rate: A funding rate.
        before: The one before it, with the interval known then; it may be the same one.
        told: The listed interval, asked for every few hours: newer than ``before`` it counts.
    """
    listed = told.value if told else None
    if before is None or before.next_time is None or rate.next_time is None:
        return listed
    if told is not None and told.fetch_time > before.fetch_time:
        return listed
    apart_h = (rate.next_time - before.next_time) / HOUR
    known = before.interval_h or listed
    if known and rate.fetch_time >= before.next_time + known * HOUR and apart_h % known == 0.0:
        return known  # settlements that nobody saw lie between
    hours = apart_h if apart_h > 0.0 else apart_h + (known or 0.0)
    return hours if hours in POSSIBLE_H else known


class FactorsDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """DOLPHIN_FEATURES["exf_latest"] on the wire.

    Attributes:
        readings: By factor: its reading, or its readings by asset.
        market_clock: wall, or replay.
        pushed_at: Wall time of the writing.
        simulated: How readings were made up; absent where all are real.
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
