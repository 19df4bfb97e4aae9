"""The sensor that requests factors the grid lacks: at a first start, after a restart of the grid.

Schedules fetch a daily factor within hours; this fetches it at once. It requests one run in five
minutes at most, and never asks for what is switched off or for a source that is failing.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

import dagster as dg

from dolphin_dagster.factors.registry import FILL_JOB, external, names
from dolphin_dagster.factors.stack import FactorStack
from dolphin_dagster.factors.toggles import off_now
from dolphin_dagster.factors.verdicts import is_fresh
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import WAITING
from dolphin_dagster.resources import Grid, Stack
from dolphin_realtime.factors.source_memory import wall_now
from dolphin_realtime.grid import maps
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.model.factors.document import Readings

SENSOR_INTERVAL_S: Final = 10
PAUSE_MIN: Final = 5


def lacking(
    held: Readings,
    scanned: Collection[str],
    symbols: Collection[str],
    wall: datetime,
    *,
    has_calendar: bool,
) -> list[str]:
    """Return the indicators of which the grid holds no complete set of fresh readings.

    Args:
        held: What the grid holds.
        scanned: Assets of the newest scan.
        symbols: Assets of the per-symbol factors, from the settings.
        wall: Wall time.
        has_calendar: Whether the grid holds the calendar factors.
    """
    known = {
        name
        for name, indicator in external().items()
        if is_fresh(indicator, held, wall, indicator.expected(scanned, symbols)).passed
    }
    return [n for n in names() if n not in known and (n in external() or not has_calendar)]


def may_ask(stack: FactorStack, name: str) -> bool:
    """Return whether an indicator's source may be asked now: no pause or back-off is in force."""
    one = external().get(name)
    if one is None:
        return True
    return stack.memory.why_waiting(name, one.host, one.cadence, wall_now()) is None


@dg.sensor(
    name="factors_due",
    job_name=FILL_JOB,
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests, in one run, the indicators of which the grid lacks fresh readings.",
)
def factors_due(
    context: dg.SensorEvaluationContext, stack: Stack, grid: Grid
) -> dg.RunRequest | dg.SkipReason:
    """Request the indicators that are lacking, once no run of an indicator is under way."""
    factors, now = FactorStack(stack, grid), wall_now()
    waiting = dg.RunsFilter(tags={pools.QUEUE_TAG: pools.INDICATORS}, statuses=list(WAITING))
    if context.instance.get_runs_count(waiting):
        return dg.SkipReason("runs of indicators are under way")
    try:
        scanned = factors.assets()
        if not scanned:
            return dg.SkipReason("no scan in the grid yet, so neither assets nor a replay's clock")
        has_calendar = grid.get(maps.FEATURES, maps.LATEST_CALENDAR) is not None
        lack = lacking(factors.held(), scanned, factors.symbols, now, has_calendar=has_calendar)
    except GridError as e:
        return dg.SkipReason(f"the grid is away: {e}")
    off = off_now(context.instance)
    due = [n for n in lack if n not in off and may_ask(factors, n)]
    if not due:
        return dg.SkipReason(
            f"nothing is lacking that may be asked: {', '.join(lack) or 'all there'}"
        )
    return dg.RunRequest(
        run_key=f"fill-{now:%Y-%m-%dT%H}-{now.minute // PAUSE_MIN}",
        asset_selection=[dg.AssetKey(name) for name in due],
    )
