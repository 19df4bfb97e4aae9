"""The sensor that reports a check's result again if Dagster would show "Not evaluated".

Dagster shows the check result of the run that was requested last, and only if it belongs to the
asset's newest materialization. Two runs of an asset may end in another order than they were
requested: then the newest materialization and the newest result come from different runs.
"""

from collections.abc import Collection, Iterator
from typing import Final

import dagster as dg

from dolphin_dagster.checks import EVALUATED, repository_of
from dolphin_dagster.instance.dagster_internals import AssetCheckExecutionRecord

NAME: Final = "checks_overtaken"
SENSOR_INTERVAL_S: Final = 15
LOOKED_BACK: Final = 10
"""How many results of a check are searched for that of the newest materialization's run."""


def overtaken(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the results to report again: those of the run of the newest materialization.

    Args:
        instance: The Dagster instance.
        keys: Checks of assets without partitions.
    """
    storage = instance.event_log_storage
    records = instance.get_asset_records(list({key.asset_key for key in keys}))
    newest = {r.asset_entry.asset_key: r.asset_entry.last_materialization_record for r in records}
    for key, last in storage.get_latest_asset_check_execution_by_key(list(keys)).items():
        made = newest.get(key.asset_key)
        if made is None or not made.run_id:  # made by a sensor, which reports its results itself
            continue
        if is_under_way(instance, last, made) or is_of(last, made):
            continue
        for record in storage.get_asset_check_execution_history(key, limit=LOOKED_BACK):
            if record.run_id == made.run_id and record.status in EVALUATED:
                yield _again(record)
                break


def is_under_way(
    instance: dg.DagsterInstance, result: AssetCheckExecutionRecord, made: dg.EventLogRecord
) -> bool:
    """Return whether a check has no result yet and its run is not over, or ended after ``made``."""
    if result.status in EVALUATED:
        return False
    run = instance.get_run_record_by_id(result.run_id)
    if run is None or not run.dagster_run.is_finished:
        return True
    return run.update_timestamp.timestamp() >= made.timestamp


def is_of(result: AssetCheckExecutionRecord, made: dg.EventLogRecord) -> bool:
    """Return whether Dagster counts a result as belonging to a materialization."""
    if result.run_id == made.run_id:
        return True
    if result.status not in EVALUATED:
        return False
    target = _evaluation(result).target_materialization_data
    if target is not None:
        return target.storage_id == made.storage_id
    return made.timestamp < result.create_timestamp


def _evaluation(record: AssetCheckExecutionRecord) -> dg.AssetCheckEvaluation:
    if record.event is None or record.event.dagster_event is None:
        raise dg.DagsterInvariantViolationError(f"a result of {record.key} has no event")
    return record.event.dagster_event.asset_check_evaluation_data


def _again(record: AssetCheckExecutionRecord) -> dg.AssetCheckEvaluation:
    found = _evaluation(record)
    return dg.AssetCheckEvaluation(
        asset_key=found.asset_key,
        check_name=found.check_name,
        passed=found.passed,
        severity=found.severity,
        metadata={**found.metadata, "told_again_from": record.run_id},
        target_materialization_data=found.target_materialization_data,
    )


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Reports a check's result again if two runs of an asset ended in another order than "
        'they were requested; otherwise Dagster would show "Not evaluated".'
    ),
)
def checks_overtaken(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look at the newest results once and report superseded ones again."""
    graph = repository_of(context).asset_graph
    keys = [k for k in graph.asset_check_keys if graph.get(k.asset_key).partitions_def is None]
    again = list(overtaken(context.instance, keys))
    names = ", ".join(f"{e.asset_key.to_user_string()}:{e.check_name}" for e in again)
    return dg.SensorResult(
        asset_events=again, skip_reason=f"told again: {names}" if again else "none was overtaken"
    )
