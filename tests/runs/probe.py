"""Assets that only take their time, one a queue and one by day, to prove the queues with.

Each appends its run's id to a file when it begins: what ran twice stands there twice.
"""

import os
import time
from pathlib import Path

import dagster as dg

from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job
from tests.runs.probe_names import name_of

SECONDS = float(os.environ.get("PROBE_SECONDS", "1"))
BEGUN = Path(os.environ["PROBE_FOLDER"]) / "begun"
FIRST_DAY = "2026-01-01"


def work(context):
    with BEGUN.open("a") as f:
        f.write(f"{context.run_id}\n")
    time.sleep(float(context.run.tags.get("probe/seconds", SECONDS)))


def asset_in(pool):
    @dg.asset(name=name_of(pool), pool=pool)
    def asset(context):
        work(context)

    return asset


@dg.asset(pool=pools.DOLPHIN, partitions_def=dg.DailyPartitionsDefinition(FIRST_DAY))
def by_day(context):
    work(context)


IS_STOCK = bool(os.environ.get("PROBE_STOCK"))
assets = [*(asset_in(pool) for pool in pools.LIMITS), by_day]
jobs = [asset_job(name_of(pool), pool, 120, "Takes its time.") for pool in pools.LIMITS]
defs = (
    dg.Definitions(assets=assets, jobs=jobs)
    if IS_STOCK
    else dg.Definitions(
        assets=assets,
        jobs=jobs,
        executor=dg.in_process_executor,
    )
)
