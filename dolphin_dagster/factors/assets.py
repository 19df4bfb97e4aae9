"""An indicator's asset with its checks, its job and its schedule.

A run calls one function, `refresh`: ask, vet, store. If it fails, the run first reports the
checks of what the grid still holds, then fails with that error.
"""

from collections.abc import Iterator
from datetime import timedelta
from statistics import median
from typing import Any, Final

import dagster as dg
import msgspec

from dolphin_dagster import checks
from dolphin_dagster.factors.indicator import Indicator
from dolphin_dagster.factors.past import history_asset
from dolphin_dagster.factors.publish import backfilled, publish, readings, vet
from dolphin_dagster.factors.stack import FactorStack
from dolphin_dagster.factors.verdicts import (
    AGREES,
    ANSWERS,
    IS_FRESH,
    IS_IN_RANGE,
    MEANS,
    agrees,
    is_fresh,
    is_in_range,
    source_answers,
)
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import WAITING, asset_job
from dolphin_dagster.resources import Grid, Stack
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.factors.source_memory import CircuitBreaker, memory_of, wall_now
from dolphin_realtime.factors.store import newest
from dolphin_realtime.model.errors import GridError, SourceUnavailable
from dolphin_realtime.model.factors.document import Readings
from dolphin_realtime.model.instant import span

RETRIES: Final = 1
RETRY_DELAY_S: Final = 3.0
LEFT_OUT_SHOWN: Final = 5
LEARNT_LIFETIME: Final = timedelta(hours=1)
"""Lifetime of the hourly rows that are kept for percentiles alone."""
MAX_RUNTIME_S: Final = 300
HEADING: Final = "factor"
Result = dg.MaterializeResult[None] | dg.AssetCheckResult


class Refreshed(msgspec.Struct, frozen=True):
    """The result of a run: new readings, all that the grid now holds, what was left out."""

    new: Readings
    held: Readings
    left_out: list[str]


def refresh(indicator: Indicator, stack: FactorStack) -> Refreshed:
    """Ask an indicator's source once and store its answer.

    Raises:
        SourceUnavailable: If the source gives no usable answer.
        SourceFormatChanged: If the answer is not in the expected format.
        GridError: If the grid is away; a good answer is still written to the history.
        OSError: If the history cannot be written; a good answer is still put into the grid.
    """
    ask = stack.ask(indicator)
    found = indicator.fetch(ask)
    percentiles, learnt = indicator.percentiles(ask) if indicator.percentiles else ({}, [])
    at = stack.moment()
    kept, refused = vet(indicator, found, ask.now, at.market)
    stack.memory.keep_circuit(indicator.name, CircuitBreaker())
    new = readings(indicator, kept, at, ask.simulated, percentiles)
    rows = backfilled(indicator, learnt, LEARNT_LIFETIME, wall_now(), ask.simulated)
    held = publish(stack.grid, stack.settings.factors, new, at, wall_now(), rows)
    return Refreshed(new, held, [*ask.left_out, *refused])


def judged(
    indicator: Indicator, stack: FactorStack, held: Readings, before: Readings
) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of an indicator's checks of what the grid holds."""
    found = {
        IS_FRESH: is_fresh(
            indicator, held, wall_now(), indicator.expected(stack.scanned(), stack.symbols)
        ),
        IS_IN_RANGE: is_in_range(indicator, held),
        ANSWERS: source_answers(stack.memory.circuit(indicator.name)),
        AGREES: agrees(indicator, held, before),
    }
    for name, verdict in found.items():
        is_error = indicator.is_weighed and name in (IS_FRESH, IS_IN_RANGE)
        yield checks.result(indicator.name, name, verdict.passed, verdict.facts, is_error=is_error)


def run(
    indicator: Indicator, context: dg.AssetExecutionContext, stack: FactorStack
) -> Iterator[Result]:
    """Refresh an indicator in a Dagster run and yield its materialization and check results.

    Raises:
        dg.Failure: With what went wrong; it is retried only if a second try may succeed.
    """
    began = wall_now()
    before: Readings = {}
    try:
        before = newest(stack.settings.factors, stack.now(), indicator.names)
        done = refresh(indicator, stack)
    except (GridError, OSError) as e:
        raise dg.Failure(f"not the source's fault: {type(e).__name__}: {e}") from e
    except Exception as e:
        may_retry = isinstance(e, SourceUnavailable)
        if context.retry_number >= RETRIES or not may_retry:
            circuit = stack.memory.circuit(indicator.name).failed(began, str(e))
            stack.memory.keep_circuit(indicator.name, circuit)
            yield from _still_held(indicator, stack, before)
        raise dg.Failure(f"{type(e).__name__}: {e}", allow_retries=may_retry) from e
    yield dg.MaterializeResult(
        metadata={
            **metadata(indicator, done.new, stack.symbols),
            "left_out": "; ".join(done.left_out[:LEFT_OUT_SHOWN]) or "nothing",
        }
    )
    yield from judged(indicator, stack, done.held, before)


def _still_held(
    indicator: Indicator, stack: FactorStack, before: Readings
) -> Iterator[dg.AssetCheckResult]:
    """Check what the grid still holds after a failed run, if it can be read."""
    try:
        held = stack.held()
    except GridError as e:
        dg.get_dagster_logger().warning(f"what the grid holds is not judged: {e}")
        return
    yield from judged(indicator, stack, held, before)


def metadata(indicator: Indicator, new: Readings, symbols: list[str]) -> dict[str, Any]:
    """Return what a materialization shows; its numbers become plots."""
    shown: dict[str, Any] = {}
    for quantity in indicator.quantities:
        mine = {asset: r for (name, asset), r in new.items() if name == quantity.name}
        if None in mine:
            shown[quantity.name] = mine[None].value
            if mine[None].percentile_90 is not None:
                shown[f"{quantity.name} percentile 90"] = mine[None].percentile_90
        elif mine:
            shown[f"{quantity.name} median"] = median(r.value for r in mine.values())
            shown |= {f"{quantity.name} {a}": mine[a].value for a in symbols if a in mine}
        shown[f"{quantity.name} unit"] = quantity.unit
    one = max(new.values(), key=lambda r: r.event_time)
    return {
        **shown,
        "readings": len(new),
        "event_age_s": (one.fetch_time - one.event_time).total_seconds(),
        "event_time": dg.MetadataValue.timestamp(one.event_time.timestamp()),
        "source": one.source,
        "simulated": one.simulated or "no",
    }


def _asset(indicator: Indicator) -> dg.AssetsDefinition:
    @dg.asset(
        name=indicator.name,
        group_name="indicators",
        pool=pools.INDICATORS,
        owners=["team:dolphin"],
        kinds={"python"},
        retry_policy=dg.RetryPolicy(
            max_retries=RETRIES, delay=RETRY_DELAY_S, jitter=dg.Jitter.PLUS_MINUS
        ),
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=3 * indicator.cadence + timedelta(minutes=1),
            warn_window=2 * indicator.cadence,
        ),
        check_specs=[
            checks.spec(indicator.name, name, means, HEADING) for name, means in MEANS.items()
        ],
        description=description(indicator),
        metadata={"source": indicator.host, "cadence_s": indicator.cadence.total_seconds()},
    )
    def asset(context: dg.AssetExecutionContext, stack: Stack, grid: Grid) -> Iterator[Result]:
        yield from run(indicator, context, FactorStack(stack, grid))

    return asset


def description(indicator: Indicator) -> str:
    """Return an asset's description: its meaning, and what it publishes with which lifetimes."""
    rows = "\n".join(
        f"- `{q.name}`, {q.unit}; lives {span(q.lifetime.total_seconds())}; "
        f"usual {q.usual[0]:g} to {q.usual[1]:g}"
        for q in indicator.quantities
    )
    return (
        f"{indicator.means}\n\nAsked every {span(indicator.cadence.total_seconds())} of "
        f"`{indicator.host}{indicator.path}`, pushed to `DOLPHIN_FEATURES/exf_latest`:\n\n{rows}"
    )


def _schedule(indicator: Indicator, job: Any, *, is_off: bool) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{indicator.name}_schedule",
        job=job,
        cron_schedule=indicator.cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED
        if is_off
        else dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Asks {indicator.host} every {span(indicator.cadence.total_seconds())}, less often "
            "while it fails."
        ),
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, stack: Stack
    ) -> dg.RunRequest | dg.SkipReason:
        why = why_not(indicator, context, stack.settings)
        return dg.RunRequest() if why is None else dg.SkipReason(why)

    return schedule


def why_not(
    indicator: Indicator, context: dg.ScheduleEvaluationContext, settings: Settings
) -> str | None:
    """Return why a tick should not request a run, None if it should."""
    memory, now = memory_of(settings.run_dir), wall_now()
    waiting = dg.RunsFilter(job_name=f"{indicator.name}_job", statuses=list(WAITING))
    if context.instance.get_runs_count(waiting):
        return "the run before is not over yet"
    return memory.why_waiting(indicator.name, indicator.host, indicator.cadence, now)


def indicator_definitions(
    indicator: Indicator, settings: Settings, *, is_off: bool
) -> dg.Definitions:
    """Return an indicator's asset, job and schedule, and its history where its source has one.

    Args:
        indicator: The indicator.
        settings: Settings of the stack, for the days of the history.
        is_off: Whether the schedule starts switched off.
    """
    job = asset_job(
        indicator.name,
        pools.INDICATORS,
        MAX_RUNTIME_S,
        f"Ask {indicator.host} and push the answer.",
    )
    assets, jobs = [_asset(indicator)], [job]
    if indicator.history is not None:
        past, past_job = history_asset(indicator, indicator.history, settings)
        assets.append(past)
        jobs.append(past_job)
    return dg.Definitions(
        assets=assets, jobs=jobs, schedules=[_schedule(indicator, job, is_off=is_off)]
    )
