"""Checks of an indicator's readings: fresh, in range, no leap, its source answering. Pure.

They judge what the grid holds, after a good run and after a failed one alike.
"""

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from dolphin_dagster.checks import Facts, Verdict
from dolphin_dagster.factors.indicator import RATIO, Indicator, Quantity
from dolphin_realtime.factors.source_memory import CircuitBreaker
from dolphin_realtime.model.factors.document import FactorReading, Key, Readings

IS_FRESH: Final = "is_fresh"
IS_IN_RANGE: Final = "is_in_range"
AGREES: Final = "agrees_with_history"
ANSWERS: Final = "source_answers"
MEANS: Final = {
    IS_FRESH: "Every reading is within its lifetime by the wall's clock.",
    IS_IN_RANGE: "Every reading lies where this factor usually does.",
    ANSWERS: "The last run got a good answer.",
    AGREES: "No reading leaps further from the one before than this factor usually does.",
}
SHOWN: Final = 5
FAR: Final = 1e6


def own(indicator: Indicator, readings: Readings) -> Readings:
    """Return an indicator's readings among all."""
    return {key: r for key, r in readings.items() if key[0] in indicator.names}


def fetched(reading: FactorReading) -> datetime:
    """Return the wall time at which a reading was fetched."""
    return reading.fetched_at or reading.fetch_time


def is_fresh(
    indicator: Indicator, held: Readings, wall: datetime, assets: Collection[str] | None = None
) -> Verdict:
    """Judge the ages of an indicator's readings against their lifetimes.

    Args:
        indicator: Which one.
        held: What the grid holds.
        wall: The wall's time.
        assets: Only readings of these assets are judged: others left the scan. None: all are.
    """
    ages = {
        key: wall - fetched(r)
        for key, r in own(indicator, held).items()
        if assets is None or key[1] is None or key[1] in assets
    }
    missing = sorted(set(indicator.names) - {name for name, _ in ages})
    dead = [_name(key) for key, age in ages.items() if age > indicator.quantity(key[0]).lifetime]
    facts: Facts = {
        "oldest_s": max((age.total_seconds() for age in ages.values()), default=-1.0),
        "lifetime_s": min(q.lifetime.total_seconds() for q in indicator.quantities),
        "readings": len(ages),
        "expired": _list(dead),
        "missing": _list(missing),
    }
    return Verdict(not missing and not dead, facts, summary=_list(missing))


def source_answers(circuit: CircuitBreaker) -> Verdict:
    """Judge an indicator's last run: whether its source gave a good answer."""
    since = circuit.since.isoformat() if circuit.since else "-"
    facts: Facts = {"failures": circuit.failures, "since": since, "error": circuit.error or "none"}
    return Verdict(circuit.failures == 0, facts)


def is_in_range(indicator: Indicator, held: Readings) -> Verdict:
    """Judge values against their usual range."""
    mine = own(indicator, held)
    strange = []
    for key, reading in mine.items():
        low, high = indicator.quantity(key[0]).usual
        if not low <= reading.value <= high:
            strange.append(f"{_name(key)} {reading.value:g} outside {low:g} to {high:g}")
    if not mine:
        strange = ["no reading at all"]
    return Verdict(not strange, {"readings": len(mine), "strange": _list(strange)})


def agrees(indicator: Indicator, held: Readings, before: Readings) -> Verdict:
    """Judge the change of each value from the reading before, where there is one."""
    leaps, largest, compared = [], 0.0, 0
    for key, reading in own(indicator, held).items():
        last = before.get(key)
        if last is None or last.event_time == reading.event_time:
            continue
        compared += 1
        quantity = indicator.quantity(key[0])
        size = leap(quantity, last.value, reading.value)
        largest = max(largest, min(size / quantity.jump, FAR))
        if size > quantity.jump:
            leaps.append(f"{_name(key)} {last.value:g} to {reading.value:g}")
    facts: Facts = {"compared": compared, "largest_of_limit": largest, "leaps": _list(leaps)}
    return Verdict(not leaps, facts)


def leap(quantity: Quantity, before: float, after: float) -> float:
    """Return how far a value moved, as a ratio or a difference, like the quantity's limit."""
    if quantity.jump_kind != RATIO:
        return abs(after - before)
    low, high = sorted((abs(before), abs(after)))
    return high / low if low > 0.0 else (1.0 if high == 0.0 else math.inf)


def is_complete(indicators: Mapping[str, Indicator], held: Readings) -> Verdict:
    """Judge whether the document holds something of every factor."""
    names = {q for indicator in indicators.values() for q in indicator.names}
    missing = sorted(names - {name for name, _ in held})
    expired = sum(r.expired for r in held.values())
    facts: Facts = {"factors": len(names), "readings": len(held), "expired": expired}
    facts["missing"] = ", ".join(missing) or "none"
    return Verdict(not missing, facts, summary=_list(missing))


def _name(key: Key) -> str:
    return f"{key[0]} of {key[1]}" if key[1] else key[0]


def _list(found: list[str]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more or "none"
