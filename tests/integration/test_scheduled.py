"""The scheduled assets, materialized for real: archive, backtest, paper report, versus, week, sweep."""

import json
import os
import shutil
import subprocess
import sys

import dagster as dg
import msgspec
import pytest

from dolphin_dagster.daily import days_due
from dolphin_dagster.definitions import build_definitions
from dolphin_dagster.instance import pools
from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.config.settings import load
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.reports.daily import is_final, write_paper_report
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.scans.ledger import Line, ledger_folder
from dolphin_realtime.scans.merge import merge_day

DAYS = ("2025-05-12", "2025-05-13", "2025-05-14", "2025-05-15")
SETTINGS = {
    "DOLPHIN_ARCHIVE_FIRST_DAY": DAYS[0],
    "DOLPHIN_ARCHIVE_LAST_DAY": DAYS[-1],
    "DOLPHIN_WARM_UP_DAYS": "1",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Raw scans of four days, of which two were traded on paper and a bit of the last."""
    home = tmp_path_factory.mktemp("scheduled")
    market = Market(load_prices(), ReplayParams())
    begin = first_day(market) - DAY_US
    archive_days(market, home / "made", begin, begin + 4 * DAY_US)
    made = ScanDays.of(home / "made")
    for day in DAYS:
        for n, scan in enumerate(made.scans(day)):
            if not (day == DAYS[-1] and n >= 100):
                write_scan(home / "scans", scan)
    shutil.copytree(home / "made", home / "warm" / "archive")
    for day in DAYS[1:]:
        (home / "warm" / "archive" / f"{day}.parquet").unlink()
    traded = home / "traded"
    for day in DAYS[1:]:
        (traded / day).parent.mkdir(exist_ok=True)
        shutil.copytree(home / "scans" / day, traded / day)
    command = [
        sys.executable,
        "-m",
        "dolphin_realtime.cli",
        "service",
        "trader",
        "BLUE",
        "--scans",
        str(traded),
    ]
    env = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
    env |= {**SETTINGS, "DOLPHIN_HOME": str(home / "warm")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.move(home / "warm" / "journal", home / "journal")
    ledger = ledger_folder(home / "run")
    ledger.mkdir(parents=True)
    for day in DAYS:
        files = sorted((home / "scans" / day).iterdir())
        lines = [ledger_line(f"{day}/{path.name}") for path in files]
        (ledger / f"{day}.jsonl").write_bytes(b"".join(lines))
    return home


def ledger_line(path):
    return msgspec.json.encode(Line(path=path, stamp=(1, 1), seq=1)) + b"\n"


@pytest.fixture
def settings(home, monkeypatch):
    for name, value in {**SETTINGS, "DOLPHIN_HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    return load()


def materialize(settings, name, partition=None, config=None):
    """Run one asset as its job does; return its metadata and its checks by name."""
    definitions = build_definitions(settings)
    asset = next(
        a for a in definitions.assets
        if isinstance(a, dg.AssetsDefinition) and a.key == dg.AssetKey(name)
    )  # fmt: skip
    result = dg.materialize([asset], partition_key=partition, run_config=config)
    assert result.success
    (event,) = result.asset_materializations_for_node(name)
    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    return {k: v.value for k, v in event.metadata.items()}, checks


def test_days_in_the_order_of_work(settings, home):
    for day in DAYS:
        facts, checks = materialize(settings, "scan_archive", day)
        assert facts["dagster/row_count"] == len(list((home / "scans" / day).iterdir()))
        assert all(c.passed for c in checks.values()), (day, checks)
    key = dg.MultiPartitionKey({"day": DAYS[2], "instance": "BLUE"})
    facts, checks = materialize(settings, "daily_backtest", key)
    assert facts["net"] == pytest.approx(
        facts["gross"] - facts["slippage"] - facts["fees"] - facts["funding"], abs=1e-6
    )
    assert facts["fills"] > 50
    assert facts["warm_up_scans"] == 1440
    assert "data:image/svg+xml;base64," in facts["equity"]
    assert checks["identity_holds"].passed
    folder = settings.reports / "backtest" / "BLUE" / DAYS[2]
    assert {"fills.parquet", "positions.parquet", "equity.parquet", "decisions.parquet"} <= {
        p.name for p in folder.iterdir()
    }
    for day in DAYS[1:3]:
        key = dg.MultiPartitionKey({"day": day, "instance": "BLUE"})
        facts, checks = materialize(settings, "paper_report", key)
        assert facts["fills"] > 50
        assert checks["journal_holds"].passed
        facts, checks = materialize(settings, "backtest_vs_paper", key)
        assert (facts["unexplained"], facts["different"], facts["drift"]) == (0, 0, 0.0)
        assert checks["differences_are_explained"].passed
    facts, _ = materialize(settings, "weekly_summary", DAYS[0])
    assert facts["drift_BLUE"] == 0.0
    week = json.loads((settings.reports / "weekly" / DAYS[0] / "report.json").read_text())
    blue = week["instances"]["BLUE"]
    assert facts["net_BLUE"] == blue["figures"]["net"]
    assert set(blue["days"]) == set(DAYS[1:3])
    assert blue["months"]["2025-05"] == pytest.approx(blue["figures"]["total_return"])


def test_a_day_that_is_not_there_says_what_to_look_at(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    with pytest.raises(dg.Failure, match="no scan of 2025-05-12"):
        materialize(load(), "scan_archive", DAYS[0])
    with pytest.raises(dg.Failure, match="did the order-book service run"):
        materialize(load(), "orderbook_archive", DAYS[0])
    with pytest.raises(dg.Failure, match="no sweep file"):
        materialize(load(), "parameter_sweep")


def test_a_sweep_is_one_run(settings, home):
    grid = home / "small.yaml"
    grid.write_text(
        f"from: {DAYS[1]}\nto: {DAYS[2]}\nwarm_up_days: 1\nscans: {home / 'made'}\n"
        "grid: {s_in: [1.0, 1.5]}\n"
    )
    config = {"ops": {"parameter_sweep": {"config": {"grid": str(grid)}}}}
    facts, checks = materialize(settings, "parameter_sweep", config=config)
    assert (facts["trials_run"], facts["trials_failed"]) == (4, 0)
    assert checks["every_trial_ran"].passed
    assert "deflated Sharpe probability" in facts["verdict"]
    assert not checks["best_is_beyond_luck"].passed


def test_raw_scans_go_only_when_archived(settings, home, monkeypatch, tmp_path):
    shutil.copytree(home / "scans", tmp_path / "scans")
    shutil.copytree(home / "made", tmp_path / "archive")
    (tmp_path / "archive" / f"{DAYS[0]}.parquet").unlink()
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    monkeypatch.setenv("DOLPHIN_RAW_SCAN_DAYS", "1")
    facts, _ = materialize(load(), "raw_scan_retention")
    assert (facts["removed"], facts["days_removed"]) == (1, DAYS[1])
    assert facts["why_kept"] == {DAYS[0]: "not archived"}


def requests_of(sensor):
    with dg.instance_for_test() as instance:
        found = sensor(dg.build_sensor_context(instance=instance))
    return {(r.job_name, str(r.partition_key), r.run_key) for r in found.run_requests or []}


def test_archives_are_due_until_they_hold_what_the_bridge_saw(
    home, settings, tmp_path, monkeypatch
):
    shutil.copytree(home / "run", tmp_path / "run")
    shutil.copytree(home / "scans", tmp_path / "scans")
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    asked = requests_of(days_due.days_archived)
    assert {(name, day) for name, day, _ in asked} == {("scan_archive_job", d) for d in DAYS[:-1]}
    assert requests_of(days_due.days_archived) == asked
    for day in DAYS[:-1]:
        merge_day(tmp_path / "scans" / day, tmp_path / "archive" / f"{day}.parquet")
    assert requests_of(days_due.days_archived) == set()
    with (ledger_folder(tmp_path / "run") / f"{DAYS[0]}.jsonl").open("ab") as file:
        file.write(ledger_line(f"{DAYS[0]}/late.arrow"))
    ((_, day, key),) = requests_of(days_due.days_archived)
    assert day == DAYS[0]
    assert key not in {k for _, _, k in asked}


def test_a_closed_day_is_due_until_its_report_is_final(home, settings, tmp_path, monkeypatch):
    shutil.copytree(home / "journal", tmp_path / "journal")
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    reports = {("paper_report_job", f"{d}|BLUE") for d in DAYS[1:3]}
    assert {r[:2] for r in requests_of(days_due.days_closed)} == reports
    write_paper_report(load(), "BLUE", DAYS[3])
    assert not is_final(load(), "BLUE", DAYS[3])
    for day in DAYS[1:3]:
        write_paper_report(load(), "BLUE", day)
        assert is_final(load(), "BLUE", day)
    assert requests_of(days_due.days_closed) == set()
    shutil.copytree(home / "made", tmp_path / "archive")
    comparisons = {("backtest_vs_paper_job", f"{d}|BLUE") for d in DAYS[1:3]}
    assert {r[:2] for r in requests_of(days_due.days_closed)} == comparisons


def test_backtests_are_due_where_the_archive_is_newer(settings, home, tmp_path, monkeypatch):
    def due():
        return {key for _, key, _ in requests_of(days_due.days_backtested)}

    shutil.copytree(home / "made", tmp_path / "archive")
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    monkeypatch.setenv("DOLPHIN_INSTANCES", "BLUE,GREEN")
    assert due() == {f"{day}|{i}" for day in DAYS[:-1] for i in ("BLUE", "GREEN")}
    report = tmp_path / "reports" / "backtest" / "GREEN" / DAYS[0] / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    left = {f"{day}|{i}" for day in DAYS[:-1] for i in ("BLUE", "GREEN")} - {f"{DAYS[0]}|GREEN"}
    assert due() == left


def test_every_job_of_a_sensor_is_in_a_queue(settings):
    repository = build_definitions(settings).get_repository_def()
    for sensor in repository.sensor_defs:
        for target in sensor.targets:
            assert repository.get_job(target.job_name).tags[pools.QUEUE_TAG] in pools.LIMITS
