"""Runs whose worker is gone, on a real instance and real processes."""

import json
import os
import subprocess
import time

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from dolphin_dagster.instance.dagster_internals import GRPC_INFO_TAG, WorkerStatus
from dolphin_dagster.instance.launcher import WatchedRunLauncher, pid_of, seen

CONFIG = {
    "run_launcher": {
        "module": "dolphin_dagster.instance.launcher",
        "class": "WatchedRunLauncher",
    }
}


@pytest.fixture
def instance():
    with dg.instance_for_test(overrides=CONFIG) as instance:
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        yield instance


def begun(instance, pid, host="127.0.0.1"):
    @dg.job
    def nothing():
        pass

    tags = {GRPC_INFO_TAG: json.dumps({"host": host, "port": 4266})} if host else {}
    run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED, tags=tags)
    if pid is not None:
        told = f"Started process for run (pid: {pid})."
        instance.report_engine_event(told, run, EngineEventData.in_process(pid))
    return run


def looks(instance, run, n=3):
    """Return what run monitoring is told at so many looks."""
    return [instance.run_launcher.check_run_worker_health(run).status for _ in range(n)]


def gone():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


RUNNING, FAILED = WorkerStatus.RUNNING, WorkerStatus.FAILED


def test_a_run_whose_worker_is_gone_is_failed_at_the_second_look(instance):
    mine, lost = begun(instance, os.getpid()), begun(instance, gone())
    assert pid_of(instance, mine.run_id) == os.getpid()
    assert looks(instance, lost, 2) == [RUNNING, FAILED]
    assert looks(instance, mine) == [RUNNING] * 3


def test_a_run_that_told_of_no_worker_is_left_alone(instance):
    assert looks(instance, begun(instance, None)) == [RUNNING] * 3


@pytest.mark.parametrize("host", ["10.0.0.7", "other.example", "", "::2"])
def test_a_run_of_another_host_is_left_alone(instance, host):
    assert looks(instance, begun(instance, gone(), host)) == [RUNNING] * 3


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.2"])
def test_a_loopback_host_is_this_one(instance, host):
    assert looks(instance, begun(instance, gone(), host), 2) == [RUNNING, FAILED]


def test_a_process_that_got_the_number_of_another_is_not_the_worker(instance, monkeypatch):
    run = begun(instance, os.getpid())
    assert looks(instance, run, 1) == [RUNNING]
    other = type(seen(1))(os.getpid(), seen(os.getpid()).started + 1)
    monkeypatch.setattr("dolphin_dagster.instance.launcher.seen", lambda _: other)
    assert looks(instance, run, 2) == [RUNNING, FAILED]


def test_a_clock_that_is_set_ends_no_run(instance, monkeypatch):
    run, real = begun(instance, os.getpid()), time.time
    assert looks(instance, run, 1) == [RUNNING]
    monkeypatch.setattr("time.time", lambda: real() + 3600)
    assert looks(instance, run) == [RUNNING] * 3


def test_a_zombie_is_no_worker():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert seen(process.pid) is None
    process.wait()
