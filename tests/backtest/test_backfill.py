"""A backfill of days by the UI's own path: one run of the pool at a time, every day there.

BACKFILL_DAYS says how many (default 4; `make prove-backtests`: 10).
"""

import itertools
import os
import shutil

import pytest

from dolphin_realtime.bench.stack import Stack, wait_for
from dolphin_realtime.model.instant import day_of
from dolphin_realtime.model.market.scan import numbered
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.scans.archive import write_archive

N_DAYS = 1 + int(os.environ.get("BACKFILL_DAYS", "4"))
"""The first is archived alone: the others are warmed up with it."""
BACKFILL = """mutation($b: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $b) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
RUNS = """query($id: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
  ... on Runs { results { status startTime endTime tags { key value } } } } }"""
SENSOR = """{ sensorOrError(sensorSelector: {repositoryLocationName: "dolphin",
  repositoryName: "__repository__", sensorName: "days_over"}) {
  __typename ... on Sensor { id sensorState { status ticks(limit: 1) { status } } } } }"""
STOP = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"
PARTITIONS = """{ assetNodeOrError(assetKey: {path: ["daily_backtest"]}) { ... on AssetNode {
  partitionStats { numMaterialized numFailed } } } }"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """N_DAYS days: the sample over and over, a scan every five minutes; simulated, and says so."""
    folder = tmp_path_factory.mktemp("archive")
    market = Market(load_prices(), ReplayParams(cadence_s=300.0))
    days = {}
    for lap in range(3):
        for row in market.rows_of(0, 2**62):
            for scan in market.scans_at(row, lap):
                days.setdefault(day_of(scan.timestamp_us), []).append(scan)
    for day, scans in sorted(days.items())[:N_DAYS]:
        write_archive(folder / f"{day}.parquet", ((scan, "test") for scan in numbered(scans)))
    return folder


def stop_sensor(stack):
    """Stop the sensor that tells what is over, so that no condition acts; return when no look of it is under way."""
    sensor = dagster_api.query(stack.ui_port, SENSOR)["sensorOrError"]
    dagster_api.query(stack.ui_port, STOP, {"id": sensor["id"]})

    def is_quiet():
        state = dagster_api.query(stack.ui_port, SENSOR)["sensorOrError"]["sensorState"]
        is_looking = any(tick["status"] == "STARTED" for tick in state["ticks"])
        return state["status"] == "STOPPED" and not is_looking

    wait_for(is_quiet, 60.0, "the sensor's end")


@pytest.mark.timeout(240)
def test_days_are_made_one_at_a_time(archive, tmp_path):
    days = sorted(path.stem for path in archive.iterdir())
    assert len(days) == N_DAYS
    settings = {
        "archive_first_day": days[0], "archive_last_day": days[-1], "warm_up_days": 1,
        "signal_gap_max_s": 900, "mhs_sources": "safety",
    }  # fmt: skip
    with Stack(tmp_path / "home", **settings) as stack:
        stop_sensor(stack)
        shutil.copytree(archive, tmp_path / "home" / "archive", dirs_exist_ok=True)
        backfill = {
            "b": {
                "assetSelection": [{"path": ["daily_backtest"]}],
                "partitionNames": [f"{d}|BLUE" for d in days[1:]],
            }
        }
        answer = dagster_api.query(stack.ui_port, BACKFILL, backfill)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        at_once = []

        def is_done():
            found = dagster_api.query(stack.ui_port, RUNS, {"id": answer["backfillId"]})
            runs = found["runsOrError"]["results"]
            at_once.append(sum(r["status"] in ("STARTING", "STARTED") for r in runs))
            return len(runs) == len(days) - 1 and all(
                r["status"] in ("SUCCESS", "FAILURE", "CANCELED") for r in runs
            )

        wait_for(is_done, 240.0, "the end of the backfill")
        runs = dagster_api.query(stack.ui_port, RUNS, {"id": answer["backfillId"]})["runsOrError"][
            "results"
        ]
        stats = dagster_api.query(stack.ui_port, PARTITIONS)["assetNodeOrError"]["partitionStats"]
    assert [r["status"] for r in runs] == ["SUCCESS"] * (len(days) - 1)
    assert max(at_once) == 1
    spans = sorted((r["startTime"], r["endTime"]) for r in runs)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans)), spans
    assert stats == {"numMaterialized": len(days) - 1, "numFailed": 0}
    for day in days[1:]:
        assert (tmp_path / "home" / "reports" / "backtest" / "BLUE" / day / "report.html").is_file()
