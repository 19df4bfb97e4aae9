"""The indicators' queue in a real Dagster: a backfill by the UI's path, its limit under a rush."""

import os
from collections import Counter
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from dolphin_dagster.factors.registry import external
from dolphin_dagster.indicators.fear_greed import PUBLISHED_AFTER
from dolphin_realtime.bench.runs import FINISHED, ask_at_once, overlap
from dolphin_realtime.bench.stack import Stack, wait_for
from dolphin_realtime.infra.day_files import day_files
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.replay.factor_sources import FUNDING_HOURS
from dolphin_realtime.replay.market import load_prices

BACKFILL = """mutation($b: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $b) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
RUNS = """query($id: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
  ... on Runs { results { status startTime endTime } } } }"""
STATS = """query($p: [String!]!) { assetNodeOrError(assetKey: {path: $p}) { ... on AssetNode {
  partitionKeys partitionStats { numMaterialized numFailed } } } }"""
N_DAYS = 30
ALL_RUNS = 4
"""Runs of all queues that dagster.yaml allows at once."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("queue") / "home", "--demo") as stack:
        wait_for(lambda: "external_factors:is_complete" in green(stack), 120.0, "the first fill")
        yield stack


def green(stack):
    states = dagster_api.check_states(stack.ui_port)
    return {name for name, state in states.items() if state == "SUCCEEDED"}


def test_overlap_counts_spans_that_share_an_instant():
    assert overlap([(0, 1), (1, 2), (2, 3)]) == 1
    assert overlap([(0, 2), (1, 3), (4, 5)]) == 2
    assert overlap([]) == 0


def backfill(stack, asset, days):
    b = {"assetSelection": [{"path": [asset]}], "partitionNames": days}
    answer = dagster_api.query(stack.ui_port, BACKFILL, {"b": b})["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return answer["backfillId"]


def ended(stack, backfills):
    runs = [
        run
        for one in backfills
        for run in dagster_api.query(stack.ui_port, RUNS, {"id": one})["runsOrError"]["results"]
    ]
    is_over = runs and all(run["status"] in FINISHED for run in runs)
    return runs if is_over and len(runs) >= len(backfills) else []


@pytest.mark.timeout(300)
def test_thirty_days_of_the_past_by_the_uis_backfill(stack):
    names = ("funding_history", "fear_greed_history")
    found = dagster_api.query(stack.ui_port, STATS, {"p": [names[0]]})["assetNodeOrError"]
    days = found["partitionKeys"][:N_DAYS]
    started = [backfill(stack, name, days) for name in names]
    wait_for(lambda: ended(stack, started), 120.0, "the end of the backfills")
    runs = ended(stack, started)
    assert [run["status"] for run in runs] == ["SUCCESS"] * len(names), "a month is one run"
    assert overlap([(run["startTime"], run["endTime"]) for run in runs]) == 1
    for name in names:
        stats = dagster_api.query(stack.ui_port, STATS, {"p": [name]})["assetNodeOrError"]
        assert stats["partitionStats"] == {"numMaterialized": N_DAYS, "numFailed": 0}
    files = day_files(stack.home / "factors", ".parquet")
    rows = [row for day in days for row in pq.read_table(files[day]).to_pylist()]
    kept = Counter((r["name"], r["asset"], r["event_time"]) for r in rows)
    assert max(kept.values()) == 1, "no duplicate"
    by_factor = Counter((r["name"], r["asset"]) for r in rows)
    for asset in load_prices().assets:
        expected = N_DAYS * 24 // FUNDING_HOURS.get(asset, 8)
        assert by_factor[("funding", asset)] == expected, (asset, "no hole")
    assert by_factor[("fear_greed", None)] == N_DAYS
    told = [r for r in rows if r["name"] in ("funding", "fear_greed")]
    assert all(r["backfilled_at"] and r["simulated"] for r in told)
    known_after = {(r["name"], r["fetch_time"] - r["event_time"]) for r in told}
    assert known_after == {("funding", timedelta(0)), ("fear_greed", PUBLISHED_AFTER)}


@pytest.mark.timeout(600)
def test_a_rush_on_the_sources_is_one_run_at_a_time(stack):
    """Last, because it leaves runs in the queue: CI looks until a few are over, PROVE_RUNS at all."""
    is_proof = bool(os.environ.get("PROVE_RUNS"))
    report = ask_at_once(stack, rounds=1, enough=None if is_proof else 4)
    assert report.asked == len(external()) + 1
    assert report.at_once == 1, report
    assert not report.unhealthy
    assert report.workers <= ALL_RUNS + 1, "a worker outlives its run by a moment"
    assert not is_proof or report.is_good, report
