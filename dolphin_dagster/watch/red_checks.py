"""Which checks are red: the last result failed with severity ERROR. Factors report their own."""

from collections.abc import Mapping
from typing import Final

import dagster as dg
import msgspec

from dolphin_dagster import checks
from dolphin_dagster.factors.registry import external
from dolphin_dagster.instance.dagster_internals import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
    AssetGraph,
    PartitionKeyFilter,
)

LIGHT: Final = "stack_health"
"""Key of the asset that shows what is red, and is no reason for an alert itself."""
WHY: Final = ("why", "posture", "status")
"""Facts of a result that say what is wrong, the first that there is."""


class Bad(msgspec.Struct, frozen=True):
    """Something that is wrong: a description, and the runbook section that says what to do."""

    why: str
    runbook: str
    is_fact: bool = False
    """Whether it is a finished event: it is reported at once, not only at the second look."""


def keys_of(graph: AssetGraph, *, partitioned: bool) -> list[dg.AssetCheckKey]:
    """Return the checks that are judged here, of partitioned assets or of the others."""
    return [
        key
        for key in graph.asset_check_keys
        if key.asset_key.path[-1] not in (*external(), LIGHT)
        and (graph.get(key.asset_key).partitions_def is not None) == partitioned
    ]


def red_checks(
    instance: dg.DagsterInstance, graph: AssetGraph, red: Mapping[str, Bad]
) -> dict[str, Bad]:
    """Return the red checks of assets without partitions, by ``asset:check``.

    A check that is being evaluated, or that the storage does not know, keeps its last reported
    state.
    """
    found: dict[str, Bad] = {}
    keys = keys_of(graph, partitioned=False)
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for key in keys:
        name, record = f"{key.asset_key.to_user_string()}:{key.name}", records.get(key)
        if record is None or record.status == AssetCheckExecutionRecordStatus.PLANNED:
            found |= {name: red[name]} if name in red else {}
        elif bad := _bad(record, graph):
            found[name] = bad
    return found


def red_days(
    instance: dg.DagsterInstance, graph: AssetGraph, red: Mapping[str, Bad], after: int | None
) -> tuple[dict[str, Bad], int | None]:
    """Return the red checks of partitions, by ``asset partition:check``, and where to go on.

    Each partition counts alone: a pass of another clears nothing.

    Args:
        instance: The Dagster instance.
        graph: The definitions' asset graph.
        red: What was reported and is still active.
        after: What the last call returned; None: every result is read.
    """
    keys = keys_of(graph, partitioned=True)
    mine = {(key.asset_key.to_user_string(), key.name) for key in keys}
    found = {
        name: bad
        for name, bad in red.items()
        if (name.split(" ")[0], name.rpartition(":")[2]) in mine and _is_partition(graph, name)
    }
    for info in instance.event_log_storage.get_asset_check_partition_info(keys, after):
        after = max(after or 0, info.latest_check_event_storage_id)
        key = info.check_key
        name = f"{key.asset_key.to_user_string()} {info.partition_key}:{key.name}"
        if info.latest_execution_status == AssetCheckExecutionRecordStatus.SUCCEEDED:
            found.pop(name, None)
        elif info.latest_execution_status == AssetCheckExecutionRecordStatus.FAILED:
            wanted = PartitionKeyFilter(key=info.partition_key)
            (record,) = instance.event_log_storage.get_asset_check_execution_history(
                key, limit=1, partition_filter=wanted
            )
            bad = _bad(record, graph)
            found = {**found, name: bad} if bad else found
    return found, after


def _is_partition(graph: AssetGraph, name: str) -> bool:
    """Return whether ``asset partition:check`` names a partition that there is (still)."""
    asset, _, partition = name.rpartition(":")[0].partition(" ")
    days = graph.get(dg.AssetKey(asset)).partitions_def
    return days is not None and days.has_partition_key(partition)


def _bad(record: AssetCheckExecutionRecord, graph: AssetGraph) -> Bad | None:
    """Return what a result says is wrong, None if it passed or only warns."""
    event = record.event.dagster_event if record.event else None
    if event is None or record.status not in checks.EVALUATED:
        return None
    result = event.asset_check_evaluation_data
    if result.passed or result.severity != dg.AssetCheckSeverity.ERROR:
        return None
    why = next(filter(None, map(result.metadata.get, WHY)), None)
    runbook = (graph.get_check_spec(record.key).description or checks.RUNBOOK).split()[-1]
    is_partition = record.partition is not None
    return Bad(str(why.value if why else "see its page"), runbook, is_fact=is_partition)
