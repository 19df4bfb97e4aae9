"""Alerts about what Dagster sees: a failed run, a check that turned red, a tick that fails.

One alert is written when something goes wrong and one when it recovers, into the same file as
the realtime services' alerts; the alerter sends them. That file alone records what was reported:
if a cursor or the storage is lost, nothing stays red for ever and nothing is reported twice.
Factors are reported by factors/health.py, since one failed run of a factor may be chance.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import msgspec

from dolphin_dagster import checks
from dolphin_dagster.factors.registry import external
from dolphin_dagster.instance.dagster_internals import (
    AssetGraph,
    InstigatorStatus,
    TickStatus,
)
from dolphin_dagster.instance.jobs import PARTITION_TAG, assets_of
from dolphin_dagster.red_checks import Bad, red_checks, red_days
from dolphin_dagster.resources import Stack
from dolphin_realtime.runtime.alert_log import (
    Alert,
    AlertState,
    note_look,
    read_alerts,
    standing,
    write_alert,
)

NAME: Final = "alerts"
SENSOR_INTERVAL_S: Final = 15
RUN: Final = "run"
TICK: Final = "tick"
RUNBOOK: Final = {
    RUN: f"{checks.RUNBOOK}#when-a-run-failed",
    TICK: f"{checks.RUNBOOK}#when-a-sensor-or-schedule-fails",
}
OVER: Final = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]
OVERLAP: Final = timedelta(minutes=1)
FINISHED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The sensor's cursor.

    Attributes:
        suspected: What was wrong at the last look; it is reported if it still is at this one.
        runs_until: Finished runs are known up to here; None before the first look.
        runs_known: Runs found at the last look, the minute of overlap included.
        checks_until: Results of partitions are known up to here.
    """

    suspected: list[str] = []
    runs_until: datetime | None = None
    runs_known: list[str] = []
    checks_until: int | None = None


def told(home: Path, graph: AssetGraph) -> dict[str, Bad]:
    """Return the active alerts in the alerts file that this sensor wrote, by ``asset:check``."""
    mine = {key.name for key in graph.asset_check_keys if key.asset_key.path[-1] not in external()}
    assets = {key.to_user_string() for key in graph.get_all_asset_keys()} - set(external())
    return {
        f"{asset}:{check}": Bad(str(alert.facts.get("why", "")), alert.runbook, check == RUN)
        for (asset, check), alert in standing(read_alerts(home)).items()
        if check in (RUN, TICK) or (check in mine and asset.split(" ")[0] in assets)
    }


def decide(
    bad: Mapping[str, Bad], red: Mapping[str, Bad], suspects: Collection[str], now: datetime
) -> tuple[list[Alert], dict[str, Bad], list[str]]:
    """Return the alerts to write, what is red from now on, and what is suspected.

    A fault that is over at the next look is not reported.

    Args:
        bad: What is wrong now, by ``asset:check``.
        red: What was reported and is still active.
        suspects: What was wrong at the last look and was not reported.
        now: Wall time.
    """
    sure = {
        name: found
        for name, found in bad.items()
        if name in red or name in suspects or found.is_fact
    }
    new = {name: found for name, found in sure.items() if name not in red}
    well = {name: found for name, found in red.items() if name not in bad}
    raised = [_alert(name, "red", found, now) for name, found in new.items()]
    raised += [
        _alert(name, "recovered", Bad("it is well again", found.runbook), now)
        for name, found in well.items()
    ]
    return raised, sure, [name for name in bad if name not in sure]


def _alert(name: str, state: AlertState, bad: Bad, now: datetime) -> Alert:
    asset, _, check = name.rpartition(":")
    return Alert(
        ts=now, asset=asset, check=check, state=state, facts={"why": bad.why}, runbook=bad.runbook
    )


def works_of(run: dg.DagsterRun) -> set[str]:
    """Return what a run works on: each of its assets, with its partition; factors are left out.

    A job that materializes one asset is named after it, so that a manual Materialize counts as the
    same work.
    """
    names = assets_of(run) - set(external())
    partition = run.tags.get(PARTITION_TAG)
    return {f"{name} {partition}" if partition else name for name in names}


def failed_runs(failed: Mapping[str, Bad], finished: Iterable[dg.DagsterRun]) -> dict[str, Bad]:
    """Return the work whose last run failed, updated by newly finished runs (oldest first)."""
    found = dict(failed)
    for run in finished:
        for work in works_of(run):
            name = f"{work}:{RUN}"
            if run.status == dg.DagsterRunStatus.FAILURE:
                why = f"run {run.run_id} failed: see Runs in the UI"
                found[name] = Bad(why, RUNBOOK[RUN], is_fact=True)
            else:
                found.pop(name, None)
    return found


def finished_since(
    instance: dg.DagsterInstance, last: Memory, now: datetime
) -> tuple[list[dg.DagsterRun], datetime, list[str]]:
    """Return the runs that finished since the last look, the oldest first, and what to remember.

    The storage's timestamps are those of events: an event may be stored after a later one, and
    clocks can be set back. So the last minute is read again, without the runs already seen.
    """
    if last.runs_until is None:
        return [], now, []
    since = min(last.runs_until, now) - OVERLAP
    records = instance.get_run_records(
        dg.RunsFilter(updated_after=since, statuses=FINISHED),
        order_by="update_timestamp",
        ascending=True,
    )
    runs = [record.dagster_run for record in records]
    new = [run for run in runs if run.run_id not in last.runs_known]
    return new, now, [run.run_id for run in runs]


def failing_ticks(
    instance: dg.DagsterInstance, known: Collection[str], red: Mapping[str, Bad]
) -> dict[str, Bad]:
    """Return the sensors and schedules that are on and whose newest finished tick failed.

    Args:
        instance: The Dagster instance.
        known: Names of sensors and schedules that exist; the storage keeps states of removed ones.
        red: What was reported; one whose ticks the storage does not know stays red.
    """
    seen = {state.instigator_name for state in instance.all_instigator_state()}
    found = {
        name: bad
        for name, bad in red.items()
        if name.endswith(f":{TICK}") and (tick := name.rpartition(":")[0]) in known
        and tick not in seen
    }  # fmt: skip
    for state in instance.all_instigator_state():
        if state.status == InstigatorStatus.STOPPED or state.instigator_name not in known:
            continue
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, limit=1, statuses=OVER
        )
        if ticks and ticks[0].status == TickStatus.FAILURE:
            error = ticks[0].error
            lines = error.message.strip().splitlines() if error else []
            why = lines[0] if lines else "its tick failed"
            found[f"{state.instigator_name}:{TICK}"] = Bad(why, RUNBOOK[TICK])
    return found


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Writes an alert for a failed run, a check that turned red, a sensor or schedule whose "
        "tick failed: once when it fails, once when it recovers. `dolphin alerts` lists them."
    ),
)
def alerts(context: dg.SensorEvaluationContext, stack: Stack) -> dg.SensorResult:
    """Look at checks, runs and ticks once and write the alerts."""
    now, last = datetime.now(UTC), checks.remembered(context.cursor, Memory)
    repository = checks.repository_of(context)
    known = {s.name for s in repository.sensor_defs} | {s.name for s in repository.schedule_defs}
    finished, until, runs_known = finished_since(context.instance, last, now)
    home = stack.settings.home
    before = told(home, repository.asset_graph)
    failed = {name: bad for name, bad in before.items() if name.endswith(f":{RUN}")}
    days, checks_until = red_days(
        context.instance, repository.asset_graph, before, last.checks_until
    )
    bad = {
        **red_checks(context.instance, repository.asset_graph, before),
        **days,
        **failing_ticks(context.instance, known, before),
        **failed_runs(failed, finished),
    }
    raised, red, suspected = decide(bad, before, last.suspected, now)
    for alert in raised:
        write_alert(home, alert)
        context.log.warning(f"{alert.asset} {alert.check} is {alert.state}: {alert.facts['why']}")
    note_look(home)
    memory = Memory(
        suspected=suspected, runs_until=until, runs_known=runs_known, checks_until=checks_until
    )
    return dg.SensorResult(
        cursor=checks.cursor_of(memory),
        skip_reason=f"red: {', '.join(red) or 'nothing'}; {len(raised)} alerts written",
    )
