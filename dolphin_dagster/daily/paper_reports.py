"""Paper-trade reports by day and instance, and each instance's weekly summary.

The assets belong here; figures and pages belong in dolphin_realtime/reports.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.daily.conditions import FOLLOWS, follows_its_days
from dolphin_dagster.daily.inputs import TRADING_DAYS
from dolphin_dagster.daily.partitions import (
    day_and_instance,
    days_by_instance,
    days_of_the_week,
    deadline,
    weeks_by_instance,
)
from dolphin_dagster.daily.report_metadata import link, metadata_of
from dolphin_dagster.daily.trials import TrialConfig, folder_of, observe
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.code import code_version
from dolphin_dagster.resources import Stack
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.journal.check import check
from dolphin_realtime.reports.daily import write_paper_report
from dolphin_realtime.reports.weekly import Week, write_weekly
from dolphin_realtime.reports.write import HTML

NAME: Final = "paper_report"
WEEKLY: Final = "weekly_summary"
GROUP: Final = "reports"
JOURNAL_CHECK: Final = "journal_holds"
MONDAY_NOON: Final = "0 12 * * 1"
Result = dg.MaterializeResult[None] | dg.AssetCheckResult


def make_paper_report(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by day and instance."""
    days = days_by_instance(settings)
    spec = dg.AssetSpec(
        NAME,
        group_name=GROUP,
        partitions_def=days,
        owners=["team:dolphin"],
        kinds={"python", "sqlite", "plotly"},
        deps=[TRADING_DAYS],
        automation_condition=FOLLOWS,
        code_version=code_version("reports", "journal"),
        freshness_policy=deadline(settings),
        skippable=True,
        metadata={"dagster/uri": (settings.reports / "paper").absolute().as_uri()},
        description=(
            "One day of one instance from its journal: net profit and costs, trades, exposure, "
            "latency. In `reports/paper/<instance>/<day>/`, or `dolphin report DAY --open`. In the "
            "Launchpad the day can be traded again from its opening state with other parameters: such "
            "a result is a trial, kept apart."
        ),
    )
    check_spec = checks.spec(
        NAME, JOURNAL_CHECK, "Every identity of the instance's whole journal holds.", days=days
    )

    @dg.multi_asset(
        name=NAME, specs=[spec], check_specs=[check_spec], can_subset=True, pool=pools.DOLPHIN
    )
    def paper_report(
        context: dg.AssetExecutionContext, config: TrialConfig, stack: Stack
    ) -> Iterator[Result]:
        """Write the day's report and verify the journal behind it."""
        now = stack.settings
        day, instance = day_and_instance(context)
        if config.parameters:
            from dolphin_realtime.backtest import trial

            out, note = folder_of(context, now, NAME), trial.caveat(config.parameters)
            tried = trial.trial_of_paper_day(now, instance, day, config.of(instance), out, note)
            facts = {
                "net": tried.net_backtest,
                "net_paper": tried.net_paper,
                **link(out / HTML, now),
            }
            observe(context, NAME, config, facts)
            return
        report = write_paper_report(now, instance, day)
        yield dg.MaterializeResult(asset_key=NAME, metadata=metadata_of(report, now))
        found = check(now.journal_dir(instance))
        facts = {"rows": found.rows, "first_break": found.first_break or "none"}
        yield checks.result(NAME, JOURNAL_CHECK, found.ok, facts, is_error=True)

    return paper_report


def make_weekly_summary(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by week and instance."""

    @dg.asset(
        name=WEEKLY,
        group_name=GROUP,
        pool=pools.DOLPHIN,
        partitions_def=weeks_by_instance(settings),
        owners=["team:dolphin"],
        kinds={"python", "plotly"},
        deps=[
            dg.AssetDep(name, partition_mapping=days_of_the_week())
            for name in (NAME, "backtest_vs_paper")
        ],
        automation_condition=follows_its_days(is_open_ended=not settings.archive_last_day),
        code_version=code_version("reports"),
        freshness_policy=deadline(settings, MONDAY_NOON),
        metadata={"dagster/uri": (settings.reports / "weekly").absolute().as_uri()},
        description=(
            "A week of an instance: equity, drawdown, returns by month, costs, and how far paper "
            "trading drifted from its backtests. In `reports/weekly/<instance>/<monday>/`. Made when "
            "the week is over and its days are reported; days without trading are not waited for."
        ),
    )
    def weekly_summary(
        context: dg.AssetExecutionContext, stack: Stack
    ) -> dg.MaterializeResult[None]:
        """Write the week's summary."""
        monday, instance = day_and_instance(context)
        last = date.fromisoformat(monday) + timedelta(days=6)
        week = write_weekly(stack.settings, instance, monday, last.isoformat())
        return dg.MaterializeResult(metadata=_facts(week, stack.settings))

    return weekly_summary


def _facts(week: Week, settings: Settings) -> dict[str, Any]:
    f = week.figures
    rows = [("net", f"{f.net:,.2f}"), ("return", f"{100 * f.total_return:+.3f} %")]
    rows += [("drawdown", f"{100 * f.max_drawdown:.3f} %"), ("parity drift", f"{week.drift:,.2f}")]
    body = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return {
        "net": f.net,
        "drift": week.drift,
        "days_compared": len(week.days),
        "summary": dg.MetadataValue.md(f"| {week.instance} | |\n|---|---|\n{body}"),
        **link(week.html, settings),
    }
