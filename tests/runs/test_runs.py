"""Many runs at once: limits hold, processes are few, whoever dies, nothing is lost or runs twice.

`PROVE_RUNS=100` is the proof (make prove-runs); CI asks for a tenth. Figures are printed.
"""

import json
import os
import time

import pytest

from dolphin_dagster.instance import pools
from dolphin_realtime.bench.stack import wait_for
from tests.runs.side import Side, kill

ASKED = int(os.environ.get("PROVE_RUNS", "8"))
DAYS = max(2, ASKED // 10)
A_RUN_S = 40
MAX_CONCURRENT = sum(pools.LIMITS.values())
SERVICES = 3


def ask(side):
    """Ask for the runs of all queues in turn and a backfill; return how many runs that makes."""
    queues = list(pools.LIMITS)
    for n in range(ASKED):
        side.launch(queues[n % len(queues)])
    side.backfill(DAYS)
    return ASKED + DAYS


def tell(name, side, took_s):
    figures = {
        "side": name, "asked": ASKED, "backfill_days": DAYS, "took_s": round(took_s),
        "ended": side.statuses(), "at_once": side.overlaps(), **side.peak,
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip
    print(json.dumps(figures))
    return figures


@pytest.mark.timeout(60 + A_RUN_S * (ASKED + DAYS))
def test_every_queue_keeps_its_limit_though_the_daemon_comes_last(tmp_path):
    """No daemon has ever seen these queues: its first look at them is at all of the runs."""
    with Side(tmp_path, is_stock=False) as side:
        asked = ask(side)
        side.start("daemon")
        took_s = side.wait_for_all(asked, A_RUN_S * asked)
        figures = tell("dolphin", side, took_s)
        assert figures["at_once"] == pools.LIMITS
        assert figures["ended"] == {"SUCCESS": asked}
        assert figures["workers"] <= MAX_CONCURRENT + len(pools.LIMITS), "one outlives its run"
        assert figures["processes"] <= SERVICES + MAX_CONCURRENT + len(pools.LIMITS) + 2
        assert set(side.begun().values()) == {1}
        assert len(side.begun()) == asked


@pytest.mark.timeout(60 + A_RUN_S * (ASKED + DAYS))
def test_the_same_with_stock_settings(tmp_path):
    """What Dagster does by itself, for comparison: nothing is claimed but that it takes more."""
    with Side(tmp_path, is_stock=True) as side:
        asked = ask(side)
        side.start("daemon")
        took_s = side.wait_for_all(asked, A_RUN_S * asked)
        figures = tell("stock", side, took_s)
        assert sum(figures["ended"].values()) == asked
        assert figures["processes"] > SERVICES + figures["workers"], "each run has helpers"


@pytest.fixture
def side(tmp_path):
    with Side(tmp_path, is_stock=False) as side:
        side.start("daemon")
        yield side


def wait_for_work(side, run_id):
    wait_for(lambda: side.begun()[run_id] == 1, 60, f"the work of {run_id}")


@pytest.mark.timeout(300)
def test_a_killed_worker_frees_its_queue(side):
    first, second = side.launch(pools.SCAN, 100), side.launch(pools.SCAN, 0)
    wait_for_work(side, first)
    began = time.monotonic()
    for pid in side.workers():
        kill(pid)
    wait_for(lambda: side.run(second)["status"] == "SUCCESS", 60, "the next run")
    print(
        json.dumps({"killed": "worker", "next_run_over_after_s": round(time.monotonic() - began)})
    )
    assert side.run(first)["status"] == "FAILURE"
    assert side.begun() == {first: 1, second: 1}


@pytest.mark.timeout(300)
def test_a_killed_code_server_and_its_worker_free_their_queue_within_its_max_runtime(side):
    """The job's own longest time is 120 s; run monitoring needs two looks, 10 s apart."""
    first, second = side.launch(pools.SCAN, 100), side.launch(pools.SCAN, 0)
    wait_for_work(side, first)
    began = time.monotonic()
    side.kill("code", with_workers=True)
    side.start("code")
    wait_for(lambda: side.run(second)["status"] == "SUCCESS", 120 + A_RUN_S, "the next run")
    took_s = round(time.monotonic() - began)
    print(json.dumps({"killed": "code server and worker", "next_run_over_after_s": took_s}))
    assert "gone" in side.failure_of(first), "the launcher saw it, not the longest time"
    assert side.run(first)["status"] == "FAILURE"
    assert side.begun() == {first: 1, second: 1}


@pytest.mark.timeout(300)
def test_a_killed_daemon_repeats_nothing_and_loses_at_most_what_it_was_launching(side):
    """That one never begins, is failed after the time for a start, and launched once more by itself."""
    queues = list(pools.LIMITS)
    asked = [side.launch(queues[n % len(queues)], 1) for n in range(8)]
    wait_for(lambda: side.begun().total() >= 2, 60, "two runs")
    side.kill("daemon")
    side.start("daemon")
    wait_for(lambda: sum(r["status"] == "SUCCESS" for r in side.runs()) == len(asked), 200, "the end of all")  # fmt: skip
    failed = {run["runId"] for run in side.runs() if run["status"] != "SUCCESS"}
    print(json.dumps({"killed": "daemon", "runs": len(asked), "failed": len(failed)}))
    assert len(failed) <= 1
    again = set(side.begun()) - set(asked)
    assert len(again) == len(failed)
    assert side.begun() == dict.fromkeys((set(asked) - failed) | again, 1)
    assert side.overlaps() == pools.LIMITS


@pytest.mark.timeout(300)
def test_a_days_reports_are_there_though_everything_long_is_under_way(side):
    """A sweep, a backtest, fills of factors and an archive hold their queues: reports wait for none of them."""
    long = [side.launch(pool, 600) for pool in pools.LIMITS if pool != pools.DOLPHIN]
    for run_id in long:
        wait_for_work(side, run_id)
    began = time.monotonic()
    reports = [side.launch(pools.DOLPHIN, 1) for _ in range(3)]
    wait_for(lambda: all(side.run(r)["status"] == "SUCCESS" for r in reports), 120, "the reports")
    took_s = round(time.monotonic() - began)
    print(json.dumps({"long_runs": len(long), "three_reports_after_s": took_s}))
    assert {side.run(run_id)["status"] for run_id in long} == {"STARTED"}


@pytest.mark.timeout(300)
def test_what_waits_is_started_by_its_priority(side):
    """Asked for in one queue: the one with the higher priority goes first, though asked for later."""
    holder = side.launch(pools.SCAN, 8)
    wait_for_work(side, holder)
    low = side.launch(pools.SCAN, 1, priority="1")
    high = side.launch(pools.SCAN, 1, priority="9")
    wait_for(lambda: all(side.run(r)["status"] == "SUCCESS" for r in (low, high)), 120, "both")
    assert side.run(high)["startTime"] < side.run(low)["startTime"]


@pytest.mark.timeout(300)
def test_a_run_that_was_killed_is_started_once_more(side):
    first = side.launch(pools.SCAN, 20)
    wait_for_work(side, first)
    for pid in side.workers():
        kill(pid)
    wait_for(lambda: side.run(first)["status"] == "FAILURE", 60, "its failure")
    wait_for(lambda: len(side.runs()) == 2, 60, "its retry")
    again = next(run for run in side.runs() if run["runId"] != first)
    wait_for(lambda: side.run(again["runId"])["status"] == "SUCCESS", 90, "the retry")
    tags = {tag["key"]: tag["value"] for tag in again["tags"]}
    assert tags["dagster/retry_number"] == "1"
    assert tags["dagster/parent_run_id"] == first
