"""Days on a real daemon: everything is made by conditions alone, in order, each once.

DAYS says how many (default 2; `make prove-days`: 3).
"""

import json
import os
import shutil
import time
from collections import Counter

import pytest

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.ops import dagster_api
from tests.days.home import INSTANCES, add_late, record, settings_of
from tests.runs.side import FINISHED, Side

N_DAYS = int(os.environ.get("DAYS", "2"))
RUNS = """{ runsOrError(limit: 500) { ... on Runs { results { runId jobName status startTime endTime
  assetSelection { path } tags { key value } } } } }"""
CHECKS = """query($key: AssetKeyInput!, $name: String!) { assetCheckExecutions(assetKey: $key, checkName: $name, limit: 20) {
  status runId partition evaluation { success } } }"""
HISTORY = """query($key: AssetKeyInput!) { assetConditionEvaluationRecordsOrError(assetKey: $key, limit: 50) {
  ... on AssetConditionEvaluationRecords { records { numRequested evaluationNodes { userLabel expandedLabel numTrue } } } } }"""


class Days(Side):
    """A Dagster with the product's definitions, on a home with recorded days."""

    def made(self):
        """Return (asset, partition) of each run that succeeded, in the order of their starts."""
        return [name for _, _, name in self.spans("SUCCESS")]

    def spans(self, *statuses):
        found = []
        for run in dagster_api.query(self.port, RUNS)["runsOrError"]["results"]:
            tags = {t["key"]: t["value"] for t in run["tags"]}
            if run["status"] in statuses and "dagster/partition" in tags:
                selected = [key["path"][-1] for key in run["assetSelection"] or ()]
                for asset in selected or [run["jobName"].removesuffix("_job")]:
                    name = (asset, tags["dagster/partition"])
                    found.append((run["startTime"], run["endTime"], name))
        return sorted(found)

    def is_still(self):
        runs = dagster_api.query(self.port, RUNS)["runsOrError"]["results"]
        return all(run["status"] in FINISHED for run in runs)

    def settle(self, wanted, timeout_s):
        """Wait until a set of products was made and nothing is under way for two evaluations."""
        wait_for(lambda: wanted <= set(self.made()) and self.is_still(), timeout_s, f"{wanted - set(self.made())}")  # fmt: skip
        before, until = len(self.made()), time.monotonic() + 40
        while time.monotonic() < until:
            if not self.is_still():
                until = time.monotonic() + 40
            time.sleep(1)
        return len(self.made()) - before


def expected(days):
    """Return every product of whole days, the week's included."""
    found = {("scan_archive", day) for day in days}
    for name in ("daily_backtest", "paper_report", "backtest_vs_paper"):
        found |= {(name, f"{day}|{i}") for day in days for i in INSTANCES}
    return found


def weeks(days):
    return {("weekly_summary", f"{i}|{days[0]}") for i in INSTANCES}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    home = tmp_path_factory.mktemp("days")
    return home, record(home, N_DAYS)


@pytest.fixture(scope="module")
def side(recorded, tmp_path_factory):
    home, days = recorded
    settings = settings_of(home, days)
    folder = tmp_path_factory.mktemp("dagster")
    with Days(folder, is_stock=False, module="dolphin_dagster.definitions", **settings) as side:
        side.start("daemon")
        yield side


def reports_of(home, warmed):
    """Return what the reports say, without backtests of days that a bad day warmed up."""
    found = {}
    for path in sorted((home / "reports").rglob("*.json")):
        if "backtest" in path.parts and path.parent.name in warmed:
            continue
        said = json.loads(path.read_text())
        found[str(path.relative_to(home))] = said
    return found


@pytest.mark.timeout(900)
def test_each_is_made_once_and_in_order(side, recorded):
    _, days = recorded
    whole = expected(days[:-1]) | weeks(days)
    assert side.settle(whole, 600) == 0
    counts = Counter(side.made())
    print(json.dumps({"days": N_DAYS, "instances": len(INSTANCES), "runs": len(side.made())}))
    assert set(counts) == whole
    assert set(counts.values()) == {1}
    ended = {name: end for _, end, name in side.spans("SUCCESS")}
    begun = {name: start for start, _, name in side.spans("SUCCESS")}
    for day in days[:-1]:
        for i in INSTANCES:
            assert ended["scan_archive", day] <= begun["daily_backtest", f"{day}|{i}"]
            assert ended["paper_report", f"{day}|{i}"] <= begun["backtest_vs_paper", f"{day}|{i}"]
            assert ended["backtest_vs_paper", f"{day}|{i}"] <= begun["weekly_summary", f"{i}|{days[0]}"]  # fmt: skip


def test_the_history_says_why(side):
    found = dagster_api.query(side.port, HISTORY, {"key": {"path": ["daily_backtest"]}})
    records = found["assetConditionEvaluationRecordsOrError"]["records"]
    assert sum(r["numRequested"] for r in records) == N_DAYS * len(INSTANCES)
    labels = {node["userLabel"] for r in records for node in r["evaluationNodes"]}
    assert {"it was never made", "neither it nor an input is being made"} <= labels


@pytest.mark.timeout(600)
def test_a_late_scan_makes_its_day_again_and_what_that_day_warms_up(side, recorded):
    home, days = recorded
    before = Counter(side.made())
    add_late(home, days[0])
    again = {("scan_archive", days[0])}
    again |= {(n, f"{days[0]}|{i}") for n in ("daily_backtest", "backtest_vs_paper") for i in INSTANCES}  # fmt: skip
    again |= weeks(days)
    again |= {
        ("daily_backtest", f"{days[1]}|{i}") for i in INSTANCES
    }  # it is warmed up with that day
    wait_for(lambda: again <= set(Counter(side.made()) - before), 300, "what follows a late scan")
    side.settle(set(), 60)
    assert Counter(side.made()) - before == dict.fromkeys(again, 1)


@pytest.mark.timeout(900)
def test_a_bad_day_is_not_backtested_and_says_so(side, recorded):
    """Two thirds of a day's scans never came: the archive is there, its check is red, nothing follows."""
    home, days = recorded
    archive, day = home / "archive" / f"{days[1]}.parquet", days[1]
    kept = home / "kept"
    shutil.move(home / "scans" / day, kept)
    (home / "scans" / day).mkdir()
    files = sorted(kept.iterdir())
    for path in files[: len(files) // 3]:
        shutil.copy(path, home / "scans" / day)
    before = Counter(side.made())
    archive.unlink()
    failed = ("scan_archive", day)
    wait_for(lambda: failed in {n for _, _, n in side.spans("FAILURE")}, 200, "the red archive")
    side.settle(set(), 60)
    warmed = {("daily_backtest", f"{one}|{i}") for one in days[2:-1] for i in INSTANCES}
    assert set(Counter(side.made()) - before) <= warmed, "nothing but what it warms up follows"
    key = {"key": {"path": ["scan_archive"]}, "name": "has_its_scans"}
    newest = dagster_api.query(side.port, CHECKS, key)["assetCheckExecutions"][0]
    assert (newest["partition"], newest["evaluation"]["success"]) == (day, False)
    shutil.rmtree(home / "scans" / day)
    shutil.move(kept, home / "scans" / day)
    archive.unlink()


@pytest.mark.timeout(1500)
def test_a_storage_that_is_removed_comes_to_the_same(side, recorded):
    home, days = recorded
    before = reports_of(home, days[2:-1])
    for name in ("daemon", "webserver", "code"):
        side.kill(name, with_workers=name == "code")
    shutil.rmtree(side.folder / "var")
    side.__enter__()
    side.start("daemon")
    whole = expected(days[:-1]) | weeks(days)
    assert side.settle(whole, 900) == 0
    assert set(Counter(side.made()).values()) == {1}
    assert reports_of(home, days[2:-1]) == before
