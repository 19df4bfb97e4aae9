"""The alerts of what Dagster sees: a failed run, a check gone red, a sensor whose ticks fail.

One alert when something goes wrong and one when it is well again, into the same file as the
realtime services' own; who sends them is the alerter. Factors tell of themselves
(factors/health.py), since one failed run of theirs is chance.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import dagster as dg
import msgspec
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from dolphin_dagster import checks
from dolphin_dagster.factors.registry import external
from dolphin_realtime.alerts import Alert, AlertState, write_alert
from dolphin_realtime.settings import load

NAME: Final = "alerts"
SENSOR_INTERVAL_S: Final = 15
RUN: Final = "run"
TICK: Final = "tick"
RUNBOOK: Final = {
    RUN: f"{checks.RUNBOOK}#when-a-run-failed",
    TICK: f"{checks.RUNBOOK}#when-a-sensor-or-schedule-fails",
}
FINISHED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


class Bad(msgspec.Struct, frozen=True):
    """Something that is wrong: in words, and where to read what to do."""

    why: str
    runbook: str


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The sensor's cursor.

    Attributes:
        red: What was told, by ``asset:check``.
        suspected: What was wrong in the last look and is told when it still is in this one.
        failed: Runs whose last try failed, by what they do.
        runs_until: Runs are known up to here; None: not looked yet.
    """

    red: dict[str, Bad] = {}
    suspected: list[str] = []
    failed: dict[str, Bad] = {}
    runs_until: datetime | None = None


def decide(
    bad: Mapping[str, Bad], last: Memory, now: datetime
) -> tuple[list[Alert], dict[str, Bad], list[str]]:
    """Return the alerts due, what is red from now on, and what is suspected.

    A blip that is over at the next look is not told. What failed is a fact and told at once.

    Args:
        bad: What is wrong now, by ``asset:check``.
        last: What the last call left.
        now: Wall time.
    """
    sure = {
        name: found
        for name, found in bad.items()
        if name in last.red or name in last.suspected or name.endswith(f":{RUN}")
    }
    new = {name: found for name, found in sure.items() if name not in last.red}
    well = {name: found for name, found in last.red.items() if name not in bad}
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


def red_checks(
    instance: dg.DagsterInstance, graph: AssetGraph, red: Mapping[str, Bad]
) -> dict[str, Bad]:
    """Return the checks whose last result is a failure that is an error, but the factors'.

    One that is being evaluated is as it was told.
    """
    mine = [key for key in graph.asset_check_keys if key.asset_key.path[-1] not in external()]
    found = {}
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(mine)
    for key, record in records.items():
        name = f"{key.asset_key.to_user_string()}:{key.name}"
        if record.status == AssetCheckExecutionRecordStatus.PLANNED and name in red:
            found[name] = red[name]
        event = record.event.dagster_event if record.event else None
        if record.status != AssetCheckExecutionRecordStatus.FAILED or event is None:
            continue
        result = event.asset_check_evaluation_data
        if result.severity == dg.AssetCheckSeverity.ERROR:
            facts = result.metadata
            why = facts.get("why") or facts.get("posture") or facts.get("status")
            description = graph.get_check_spec(key).description or checks.RUNBOOK
            found[name] = Bad(str(why.value if why else "see its page"), description.split()[-1])
    return found


def what_of(run: dg.DagsterRun) -> str:
    """Return what a run does: its job or assets, and its partition."""
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    is_ad_hoc = run.job_name.startswith("__")
    name = "+".join(assets) if is_ad_hoc and assets else run.job_name
    partition = run.tags.get("dagster/partition")
    return f"{name} {partition}" if partition else name


def is_of_factors(run: dg.DagsterRun) -> bool:
    """Return whether a run asks sources of factors alone."""
    names = {key.path[-1] for key in run.asset_selection or ()}
    return (names or {run.job_name.removesuffix("_job")}) <= set(external())


def failed_runs(failed: Mapping[str, Bad], finished: Iterable[dg.DagsterRun]) -> dict[str, Bad]:
    """Return the runs whose last try failed, after more of them finished, the oldest first."""
    found = dict(failed)
    for run in finished:
        if is_of_factors(run):
            continue
        name = f"{what_of(run)}:{RUN}"
        if run.status == dg.DagsterRunStatus.FAILURE:
            found[name] = Bad(f"run {run.run_id} failed: see Runs in the UI", RUNBOOK[RUN])
        else:
            found.pop(name, None)
    return found


def finished_since(
    instance: dg.DagsterInstance, since: datetime | None, now: datetime
) -> tuple[list[dg.DagsterRun], datetime]:
    """Return the runs that finished since then, the oldest first, and until when they are known."""
    if since is None:
        return [], now
    records = instance.get_run_records(
        dg.RunsFilter(updated_after=since, statuses=FINISHED),
        order_by="update_timestamp",
        ascending=True,
    )
    until = max((r.update_timestamp.replace(tzinfo=UTC) for r in records), default=since)
    return [record.dagster_run for record in records], until


def failing_ticks(instance: dg.DagsterInstance) -> dict[str, Bad]:
    """Return the sensors and schedules that are on and whose newest tick failed."""
    found = {}
    for state in instance.all_instigator_state():
        if state.status == InstigatorStatus.STOPPED:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        if ticks and ticks[0].status == TickStatus.FAILURE:
            error = ticks[0].error
            why = error.message.strip().splitlines()[0] if error else "its tick failed"
            found[f"{state.instigator_name}:{TICK}"] = Bad(why, RUNBOOK[TICK])
    return found


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Writes an alert for a failed run, a check gone red, a sensor or schedule whose tick "
        "failed: once when it does, once when it is well again. `dolphin alerts` lists them."
    ),
)
def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look at checks, runs and ticks once and write what is due."""
    now, last = datetime.now(UTC), checks.remembered(context.cursor, Memory)
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("the sensor needs its repository")
    finished, until = finished_since(context.instance, last.runs_until, now)
    failed = failed_runs(last.failed, finished)
    bad = {
        **red_checks(context.instance, context.repository_def.asset_graph, last.red),
        **failing_ticks(context.instance),
        **failed,
    }
    raised, red, suspected = decide(bad, last, now)
    home = load().home
    for alert in raised:
        write_alert(home, alert)
        context.log.warning(f"{alert.asset} {alert.check} is {alert.state}: {alert.facts['why']}")
    memory = Memory(red=red, suspected=suspected, failed=failed, runs_until=until)
    return dg.SensorResult(
        cursor=msgspec.json.encode(memory).decode(),
        skip_reason=f"red: {', '.join(red) or 'nothing'}; {len(raised)} alerts written",
    )
