"""Calendar factors to Hazelcast: session, settlement, expiry, halving cycle, moon.

The asset, its schedule and its check belong here; the rules belong in
dolphin_realtime/model/factors/calendar.py. In a replay the market clock is the newest
scan's; the document says which clock was used.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg
import msgspec

from dolphin_dagster import checks
from dolphin_dagster.factors.exchange_sessions import next_open, session_at
from dolphin_dagster.factors.market_clock import market_now
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job, schedule_of
from dolphin_dagster.resources import Grid, Stack
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model.factors.calendar import (
    CalendarDocument,
    CalendarFactors,
    calendar_factors,
)

NAME: Final = "calendar_factors"
MAX_AGE: Final = timedelta(minutes=65)
IS_WHOLE: Final = "document_is_whole"


def document(factors: CalendarFactors, clock: str, pushed_at: datetime) -> CalendarDocument:
    """Return `esof_latest` as it goes on the wire."""
    fields = msgspec.structs.asdict(factors)
    return CalendarDocument(**fields, market_clock=clock, pushed_at=pushed_at)


def _is_whole(found: dict[str, Any] | None, now: datetime) -> tuple[bool, dict[str, Any]]:
    if found is None:
        return False, {"age_s": -1.0, "missing": "the whole document"}
    missing = [f for f in CalendarFactors.__struct_fields__ if f not in found]
    age_s = wire.age_s(found.get("_pushed_at"), now)
    is_fresh = age_s is not None and age_s <= MAX_AGE.total_seconds()
    facts = {"age_s": age_s if age_s is not None else -1.0, "limit_s": MAX_AGE.total_seconds()}
    return is_fresh and not missing, {**facts, "missing": ", ".join(missing) or "nothing"}


@dg.asset(
    name=NAME,
    group_name="indicators",
    pool=pools.INDICATORS,
    owners=["team:dolphin"],
    kinds={"python"},
    retry_policy=dg.RetryPolicy(max_retries=2, delay=10),
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3)),
    description=(
        "Weekday, session, minutes to funding, days to expiry, New York's trading hours, halving "
        "cycle and moon phase at the market time, pushed to `DOLPHIN_FEATURES/esof_latest`. The "
        "moon phase is only reported; the signal does not use it."
    ),
)
def calendar_factors_asset(stack: Stack, grid: Grid) -> dg.MaterializeResult[None]:
    """Compute the current factors and push them."""
    clock, wall = stack.settings.market_clock, datetime.now(UTC)
    moment = market_now(grid, clock, wall)
    factors = calendar_factors(moment, session_at(moment), next_open(moment))
    grid.put(maps.FEATURES, maps.LATEST_CALENDAR, document(factors, clock, wall))
    return dg.MaterializeResult(
        metadata={
            "gate": factors.gate,
            "minutes_to_funding": factors.minutes_to_funding,
            "days_to_expiry": factors.days_to_expiry,
            "halving_fraction": factors.halving_fraction,
            "moon_phase": factors.moon_phase,
            "new_york_is_open": factors.new_york_is_open,
            "minutes_to_new_york": factors.minutes_to_new_york,
            "sessions": ", ".join(factors.sessions) or "none",
            "as_of": dg.MetadataValue.timestamp(factors.as_of.timestamp()),
            "market_clock": clock,
        }
    )


@dg.asset_check(
    asset=calendar_factors_asset,
    name=IS_WHOLE,
    pool=pools.INDICATORS,
    description=checks.describe(
        NAME, IS_WHOLE, "`esof_latest` is younger than 65 minutes and holds every field."
    ),
)
def document_is_whole(grid: Grid) -> dg.AssetCheckResult:
    """Check the document in the grid."""
    passed, facts = _is_whole(grid.get(maps.FEATURES, maps.LATEST_CALENDAR), datetime.now(UTC))
    return checks.result(NAME, IS_WHOLE, passed, facts)


calendar_factors_job = asset_job(
    NAME, pools.INDICATORS, 300, "Compute and push the calendar factors."
)

calendar_factors_schedule = schedule_of(
    calendar_factors_job,
    "*/30 * * * *",
    "Every half hour: the document's lifetime is 65 minutes.",
)


def definitions(_settings: Settings) -> dg.Definitions:
    """Return the definitions of the calendar factors."""
    return dg.Definitions(
        assets=[calendar_factors_asset],
        asset_checks=[document_is_whole],
        jobs=[calendar_factors_job],
        schedules=[calendar_factors_schedule],
    )
