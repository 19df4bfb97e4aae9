"""From a source's answer to `exf_latest` and to the history on disk.

Vetting observations, turning them into readings and storing these in both places belong here.
The history is written first, so that nothing is lost while the grid is away; if the disk is full,
the grid still gets the readings. A missing document, as after a restart of the grid, begins with
the unexpired readings of the history.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_dagster.factors.ask import REFUSED_MAX, Observation
from dolphin_dagster.factors.indicator import Indicator
from dolphin_dagster.resources import Grid
from dolphin_realtime.factors.store import Row, append, newest
from dolphin_realtime.grid import maps
from dolphin_realtime.model.errors import SourceError, SourceFormatChanged, SourceUnavailable
from dolphin_realtime.model.factors.document import (
    FactorReading,
    FactorsDocument,
    Readings,
    document_of,
    expiry,
    merge,
    readings_of,
)

AHEAD_MAX: Final = timedelta(minutes=5)
"""Clocks differ: an event up to this far in the future is dated at the fetch."""


class Moment(msgspec.Struct, frozen=True):
    """When something was fetched: by the market's clock, and by the wall's in a replay."""

    market: datetime
    wall: datetime | None
    clock: str


def vet(
    indicator: Indicator, found: Sequence[Observation], asked: datetime, now: datetime
) -> tuple[list[Observation], list[str]]:
    """Return what may be published, and why single assets were left out.

    Args:
        indicator: What was asked for.
        found: What was answered.
        asked: The market's time before the question.
        now: The market's time after it.

    Raises:
        SourceUnavailable: If there is nothing, or it is too old.
        SourceFormatChanged: If a value or an instant is out of range, of the whole market or of
            too large a share of the assets.
    """
    if not found:
        raise SourceUnavailable(
            f"{indicator.host}{indicator.path}: the answer holds nothing that was asked for"
        )
    refused: dict[str, SourceError] = {}
    for one in found:
        fault = fault_of(indicator, one, asked, now)
        if fault is not None and one.asset is None:
            raise fault
        if fault is not None and one.asset is not None:
            refused.setdefault(one.asset, fault)
    if len(refused) > REFUSED_MAX * len({one.asset for one in found}):
        raise next(iter(refused.values()))
    kept = [one for one in found if one.asset not in refused]
    return kept, [str(fault) for fault in refused.values()]


def fault_of(
    indicator: Indicator, one: Observation, asked: datetime, now: datetime
) -> SourceError | None:
    """Return why an observation must not be published, None if it may be."""
    where = f"{indicator.host}{indicator.path}"
    field = f"{one.name} of {one.asset}" if one.asset else one.name
    low, high = indicator.quantity(one.name).possible
    if not low <= one.value <= high:
        return SourceFormatChanged(f"{where}: {field} is {one.value!r}: expected {low} to {high}")
    at = one.event_time.isoformat()
    if one.event_time > now + AHEAD_MAX:
        return SourceFormatChanged(f"{where}: time of {field} is {at}: after {now.isoformat()}")
    if asked - one.event_time > indicator.event_age_max:
        return SourceUnavailable(
            f"{where}: time of {field} is {at}: older than {indicator.event_age_max} at "
            f"{asked.isoformat()}"
        )
    return None


def readings(
    indicator: Indicator,
    found: Sequence[Observation],
    at: Moment,
    simulated: str | None,
    percentiles: dict[str, float],
) -> Readings:
    """Return readings made of observations; they count as known from the fetch on."""
    made: Readings = {}
    for one in found:
        quantity = indicator.quantity(one.name)
        lifetime_s = quantity.lifetime.total_seconds()
        made[(one.name, one.asset)] = FactorReading(
            value=one.value,
            unit=quantity.unit,
            event_time=min(one.event_time, at.market),
            fetch_time=at.market,
            lifetime_s=lifetime_s,
            expires_at=expiry(at.market, lifetime_s),
            source=f"{indicator.host}{indicator.path}",
            fetched_at=at.wall,
            percentile_90=percentiles.get(one.name),
            next_time=one.next_time,
            simulated=simulated,
        )
    return made


def backfilled(
    indicator: Indicator,
    found: Sequence[Observation],
    lifetime: timedelta,
    wall: datetime,
    simulated: str | None,
) -> list[Row]:
    """Return rows of the past: known from when they could be known, marked as backfilled."""
    rows = []
    for one in found:
        known = one.known_at or one.event_time
        low, high = indicator.quantity(one.name).possible
        if not low <= one.value <= high:
            raise SourceFormatChanged(
                f"{indicator.host}: {one.name} at {one.event_time.isoformat()} is {one.value!r}: "
                f"expected {low} to {high}"
            )
        reading = FactorReading(
            value=one.value,
            unit=indicator.quantity(one.name).unit,
            event_time=one.event_time,
            fetch_time=known,
            lifetime_s=lifetime.total_seconds(),
            expires_at=expiry(known, lifetime.total_seconds()),
            source=f"{indicator.host}{indicator.path}",
            percentile_90=one.percentile_90,
            interval_h=one.interval_h,
            simulated=simulated,
        )
        rows.append(Row(key=(one.name, one.asset), reading=reading, backfilled_at=wall))
    return rows


def publish(
    the_grid: Grid,
    history: Path,
    new: Readings,
    at: Moment,
    pushed_at: datetime,
    learnt: Sequence[Row] = (),
) -> Readings:
    """Append readings to the history, merge them into `exf_latest`, and return its readings.

    Args:
        the_grid: Where the document is.
        history: Folder of the history.
        new: What a source said.
        at: When it was fetched.
        pushed_at: Wall time.
        learnt: Rows of the past that came with it, for the history alone.

    Raises:
        GridError: If the grid is away; the history still gets them.
        OSError: If the history cannot be written; the grid still gets them.
    """
    fault: OSError | None = None
    rows = [Row(key=key, reading=reading) for key, reading in new.items()]
    try:
        append(history, [*rows, *learnt])
    except OSError as e:
        fault = e

    def change(held: dict[str, Any] | None) -> FactorsDocument:
        before = living(history, at.market) if held is None else readings_of(held)
        return document_of(merge(before, new, at.market), at.clock, pushed_at)

    document = the_grid.update(maps.FEATURES, maps.LATEST_FACTORS, change)
    if fault is not None:
        raise fault
    return readings_of({"readings": document.readings})


def living(history: Path, now: datetime) -> Readings:
    """Return the readings of the history that are not expired."""
    return {key: r for key, r in newest(history, now).items() if r.is_current(now)}
