"""Ends runs whose worker died together with the code server; nothing else detects them.

Dagster notices a worker's death through the code server that started it; if both died, the run
stays STARTED and holds its pool until `max_runtime`. Each run records its worker's process id in an
event. A run is failed if at two looks its process is missing, or is not the one first seen.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import dagster as dg
import msgspec

from dolphin_dagster import checks

NAME: Final = "runs_orphaned"
SENSOR_INTERVAL_S: Final = 30
UNDER_WAY: Final = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
STATE, STARTED = 0, 19
"""Positions of the fields in /proc/PID/stat, after the name."""
WORKER: Final = "Started process for run"


class Worker(msgspec.Struct, frozen=True):
    """A process that exists: its id, and its start in ticks since boot.

    Together they identify it until the next boot, even if the wall clock is changed.
    """

    pid: int
    started: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The sensor's cursor.

    Attributes:
        workers: The process first seen for each run under way; None: there was no process.
        suspected: Runs without a worker at the last look.
    """

    workers: dict[str, Worker | None] = {}
    suspected: list[str] = []


def pid_of(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """Return the last process id that a run recorded, None if it recorded none."""
    found = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid: Any = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None and event is not None and WORKER in (event.message or ""):
            found = int(pid.value)
    return found


def seen(pid: int) -> Worker | None:
    """Return the process with that id, None if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[STATE] == "Z" else Worker(pid, int(fields[STARTED]))
    except (OSError, ValueError, IndexError):
        return None


def look(instance: dg.DagsterInstance, last: Memory) -> tuple[dict[str, Worker | None], set[str]]:
    """Return the worker of each run under way, and the runs whose worker is not there."""
    workers: dict[str, Worker | None] = {}
    gone = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
        pid = pid_of(instance, run.run_id)
        if pid is None:
            continue
        now = seen(pid)
        known = last.workers.get(run.run_id, now)
        workers[run.run_id] = known
        if now is None or now != known:
            gone.add(run.run_id)
    return workers, gone


def end(instance: dg.DagsterInstance, run_ids: Collection[str]) -> list[str]:
    """Fail the runs that are still under way and return which those were."""
    ended = []
    for run in instance.get_runs(dg.RunsFilter(run_ids=list(run_ids), statuses=UNDER_WAY)):
        instance.report_run_failed(run, "Its worker and the code server that watched it are gone.")
        ended.append(run.run_id)
    return ended


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fails runs whose worker died unnoticed; their pool is free within a minute.",
)
def runs_orphaned(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look for runs without a worker; end those that already had none at the last look."""
    last = checks.remembered(context.cursor, Memory)
    workers, found = look(context.instance, last)
    sure = found & set(last.suspected)
    ended = end(context.instance, sure) if sure else []
    memory = Memory(workers=workers, suspected=sorted(found - set(ended)))
    for run_id in ended:
        context.log.warning(f"run {run_id} was ended: its worker is gone")
    said = f"ended {', '.join(ended)}" if ended else f"{len(found)} runs seem to have no worker"
    return dg.SensorResult(cursor=checks.cursor_of(memory), skip_reason=said)
