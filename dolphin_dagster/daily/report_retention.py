"""Old reports are removed by an asset of their own, every night."""

from typing import Final

import dagster as dg

from dolphin_dagster.daily.partitions import NIGHTLY
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job, schedule_of
from dolphin_dagster.resources import Stack
from dolphin_realtime.reports.retention import clear_reports, days_of

NAME: Final = "report_retention"


@dg.asset(
    name=NAME,
    group_name="reports",
    freshness_policy=NIGHTLY,
    pool=pools.DOLPHIN,
    owners=["team:dolphin"],
    kinds={"python"},
    deps=["weekly_summary"],
    description=(
        "Removes pages and tables of reports older than `DOLPHIN_REPORT_DAYS`. What they were made "
        "from stays: a day can be materialized again."
    ),
)
def report_retention(stack: Stack) -> dg.MaterializeResult[None]:
    """Remove old reports."""
    settings = stack.settings
    removed = clear_reports(settings.reports, settings.report_days)
    left = days_of(settings.reports)
    return dg.MaterializeResult(
        metadata={
            "removed": len(removed),
            "left": len(left),
            "bytes": sum(f.stat().st_size for f in settings.reports.rglob("*") if f.is_file()),
            "older_than_days": settings.report_days,
        }
    )


report_retention_job = asset_job(NAME, pools.DOLPHIN, 900, "Remove old reports.")
report_retention_schedule = schedule_of(
    report_retention_job,
    "10 4 * * *",
    "Every night at 04:10 UTC: removes reports older than DOLPHIN_REPORT_DAYS.",
)
