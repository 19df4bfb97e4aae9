"""What must hold of every Dagster definition, whatever is added."""

import re
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from dolphin_dagster.definitions import build_definitions
from dolphin_dagster.instance import pools, setup
from dolphin_dagster.realtime.table import make_rules
from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import SettingsError


@pytest.fixture(scope="module")
def graph():
    definitions = build_definitions(load({}))
    dg.Definitions.validate_loadable(definitions)
    return definitions.resolve_asset_graph()


def test_every_asset_and_check_that_runs_names_a_known_pool(graph):
    for asset in graph.assets_defs:
        if asset.is_executable:
            assert asset.node_def.pools, asset.key
            assert asset.node_def.pools <= pools.LIMITS.keys()


def test_every_asset_has_a_description_an_owner_and_a_group(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.group_name in {"stack", "realtime", "archive", "indicators", "reports"}, key


def test_every_reported_check_is_defined_and_says_what_to_do(graph):
    rules = make_rules(load({}))
    assert {dg.AssetCheckKey(dg.AssetKey(r.asset), r.name) for r in rules} <= set(
        graph.asset_check_keys
    )
    for rule in rules:
        words = re.fullmatch(
            r"Green while (.+)\. Look at: (.+)\. Do: (.+)\. docs/runbook\.md#(.+)", rule.description
        )
        assert words, rule.description
        assert words[4] == f"{rule.heading or rule.asset}-{rule.name}"


def test_jobs_run_in_one_process_and_have_a_longest_time():
    repository = build_definitions(load({})).get_repository_def()
    for job in repository.get_all_jobs():
        assert job.executor_def.name == "in_process", job.name
        if not job.name.startswith("__"):
            assert pools.MAX_RUNTIME_TAG in job.tags, job.name
            assert job.tags[pools.QUEUE_TAG] in pools.LIMITS


def test_schedules_and_sensors_have_an_explicit_default():
    repository = build_definitions(load({})).get_repository_def()
    stopped = dg.DefaultScheduleStatus.STOPPED
    assert repository.schedule_defs
    assert {s.name for s in repository.schedule_defs if s.default_status is stopped} == set()
    assert {s.name for s in repository.sensor_defs} == {
        "realtime_health", "factor_health", "factors_due", "days_over", "archives_follow", "books_follow",
        "backtests_follow", "reports_follow", "checks_overtaken", "alerts", "runs_failed", "runs_recovered",
    }  # fmt: skip


def test_pool_limits_are_written_and_foreign_ones_removed():
    with dg.instance_for_test() as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("old-queue", 5)
        storage.set_concurrency_slots(pools.SCAN, 7)
        setup.apply_limits(instance)
        assert {p.name: p.limit for p in storage.get_pool_limits()} == pools.LIMITS


def test_partitions_are_the_days_that_are_set():
    definitions = build_definitions(
        Settings(archive_first_day="2025-05-12", archive_last_day="2025-05-15")
    )
    archive = definitions.resolve_asset_graph().get(dg.AssetKey("scan_archive"))
    assert archive.partitions_def.get_partition_keys() == [
        "2025-05-12",
        "2025-05-13",
        "2025-05-14",
        "2025-05-15",
    ]


def archive_days(home):
    settings = Settings(home=home)
    archive = build_definitions(settings).resolve_asset_graph().get(dg.AssetKey("scan_archive"))
    later = datetime.now(UTC) + timedelta(days=1)
    return archive.partitions_def.get_partition_keys(current_time=later)


def test_partitions_of_a_new_server_begin_today(tmp_path):
    today = datetime.now(UTC).date().isoformat()
    assert archive_days(tmp_path) == [today]


def test_partitions_begin_with_the_first_day_that_there_is(tmp_path):
    for folder, day in (("archive", 3), ("book_archive", 2), ("run/bridge/seen", 4)):
        path = tmp_path / folder / f"{datetime.now(UTC).date() - timedelta(days=day)}"
        path.parent.mkdir(parents=True)
        path.with_suffix(".jsonl" if "run" in folder else ".parquet").touch()
    assert archive_days(tmp_path)[0] == path.stem


def test_a_misspelt_indicator_that_is_to_be_off_is_named(monkeypatch):
    monkeypatch.setenv("DOLPHIN_SOURCE_OFF", "vix, fearandgreed")
    with pytest.raises(SettingsError, match="names fearandgreed; there are btc_dominance, "):
        build_definitions(load({}))


def test_schedules_of_what_is_off_start_stopped(monkeypatch):
    monkeypatch.setenv("DOLPHIN_SOURCE_OFF", "vix")
    repository = build_definitions(load({})).get_repository_def()
    states = {s.name: s.default_status.value for s in repository.schedule_defs}
    assert states["vix_schedule"] == "STOPPED"
    assert states["funding_schedule"] == "RUNNING"


def test_a_table_tells_its_columns_and_everything_its_kind(graph):
    for name in ("scan_archive", "orderbook_archive", "external_factors"):
        assert "dagster/column_schema" in graph.get(dg.AssetKey(name)).metadata, name
    for key in graph.get_all_asset_keys():
        assert graph.get(key).kinds, key


def test_lineage_goes_from_the_scan_files_to_the_weekly_summary(graph):
    reached, left = set(), ["scan_files"]
    while left:
        one = left.pop()
        reached.add(one)
        left += [k.to_user_string() for k in graph.get(dg.AssetKey(one)).child_keys]
    assert {"bridge", "scan_feed", "trader_BLUE", "journal_BLUE", "trading_days", "paper_report",
            "scan_archive", "daily_backtest", "backtest_vs_paper", "weekly_summary"} <= reached  # fmt: skip


def test_every_realtime_asset_has_a_dead_man(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        if node.group_name == "realtime" and node.partitions_def is None:
            assert node.freshness_policy is not None, key
