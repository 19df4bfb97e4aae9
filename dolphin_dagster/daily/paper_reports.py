"""Paper-trade reports by day and instance, and the weekly summary over all of them.

The assets belong here; figures and pages belong in dolphin_realtime/reports.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.daily.partitions import day_and_instance, days_by_instance, weeks
from dolphin_dagster.daily.report_metadata import metadata_of
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job
from dolphin_dagster.realtime.assets import journal
from dolphin_realtime.config.settings import Settings, load
from dolphin_realtime.journal.check import check
from dolphin_realtime.reports.daily import write_paper_report
from dolphin_realtime.reports.weekly import Week, write_weekly

NAME: Final = "paper_report"
WEEKLY: Final = "weekly_summary"
GROUP: Final = "reports"
JOURNAL_CHECK: Final = checks.spec(
    NAME, "journal_holds", "Every identity of the instance's whole journal holds."
)


def make_paper_report(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by day and instance."""

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        pool=pools.DOLPHIN,
        partitions_def=days_by_instance(settings),
        owners=["team:dolphin"],
        kinds={"python", "sqlite", "plotly"},
        deps=[journal(instance) for instance in settings.instance_names],
        check_specs=[JOURNAL_CHECK],
        description=(
            "One day of one instance from its journal: net profit and costs, trades, exposure, "
            "latency. In `reports/paper/<instance>/<day>/`, or `dolphin report DAY --open`."
        ),
    )
    def paper_report(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Write the day's report and verify the journal behind it."""
        now = load()
        day, instance = day_and_instance(context)
        yield dg.MaterializeResult(metadata=metadata_of(write_paper_report(now, instance, day)))
        found = check(now.journal_dir(instance))
        facts = {"rows": found.rows, "first_break": found.first_break or "none"}
        yield checks.result(NAME, "journal_holds", found.ok, facts, is_error=True)

    return paper_report


def make_weekly_summary(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by week."""

    @dg.asset(
        name=WEEKLY,
        group_name=GROUP,
        pool=pools.DOLPHIN,
        partitions_def=weeks(settings),
        owners=["team:dolphin"],
        kinds={"python", "plotly"},
        deps=[
            dg.AssetDep("paper_report", partition_mapping=dg.AllPartitionMapping()),
            dg.AssetDep("backtest_vs_paper", partition_mapping=dg.AllPartitionMapping()),
        ],
        description=(
            "A week of every instance: equity, drawdown, returns by month, costs, and how far "
            "paper trading drifted from its backtests. In `reports/weekly/<monday>/`."
        ),
    )
    def weekly_summary(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Write the week's summary."""
        now = load()
        first = date.fromisoformat(context.partition_key)
        week = write_weekly(now, first.isoformat(), (first + timedelta(days=6)).isoformat())
        return dg.MaterializeResult(metadata=_facts(week))

    return weekly_summary


def _facts(week: Week) -> dict[str, Any]:
    lines = ["| instance | net | return | drawdown | parity drift |", "|---|---|---|---|---|"]
    facts: dict[str, Any] = {}
    for name, row in week.instances.items():
        f = row.figures
        lines.append(
            f"| {name} | {f.net:,.2f} | {100 * f.total_return:+.3f} % | "
            f"{100 * f.max_drawdown:.3f} % | {row.drift:,.2f} |"
        )
        facts |= {f"net_{name}": f.net, f"drift_{name}": row.drift}
    return {
        **facts,
        "summary": dg.MetadataValue.md("\n".join(lines)),
        "report": dg.MetadataValue.path(str(week.html)),
    }


paper_report_job = asset_job(NAME, pools.DOLPHIN, 900, "Report a day of paper trading.")
weekly_summary_job = asset_job(WEEKLY, pools.DOLPHIN, 900, "Sum up a week.")


@dg.schedule(
    name="weekly_summary_schedule",
    job=weekly_summary_job,
    cron_schedule="0 6 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every Monday at 06:00 UTC: the summary of the week before.",
)
def weekly_summary_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Request the summary of the week before."""
    week = (context.scheduled_execution_time.date() - timedelta(days=7)).isoformat()
    if week not in weeks(load()).get_partition_keys():
        return dg.SkipReason(f"the week of {week} is not among the partitions")
    return dg.RunRequest(partition_key=week)
