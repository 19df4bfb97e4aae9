"""Pruning a real SQLite instance: old goes, every latest state stays."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

from dolphin_dagster.instance import retention
from dolphin_dagster.instance.retention import prune

KEY = dg.AssetKey("bridge")


@dg.asset(group_name="indicators", check_specs=[dg.AssetCheckSpec("fine", asset="factor")])
def factor():
    yield dg.MaterializeResult()
    yield dg.AssetCheckResult(passed=True)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def archive():
    return None


DEFINITIONS = dg.Definitions(
    assets=[factor, archive],
    jobs=[dg.define_asset_job(f"{name}_job", selection=[name]) for name in ("factor", "archive")],
)
GRAPH = DEFINITIONS.resolve_asset_graph()
FUTURE = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def report(instance, passed):
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=KEY, check_name="is_alive", passed=passed)
    )


def latest(instance):
    key = dg.AssetCheckKey(KEY, "is_alive")
    (record,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).values()
    made = instance.get_latest_materialization_event(KEY)
    return record.id, record.status, record.event.timestamp, made.timestamp


def _rows(instance):
    with instance.event_log_storage.index_connection() as db:
        return len(db.execute(sa.select(AssetCheckExecutionsTable.c.id)).fetchall())


def test_many_kept_runs_do_not_hide_what_may_go(instance, monkeypatch):
    monkeypatch.setattr(retention, "RUNS_AT_ONCE", 2)
    archives, factors = (DEFINITIONS.resolve_job_def(f"{n}_job") for n in ("archive", "factor"))
    for _ in range(3):
        archives.execute_in_process(instance=instance, partition_key="a")
    for _ in range(4):
        factors.execute_in_process(instance=instance)
    assert prune(instance, GRAPH, FUTURE).runs == 3


def test_every_partition_keeps_its_latest(instance):
    for _ in range(2):
        for key in "ab":
            instance.report_runless_asset_event(
                dg.AssetMaterialization(dg.AssetKey("archive"), partition=key)
            )
    prune(instance, GRAPH, FUTURE)
    assert instance.get_materialized_partitions(dg.AssetKey("archive")) == {"a", "b"}


def test_old_events_go_and_the_latest_stay(instance):
    for n in range(20):
        report(instance, passed=n % 2 == 0)
    before = latest(instance)
    pruned = prune(instance, GRAPH, FUTURE)
    assert (pruned.events, pruned.checks) == (38, 19)
    assert latest(instance) == before
    again = prune(instance, GRAPH, FUTURE)
    assert (again.events, again.checks, again.runs) == (0, 0, 0)


def test_what_is_young_stays(instance):
    for _ in range(3):
        report(instance, passed=True)
    pruned = prune(instance, GRAPH, datetime.now(UTC) - timedelta(hours=1))
    assert (pruned.events, pruned.checks, pruned.runs) == (0, 0, 0)


def test_old_runs_of_factors_go_but_the_latest_and_those_of_partitions(instance):
    factors = DEFINITIONS.resolve_job_def("factor_job")
    runs = [factors.execute_in_process(instance=instance).run_id for _ in range(3)]
    days = [
        DEFINITIONS.resolve_job_def("archive_job")
        .execute_in_process(instance=instance, partition_key=key)
        .run_id
        for key in "ab"
    ]
    assert prune(instance, GRAPH, FUTURE).runs == 2
    assert _rows(instance) == 1, "results of runs that are gone go with them"
    left = {run.run_id for run in instance.get_runs()}
    assert left == {runs[-1], *days}
    key = dg.AssetCheckKey(dg.AssetKey("factor"), "fine")
    (record,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).values()
    assert record.run_id == runs[-1]
    assert instance.get_materialized_partitions(dg.AssetKey("archive")) == {"a", "b"}
