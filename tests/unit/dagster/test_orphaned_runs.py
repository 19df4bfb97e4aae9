"""Runs whose worker is gone, on a real instance and real processes."""

import os
import subprocess
import time

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from dolphin_dagster.instance.orphaned_runs import Memory, Worker, look, pid_of, runs_orphaned, seen


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def begun(instance, pid):
    @dg.job
    def nothing():
        pass

    run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    told = f"Started process for run (pid: {pid})."
    instance.report_engine_event(told, run, EngineEventData.in_process(pid))
    return run.run_id


def gone():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def tick(instance, cursor=None):
    result = runs_orphaned(dg.build_sensor_context(instance=instance, cursor=cursor))
    return result.cursor


def test_a_run_whose_worker_is_gone_is_failed_at_the_second_look(instance):
    mine, lost = begun(instance, os.getpid()), begun(instance, gone())
    assert pid_of(instance, mine) == os.getpid()
    workers, gone_runs = look(instance, Memory())
    assert gone_runs == {lost}
    assert workers == {mine: seen(os.getpid()), lost: None}
    cursor = tick(instance)
    assert instance.get_run_by_id(lost).status == dg.DagsterRunStatus.STARTED
    tick(instance, cursor)
    assert instance.get_run_by_id(lost).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(mine).status == dg.DagsterRunStatus.STARTED


def test_a_run_that_told_of_no_worker_is_left_alone(instance):
    @dg.job
    def nothing():
        pass

    instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    assert look(instance, Memory()) == ({}, set())


def test_a_process_that_got_the_number_of_another_is_not_the_worker(instance):
    run_id = begun(instance, os.getpid())
    other = Worker(os.getpid(), seen(os.getpid()).started - 1)
    _, found = look(instance, Memory(workers={run_id: other}))
    assert found == {run_id}


def test_a_clock_that_is_set_ends_no_run(instance, monkeypatch):
    run_id = begun(instance, os.getpid())
    cursor = tick(instance)
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 3600)
    tick(instance, tick(instance, cursor))
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.STARTED


def test_a_zombie_is_no_worker():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert seen(process.pid) is None
    process.wait()
