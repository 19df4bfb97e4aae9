"""Two sensors on Dagster's own events: a failed run is alerted at once, its work's next success ends it.

Factors are left to factors/health.py: one failed run of a factor may be chance.
"""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.daily.trials import is_trial
from dolphin_dagster.factors.registry import external
from dolphin_dagster.instance.jobs import PARTITION_TAG, assets_of
from dolphin_dagster.resources import Stack
from dolphin_realtime.runtime.alert_log import Alert, AlertState, read_alerts, standing, write_alert

RUN: Final = "run"
RUNBOOK: Final = f"{checks.RUNBOOK}#when-a-run-failed"
INTERVAL_S: Final = 15


def works_of(run: dg.DagsterRun) -> set[str]:
    """Return what a run works on: each of its assets, with its partition; no factor, nothing tried.

    A job that materializes one asset is named after it, so that a manual Materialize counts as the
    same work.
    """
    if is_trial(run):
        return set()
    names = assets_of(run) - set(external())
    partition = run.tags.get(PARTITION_TAG)
    return {f"{name} {partition}" if partition else name for name in names}


def ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> datetime:
    """Return when a run ended; now, if the storage does not say."""
    record = instance.get_run_record_by_id(run.run_id)
    at = record.end_time if record else None
    return datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)


def succeeded_since(instance: dg.DagsterInstance, work: str, since: datetime) -> bool:
    """Return whether a newer run of a work succeeded: the sensors' events may come in any order."""
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=since)
    return any(work in works_of(run) for run in instance.get_runs(wanted))


def alert(work: str, state: AlertState, why: str, at: datetime) -> Alert:
    """Return the alert of a run's work."""
    return Alert(ts=at, asset=work, check=RUN, state=state, facts={"why": why}, runbook=RUNBOOK)


@dg.run_failure_sensor(
    name="runs_failed",
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes an alert for each work whose run failed.",
)
def runs_failed(context: dg.RunFailureSensorContext, stack: Stack) -> None:
    """Alert one failed run."""
    run, home = context.dagster_run, stack.settings.home
    active, at = standing(read_alerts(home)), ended(context.instance, run)
    said = (context.failure_event.message or "").splitlines()[:1]
    why = f"run {run.run_id} failed: {' '.join(said) or 'see Runs in the UI'}"
    for work in sorted(works_of(run)):
        if (work, RUN) not in active and not succeeded_since(context.instance, work, at):
            write_alert(home, alert(work, "red", why, at))


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="runs_recovered",
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends the alert of a failed work once a run of it succeeded.",
)
def runs_recovered(context: dg.RunStatusSensorContext, stack: Stack) -> None:
    """End the alerts that one successful run cures."""
    home = stack.settings.home
    active, at = standing(read_alerts(home)), ended(context.instance, context.dagster_run)
    for work in sorted(works_of(context.dagster_run)):
        failed = active.get((work, RUN))
        if failed is not None and failed.ts <= at:
            write_alert(home, alert(work, "recovered", "it is well again", at))
