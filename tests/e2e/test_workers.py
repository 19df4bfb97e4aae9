"""The end of a stack with Dagster in it; runs last, for it kills the stack."""

import os
import signal
from pathlib import Path

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.ops import dagster_api


def processes_of(home):
    """Return the command line of every process that carries this DOLPHIN_HOME, by pid."""
    wanted, found = f"DOLPHIN_HOME={home}".encode(), {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
    return found


def workers(home):
    """Return Dagster's run workers: processes spawned by the code server."""
    return [pid for pid, line in processes_of(home).items() if b"spawn_main" in line]


def test_a_killed_runner_leaves_no_run_worker_behind(stack):
    idle = set(workers(stack.home))
    for _ in range(3):
        dagster_api.materialize(stack.ui_port, ["calendar_factors"])
    wait_for(lambda: set(workers(stack.home)) - idle, 60, "a run worker")
    os.kill(stack.pid, signal.SIGKILL)
    wait_for(lambda: not processes_of(stack.home), 20, "the end of every process")
    assert processes_of(stack.home) == {}
