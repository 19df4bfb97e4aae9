"""Ending runs whose worker is gone: after a crash of worker and code server nothing else sees them.

Dagster notices a worker's death through the code server that started it; where both died, the run
stays STARTED and holds its pool until `max_runtime`. Each run tells its worker's process id in an
event; a run whose process is not there in two looks is failed.
"""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import dagster as dg
import msgspec

from dolphin_dagster import checks

NAME: Final = "runs_orphaned"
SENSOR_INTERVAL_S: Final = 30
UNDER_WAY: Final = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
CLOCK_SLACK_S: Final = 2.0
"""A process starts before it tells so."""
_TICKS_PER_S: Final = float(os.sysconf("SC_CLK_TCK"))
WORKER: Final = "Started process for run"


class Worker(msgspec.Struct, frozen=True):
    """A run's process, and when it told so, in seconds since 1970."""

    pid: int
    at_s: float


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The sensor's cursor: runs without a worker in the look before."""

    suspected: list[str] = []


def worker_of(instance: dg.DagsterInstance, run_id: str) -> Worker | None:
    """Return the process that a run told of last, None where it told of none."""
    found = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid: Any = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None and WORKER in entry.user_message + (
            event.message or "" if event else ""
        ):
            found = Worker(int(pid.value), entry.timestamp)
    return found


def is_alive(worker: Worker) -> bool:
    """Return whether the process is there, no zombie, and not another that got its number."""
    try:
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[19])
    except (OSError, ValueError, IndexError):
        return False
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    age_s = uptime_s - ticks / _TICKS_PER_S
    return fields[0] != "Z" and time.time() - age_s <= worker.at_s + CLOCK_SLACK_S


def orphans(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs that are under way and whose process is not."""
    found = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
        worker = worker_of(instance, run.run_id)
        if worker is not None and not is_alive(worker):
            found.add(run.run_id)
    return found


def end(instance: dg.DagsterInstance, run_ids: Collection[str]) -> list[str]:
    """Fail the runs that are still under way and return which those were."""
    ended = []
    for run in instance.get_runs(dg.RunsFilter(run_ids=list(run_ids), statuses=UNDER_WAY)):
        instance.report_run_failed(run, "Its worker is gone, and so was who would have told.")
        ended.append(run.run_id)
    return ended


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fails runs whose worker died unseen, so that their pool is free within a minute.",
)
def runs_orphaned(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look for runs without a worker; end those that had none the last time either."""
    last = checks.remembered(context.cursor, Memory)
    found = orphans(context.instance)
    sure = found & set(last.suspected)
    ended = end(context.instance, sure) if sure else []
    memory = Memory(suspected=sorted(found - set(ended)))
    for run_id in ended:
        context.log.warning(f"run {run_id} was ended: its worker is gone")
    said = f"ended {', '.join(ended)}" if ended else f"{len(found)} runs seem to have no worker"
    return dg.SensorResult(cursor=msgspec.json.encode(memory).decode(), skip_reason=said)
