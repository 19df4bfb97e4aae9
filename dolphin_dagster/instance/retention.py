"""Keeps Dagster's own storage small: old records are pruned, every latest state is kept.

Dagster itself prunes only ticks (dagster.yaml). Sensors write events without a run all day long;
factors add hundreds of runs a day. Runs of partitioned assets are never removed: their partitions
would show as missing.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import msgspec
import sqlalchemy as sa

from dolphin_dagster.daily.partitions import NIGHTLY
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.dagster_internals import AssetCheckExecutionsTable as Executions
from dolphin_dagster.instance.dagster_internals import (
    AssetGraph,
    LocalComputeLogManager,
    SqlEventLogStorage,
    SqliteEventLogStorage,
)
from dolphin_dagster.instance.dagster_internals import SqlEventLogStorageTable as Events
from dolphin_dagster.instance.jobs import asset_job, assets_of, schedule_of
from dolphin_dagster.resources import Stack

NAME: Final = "dagster_retention"
RUNLESS: Final = ""
"""Dagster's run id of an event that belongs to no run."""
KINDS: Final = ("ASSET_CHECK_EVALUATION", "ASSET_MATERIALIZATION", "ASSET_OBSERVATION")
RUNS_AT_ONCE: Final = 500
PRUNABLE: Final = "indicators"
"""Group of the assets whose runs are pruned: there are hundreds a day."""
FINISHED: Final = [
    dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED,
]  # fmt: skip

LATEST_EVENTS: Final = sa.select(sa.func.max(Events.c.id)).group_by(
    Events.c.asset_key, Events.c.dagster_event_type, Events.c.partition
)
LATEST_RESULTS: Final = sa.select(sa.func.max(Executions.c.id)).group_by(
    Executions.c.asset_key, Executions.c.check_name
)


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """How much was removed."""

    events: int
    checks: int
    runs: int


def prune(instance: dg.DagsterInstance, graph: AssetGraph, before: datetime) -> Pruned:
    """Remove old events and check results without a run, and old runs of factors.

    The latest event of each kind for each asset and partition, the latest result of each check, and
    the runs that these came from are kept however old they are.

    Args:
        instance: The Dagster instance.
        graph: The definitions' asset graph: says what is partitioned.
        before: What is older is removed.
    """
    checks = _prune_checks(instance, before)
    events = _prune_events(instance, before)
    return Pruned(events=events, checks=checks, runs=_prune_runs(instance, graph, before))


def _storage(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    """Return the event storage, which must be an SQL one."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} cannot be pruned")
    return storage


def _prune_checks(instance: dg.DagsterInstance, before: datetime) -> int:
    old = sa.and_(
        Executions.c.run_id == RUNLESS,
        Executions.c.create_timestamp < before.replace(tzinfo=None),
        Executions.c.id.not_in(LATEST_RESULTS.scalar_subquery()),
    )
    with _storage(instance).index_connection() as db:
        return int(db.execute(sa.delete(Executions).where(old)).rowcount)


def _prune_events(instance: dg.DagsterInstance, before: datetime) -> int:
    storage = _storage(instance)
    needed = sa.select(Executions.c.evaluation_event_storage_id).where(
        Executions.c.evaluation_event_storage_id.is_not(None)
    )
    old = sa.and_(
        Events.c.run_id == RUNLESS,
        Events.c.dagster_event_type.in_(KINDS),
        Events.c.timestamp < before.replace(tzinfo=None),
    )
    unneeded = sa.and_(
        Events.c.id.not_in(LATEST_EVENTS.scalar_subquery()),
        Events.c.id.not_in(needed.scalar_subquery()),
    )
    with storage.index_connection() as db:
        removed = int(db.execute(sa.delete(Events).where(old, unneeded)).rowcount)
    if isinstance(storage, SqliteEventLogStorage):  # keeps them in a file of their own as well
        with storage.run_connection(RUNLESS) as db:
            db.execute(sa.delete(Events).where(old))
    return removed


def _needed_runs(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs that hold the latest event or result of anything."""
    found = set()
    newest = LATEST_EVENTS.where(Events.c.asset_key.is_not(None))
    with _storage(instance).index_connection() as db:
        for table, latest in ((Events, newest), (Executions, LATEST_RESULTS)):
            query = sa.select(table.c.run_id).where(table.c.id.in_(latest.scalar_subquery()))
            found |= {row[0] for row in db.execute(query)}
    return found


def _is_prunable(run: dg.DagsterRun, graph: AssetGraph) -> bool:
    """Return whether a run materialized only unpartitioned factors, or only evaluated checks."""
    if run.asset_check_selection and not run.asset_selection:
        return True
    keys = {dg.AssetKey(name) for name in assets_of(run)}
    known = graph.get_all_asset_keys()
    nodes = [graph.get(key) for key in keys if key in known]
    return len(nodes) == len(keys) and all(
        node.group_name == PRUNABLE and node.partitions_def is None for node in nodes
    )


def _prune_runs(instance: dg.DagsterInstance, graph: AssetGraph, before: datetime) -> int:
    needed = _needed_runs(instance)
    doomed: list[str] = []
    old, cursor = dg.RunsFilter(statuses=FINISHED, created_before=before), None
    while runs := instance.get_runs(old, cursor=cursor, limit=RUNS_AT_ONCE):
        cursor = runs[-1].run_id
        doomed += [
            run.run_id for run in runs if run.run_id not in needed and _is_prunable(run, graph)
        ]
    for run_id in doomed:
        _remove_run(instance, run_id)
    return len(doomed)


def _remove_run(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    with _storage(instance).index_connection() as db:
        db.execute(sa.delete(Executions).where(Executions.c.run_id == run_id))
    _remove_files(instance, run_id)


def _remove_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove a run's event file (SQLite keeps one for each run) and its captured output."""
    storage, logs = instance.event_log_storage, instance.compute_log_manager
    if isinstance(storage, SqliteEventLogStorage):
        for suffix in ("", "-wal", "-shm"):
            Path(storage.path_for_shard(run_id) + suffix).unlink(missing_ok=True)
    if isinstance(logs, LocalComputeLogManager):
        output = Path(logs.get_captured_local_path([run_id, "any"], "out")).parent
        shutil.rmtree(output, ignore_errors=True)


@dg.asset(
    name=NAME,
    group_name="archive",
    freshness_policy=NIGHTLY,
    pool=pools.DOLPHIN,
    owners=["team:dolphin"],
    kinds={"sqlite"},
    description=(
        "Removes from Dagster's own storage what is older than `DOLPHIN_EVENT_DAYS`: events that "
        "sensors wrote, results of checks, runs of factors. Every latest state and every run of a "
        "partitioned asset is kept."
    ),
)
def dagster_retention(
    context: dg.AssetExecutionContext, stack: Stack
) -> dg.MaterializeResult[None]:
    """Prune once."""
    days = stack.settings.event_days
    graph = context.repository_def.asset_graph
    done = prune(context.instance, graph, datetime.now(UTC) - timedelta(days=days))
    return dg.MaterializeResult(
        metadata={
            "events_removed": done.events,
            "check_results_removed": done.checks,
            "runs_removed": done.runs,
            "older_than_days": days,
        }
    )


dagster_retention_job = asset_job(
    NAME, pools.DOLPHIN, 1800, "Remove old events and runs of factors from Dagster's storage."
)
dagster_retention_schedule = schedule_of(
    dagster_retention_job,
    "50 3 * * *",
    "Every night at 03:50 UTC: removes old events and runs of factors.",
)
