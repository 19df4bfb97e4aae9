"""Jobs, each in a pool's queue and with a maximum runtime, and their schedules."""

from collections.abc import Sequence
from typing import Any, Final

import dagster as dg

from dolphin_dagster.instance import pools

WAITING: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)
"""Statuses of a run that is queued or running."""


PARTITION_TAG: Final = "dagster/partition"


def assets_of(run: dg.DagsterRun) -> set[str]:
    """Return the assets a run materializes: its selection, else the one its job is named after."""
    selected = {key.path[-1] for key in run.asset_selection or ()}
    return selected or {run.job_name.removesuffix("_job")}


def asset_job(
    name: str,
    pool: str,
    max_runtime_s: int,
    description: str,
    assets: Sequence[str] | None = None,
) -> Any:
    """Return the job `<name>_job` that materializes assets, unresolved (Dagster names no type).

    Args:
        name: Name of the job, and of its one asset unless others are given.
        pool: The queue that its runs wait in.
        max_runtime_s: A run is ended after this time, so that it cannot block its pool for ever.
        description: Text for the job's page.
        assets: Keys of what it materializes; None: the asset named like the job.
    """
    return dg.define_asset_job(
        f"{name}_job",
        selection=dg.AssetSelection.assets(*(assets or [name])),
        tags=pools.tags(pool, max_runtime_s),
        description=description,
    )


def schedule_of(job: Any, cron: str, description: str) -> dg.ScheduleDefinition:
    """Return the schedule `<name>_schedule` of a job `<name>_job`: in UTC, on from the start."""
    return dg.ScheduleDefinition(
        name=f"{job.name.removesuffix('_job')}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
