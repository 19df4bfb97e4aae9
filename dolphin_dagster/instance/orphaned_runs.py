"""Ending runs whose worker is gone: after a crash of worker and code server nothing else sees them.

Dagster notices a worker's death through the code server that started it; where both died, the run
stays STARTED and holds its pool until `max_runtime`. Each run tells its worker's process id in an
event; a run whose process is not there in two looks, or is another than was seen first, is failed.
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
"""In /proc/PID/stat after the name."""
WORKER: Final = "Started process for run"


class Worker(msgspec.Struct, frozen=True):
    """A process that is there: its id, and when it started in ticks since boot.

    The two name it for as long as the machine is up, whatever the wall clock does.
    """

    pid: int
    started: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The sensor's cursor.

    Attributes:
        workers: Of each run under way, its process as it was seen first; None: it was not there.
        suspected: Runs without a worker in the look before.
    """

    workers: dict[str, Worker | None] = {}
    suspected: list[str] = []


def pid_of(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """Return the process id that a run told of last, None where it told of none."""
    found = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid: Any = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None and event is not None and WORKER in (event.message or ""):
            found = int(pid.value)
    return found


def seen(pid: int) -> Worker | None:
    """Return the process of that id that is there now, None where there is none but a zombie."""
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
    workers, found = look(context.instance, last)
    sure = found & set(last.suspected)
    ended = end(context.instance, sure) if sure else []
    memory = Memory(workers=workers, suspected=sorted(found - set(ended)))
    for run_id in ended:
        context.log.warning(f"run {run_id} was ended: its worker is gone")
    said = f"ended {', '.join(ended)}" if ended else f"{len(found)} runs seem to have no worker"
    return dg.SensorResult(cursor=checks.cursor_of(memory), skip_reason=said)
