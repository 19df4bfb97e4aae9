"""The scheduled assets, materialized for real: archive, backtest, paper report, versus, week, sweep."""

import json
import os
import shutil
import subprocess
import sys

import dagster as dg
import msgspec
import pytest

from dolphin_dagster.daily.days_over import days_over
from dolphin_dagster.daily.products import WARM_UP, backtest_folder, warm_up_state
from dolphin_dagster.definitions import build_definitions
from dolphin_dagster.instance import pools
from dolphin_dagster.resources import resources_of
from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.config.loading import load
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.scans.ledger import Line, ledger_folder

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
    result = dg.materialize(
        [asset], partition_key=partition, run_config=config, resources=resources_of(settings)
    )
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
    key = dg.MultiPartitionKey({"week": DAYS[0], "instance": "BLUE"})
    facts, _ = materialize(settings, "weekly_summary", key)
    assert facts["drift"] == 0.0
    week = json.loads((settings.reports / "weekly/BLUE" / DAYS[0] / "report.json").read_text())
    assert facts["net"] == week["figures"]["net"]
    assert facts["open"] == f"/reports/weekly/BLUE/{DAYS[0]}/report.html"
    assert set(week["days"]) == set(DAYS[1:3])
    assert week["months"]["2025-05"] == pytest.approx(week["figures"]["total_return"])


@pytest.mark.parametrize("asset", ["daily_backtest", "paper_report"])
def test_a_trial_is_kept_apart(settings, home, asset):
    """It leaves page, figures, partition and checks of the day as they were, and says what it is."""
    key = dg.MultiPartitionKey({"day": DAYS[2], "instance": "BLUE"})
    made = next(
        a for a in build_definitions(settings).assets
        if isinstance(a, dg.AssetsDefinition) and a.key == dg.AssetKey(asset)
    )  # fmt: skip
    config = {"ops": {asset: {"config": {"parameters": {"s_in": "1.9", "taker_fee_bps": "20"}}}}}
    before = {p: p.read_bytes() for p in settings.reports.rglob("report.json")}
    with dg.instance_for_test() as instance:
        done = dg.materialize(
            [made], instance=instance, partition_key=key, run_config=config,
            resources=resources_of(settings),
        )  # fmt: skip
        assert done.success
        assert instance.get_materialized_partitions(made.key) == set()
        assert done.get_asset_check_evaluations() == []
        (record,) = instance.fetch_observations(made.key, limit=9).records
    facts = {name: v.value for name, v in record.asset_observation.metadata.items()}
    assert facts["trial"] == {"s_in": "1.9", "taker_fee_bps": "20"}
    assert facts["open"].startswith(f"/reports/trials/BLUE/{DAYS[2]}/{asset}-")
    page = (settings.reports / facts["open"].removeprefix("/reports/")).read_text()
    assert "A trial with other parameters, not what was traded: s_in = 1.9, taker_fee_bps = 20." in page  # fmt: skip
    assert all(path.read_bytes() == text for path, text in before.items())


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


class Look:
    """The sensor on an instance of its own: what it reports, and what it requests."""

    def __init__(self, instance):
        self.instance, self.cursor = instance, None

    def __call__(self):
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        found = days_over(context, stack=resources_of(load())["stack"])
        self.cursor = found.cursor
        for one in found.asset_events:
            self.instance.report_runless_asset_event(one)
        told = {(e.asset_key.to_user_string(), e.partition) for e in found.asset_events}
        return told, {(r.job_name, r.partition_key) for r in found.run_requests or []}


@pytest.fixture
def look(tmp_path, monkeypatch):
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    with dg.instance_for_test() as instance:
        yield Look(instance)


def test_days_are_told_when_they_are_over_and_again_when_late_files_came(
    home, settings, tmp_path, look
):
    shutil.copytree(home / "run", tmp_path / "run")
    shutil.copytree(home / "journal", tmp_path / "journal")
    days = {("scan_files", d) for d in DAYS[:-1]} | {("trading_days", f"{d}|BLUE") for d in DAYS[1:3]}  # fmt: skip
    assert look() == (days, set())
    assert look() == (set(), set())
    with (ledger_folder(tmp_path / "run") / f"{DAYS[0]}.jsonl").open("ab") as file:
        file.write(ledger_line(f"{DAYS[0]}/late.arrow"))
    assert look() == ({("scan_files", DAYS[0])}, set())
    assert look() == (set(), set())


def test_a_storage_that_is_gone_is_told_everything_again(home, settings, tmp_path, look):
    shutil.copytree(home / "made", tmp_path / "archive")
    days = {("scan_files", d) for d in DAYS[:-1]}
    assert look() == (days, set()), "archived days count, the newest may not be over"
    with dg.instance_for_test() as another:
        look.instance = another
        assert look()[0] == set(), "a storage that lost events alone keeps the cursor"
        look.cursor = None
        assert look() == (days, set())


def test_what_was_made_and_is_gone_or_another_is_made_again(home, settings, tmp_path, look):
    archive = tmp_path / "archive"
    shutil.copytree(home / "made", archive)
    look()
    for day in DAYS[:3]:
        size = (archive / f"{day}.parquet").stat().st_size
        look.instance.report_runless_asset_event(
            dg.AssetMaterialization("scan_archive", partition=day, metadata={"bytes": size})
        )
    assert look()[1] == set()
    (archive / f"{DAYS[0]}.parquet").unlink()
    shutil.copy(archive / f"{DAYS[3]}.parquet", archive / f"{DAYS[1]}.parquet")
    assert look()[1] == {("scan_archive_job", DAYS[0]), ("scan_archive_job", DAYS[1])}


def test_a_journal_that_cannot_be_read_hides_no_other_day(home, settings, tmp_path, look):
    shutil.copytree(home / "run", tmp_path / "run")
    (tmp_path / "journal" / "BLUE").mkdir(parents=True)
    (tmp_path / "journal" / "BLUE" / "journal.sqlite").write_bytes(b"not a database" * 99)
    assert {name for name, _ in look()[0]} == {"scan_files"}


def test_books_that_go_on_hold_their_day_back(home, settings, tmp_path, look, monkeypatch):
    shutil.copytree(home / "run", tmp_path / "run")
    books = tmp_path / "books"
    books.mkdir()
    (books / f"{DAYS[2]}.jsonl").write_text("{}")
    assert look()[0] == {("scan_files", d) for d in DAYS[:2]}
    (books / f"{DAYS[3]}.jsonl").write_text("{}")
    assert look()[0] == {("scan_files", DAYS[2]), ("book_files", DAYS[2])}


def test_every_job_and_condition_is_in_a_queue(settings):
    repository = build_definitions(settings).get_repository_def()
    for sensor in repository.sensor_defs:
        if isinstance(sensor, dg.AutomationConditionSensorDefinition):
            assert sensor.run_tags[pools.QUEUE_TAG] in pools.LIMITS
            continue
        for target in sensor.targets:
            assert repository.get_job(target.job_name).tags[pools.QUEUE_TAG] in pools.LIMITS


def test_a_backtest_whose_warm_up_changed_is_made_again(home, settings, tmp_path, look):
    """A late scan of a day changes the archive that the next day's backtest was warmed up with."""
    archive = tmp_path / "archive"
    shutil.copytree(home / "made", archive)
    look()
    key = dg.MultiPartitionKey({"day": DAYS[1], "instance": "BLUE"})
    made = backtest_folder(load(), "BLUE", DAYS[1]) / "report.json"
    made.parent.mkdir(parents=True)
    made.write_text("{}")
    look.instance.report_runless_asset_event(
        dg.AssetMaterialization(
            "daily_backtest", partition=key, metadata={WARM_UP: warm_up_state(load(), DAYS[1])}
        )
    )
    assert look()[1] == set()
    shutil.copy(archive / f"{DAYS[3]}.parquet", archive / f"{DAYS[0]}.parquet")
    assert look()[1] == {("daily_backtest_job", f"{DAYS[1]}|BLUE")}


def test_an_archive_whose_checks_are_of_another_run_is_made_again(home, settings, tmp_path, look):
    """Two runs of a day, asked for at once, end in the other order: Dagster counts no result."""
    shutil.copytree(home / "made", tmp_path / "archive")
    look()
    archive = next(
        a for a in build_definitions(load()).assets
        if isinstance(a, dg.AssetsDefinition) and a.key == dg.AssetKey("scan_archive")
    )  # fmt: skip
    dg.materialize(
        [archive], instance=look.instance, partition_key=DAYS[0], resources=resources_of(load())
    )
    assert look()[1] == set()
    size = (tmp_path / "archive" / f"{DAYS[0]}.parquet").stat().st_size
    look.instance.report_runless_asset_event(
        dg.AssetMaterialization("scan_archive", partition=DAYS[0], metadata={"bytes": size})
    )
    assert look()[1] == {("scan_archive_job", DAYS[0])}
