"""The stack on PostgreSQL: everything that it is on SQLite."""

import pytest

from dolphin_dagster.instance import pools
from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.ops import dagster_api

RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
LIMITS = "{ instance { concurrencyLimits { concurrencyKey slotCount } } }"


def materialized(stack, asset):
    """Materialize an asset once nothing else is under way."""
    stack.settle()
    run_id = dagster_api.materialize(stack.ui_port, [asset])

    def is_over():
        status = dagster_api.query(stack.ui_port, RUN, {"id": run_id})["runOrError"]["status"]
        assert status not in ("FAILURE", "CANCELED")
        return status == "SUCCESS"

    wait_for(is_over, 90, f"{asset} materialized")
    return run_id


def test_its_storage_is_there_and_nowhere_else(stack, postgres):
    assert int(postgres.psql("SELECT count(*) FROM asset_check_executions")) > 0
    assert int(postgres.psql("SELECT count(*) FROM runs")) > 0
    assert not list((stack.home / "dagster").rglob("*.db"))


def test_its_pools_have_their_limits(stack):
    found = dagster_api.query(stack.ui_port, LIMITS)["instance"]["concurrencyLimits"]
    assert {one["concurrencyKey"]: one["slotCount"] for one in found} == pools.LIMITS


@pytest.mark.timeout(600)
def test_an_asset_is_materialized_and_every_check_is_green(stack):
    materialized(stack, "calendar_factors")
    stack.settle()


LATEST = (
    "SELECT 'check', asset_key, check_name, max(id) FROM asset_check_executions GROUP BY 2, 3",
    "SELECT dagster_event_type, asset_key, partition, max(id) FROM event_logs "
    "WHERE asset_key IS NOT NULL GROUP BY 1, 2, 3",
)


def latest(postgres):
    """Return the row that holds the latest of everything, by what it is."""
    rows = [line.split("|") for query in LATEST for line in postgres.psql(query).splitlines()]
    return {tuple(what): int(row) for *what, row in rows}


@pytest.mark.timeout(600)
def test_retention_keeps_the_latest_of_everything(stack, postgres):
    """Everything is made old: what goes is what is not the latest."""
    before = latest(postgres)
    stack.request(do="stop", name="dagster-daemon")
    for table, column in (
        ("event_logs", "timestamp"),
        ("asset_check_executions", "create_timestamp"),
    ):
        postgres.psql(f"UPDATE {table} SET {column} = {column} - interval '30 days'")
    old = "SELECT count(*) FROM event_logs WHERE run_id = '' AND timestamp < now() - interval '3 days'"
    rows = int(postgres.psql(old))
    stack.request(do="start", name="dagster-daemon")
    materialized(stack, "dagster_retention")
    assert 0 < int(postgres.psql(old)) < rows, "the latest of each are kept"
    after = latest(postgres)
    lost = {what for what, row in before.items() if after.get(what, -1) < row}
    assert lost == set()

    def are_all_evaluated():
        return "NOT_EVALUATED" not in dagster_api.check_states(stack.ui_port).values()

    wait_for(are_all_evaluated, 60, "every check evaluated")


def test_its_password_is_in_no_file_but_its_own(stack, postgres):
    found = [
        p
        for p in stack.home.rglob("*")
        if p.is_file() and postgres.password.encode() in p.read_bytes()
    ]
    assert found == []
