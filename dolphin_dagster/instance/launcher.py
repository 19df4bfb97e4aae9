"""Launches runs as Dagster does, and lets its run monitoring see a worker that died unnoticed.

Dagster notices a worker's death through the code server that started it; if both died, the run
stays STARTED and holds its pool until `max_runtime`. Each run records its worker's process id in an
event, so the daemon can look whether that process is there. It looks only where the code server is
on this machine: a worker elsewhere counts as running, and `max_runtime` bounds it.
"""

import json
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import dagster as dg
import msgspec

from dolphin_dagster.instance.dagster_internals import (
    GRPC_INFO_TAG,
    CheckRunHealthResult,
    ConfigurableClassData,
    DefaultRunLauncher,
    WorkerStatus,
)

STARTED_WORKER: Final = "Started process for run"
STATE, STARTED = 0, 19
"""Positions of the fields in /proc/PID/stat, after the name."""
KEPT: Final = 1000


class Worker(msgspec.Struct, frozen=True):
    """A process that exists: its id, and its start in ticks since boot.

    Together they identify it until the next boot, even if the wall clock is changed.
    """

    pid: int
    started: int


def is_here(run: dg.DagsterRun) -> bool:
    """Return whether the code server that started a run's worker is on this machine."""
    try:
        host = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("host", "")
        return host == "localhost" or ip_address(host).is_loopback
    except (ValueError, AttributeError):
        return False


def pid_of(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """Return the last process id that a run recorded, None if it recorded none."""
    found = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid: Any = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None and event is not None and STARTED_WORKER in (event.message or ""):
            found = int(pid.value)
    return found


def seen(pid: int) -> Worker | None:
    """Return the process with that id, None if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[STATE] == "Z" else Worker(pid, int(fields[STARTED]))
    except (OSError, ValueError, IndexError):
        return None


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, with a look at each worker's process.

    A worker is failed if at two looks in a row its process is missing, or is not the one first
    seen: the code server itself needs a moment to report a death.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._first_seen: dict[str, Worker] = {}
        self._missed: set[str] = set()

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> "WatchedRunLauncher":
        """Return a launcher; it has no configuration."""
        return cls(inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Tell run monitoring to ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED if a run's worker is gone for sure, else RUNNING."""
        if not is_here(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its worker is on another machine")
        pid = pid_of(self._instance, run.run_id)
        if pid is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "it recorded no worker yet")
        if self._is_there(run.run_id, pid):
            self._missed.discard(run.run_id)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if run.run_id not in self._missed:
            self._missed.add(run.run_id)
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its worker is missed once")
        self._missed.discard(run.run_id)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, "its worker and the code server that watched it are gone"
        )

    def _is_there(self, run_id: str, pid: int) -> bool:
        now = seen(pid)
        if now is None:
            return False
        if len(self._first_seen) >= KEPT:
            self._first_seen.clear()
        return self._first_seen.setdefault(run_id, now) == now
