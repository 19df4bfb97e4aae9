"""Jobs: one asset each, in its pool's queue, with the longest time it may take."""

from typing import Any

import dagster as dg

from dolphin_dagster import pools


def asset_job(name: str, pool: str, max_runtime_s: int, description: str) -> Any:
    """Return the job `<name>_job` that materializes one asset, unresolved (Dagster names no type).

    Args:
        name: The asset's key.
        pool: The queue that its runs wait in.
        max_runtime_s: A run is ended after so long: what holds a pool cannot block it for ever.
        description: For the job's page.
    """
    return dg.define_asset_job(
        f"{name}_job",
        selection=dg.AssetSelection.assets(name),
        tags={pools.QUEUE_TAG: pool, pools.MAX_RUNTIME_TAG: str(max_runtime_s)},
        description=description,
    )
