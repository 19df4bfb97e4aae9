"""Daily backtests, and the same day set beside paper trading.

The assets belong here; running a backtest and explaining a difference belong in
dolphin_realtime/backtest.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.daily.conditions import FOLLOWS_ARCHIVES
from dolphin_dagster.daily.partitions import day_and_instance, days_by_instance, deadline
from dolphin_dagster.daily.products import WARM_UP, backtest_folder, warm_up_state
from dolphin_dagster.daily.report_metadata import metadata_of
from dolphin_dagster.daily.trials import TrialConfig, observe
from dolphin_dagster.daily.trials import folder_of as folder_of_trial
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.code import code_version
from dolphin_dagster.resources import Stack
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.portfolio.account import TOLERANCE_USD
from dolphin_realtime.reports.plotly_script import place
from dolphin_realtime.reports.versus import folder_of
from dolphin_realtime.scans.days import ScanDays

if TYPE_CHECKING:
    from dolphin_realtime.backtest import days

NAME: Final = "daily_backtest"
VERSUS: Final = "backtest_vs_paper"
GROUP: Final = "reports"
ARCHIVES: Final = ("scan_archive", "orderbook_archive")
ROOMS: Final = ("model", "trading", "engine", "backtest", "reports")
"""What a backtest's result is computed by."""
IDENTITY: Final = "identity_holds"
EXPLAINED: Final = "differences_are_explained"
Result = dg.MaterializeResult[None] | dg.AssetCheckResult


def _job(now: Settings, day: str, instance: str, config: TrialConfig) -> "days.Job":
    from dolphin_realtime.backtest import days

    return days.Job(
        scans=now.archive,
        first=day,
        last=day,
        parameters=config.of(instance),
        warm_up_days=now.warm_up_days,
        book=now.book_archive if now.book_archive.is_dir() else None,
        factors=now.factors if now.factors.is_dir() else None,
        instance=instance,
    )


def make_daily_backtest(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by day and instance."""
    spec = dg.AssetSpec(
        NAME,
        group_name=GROUP,
        partitions_def=days_by_instance(settings),
        owners=["team:dolphin"],
        kinds={"python", "parquet", "plotly"},
        deps=ARCHIVES,
        automation_condition=FOLLOWS_ARCHIVES,
        code_version=code_version(*ROOMS),
        freshness_policy=deadline(settings),
        skippable=True,
        metadata={"dagster/uri": (settings.reports / "backtest").absolute().as_uri()},
        description=(
            "One archived day traded with an instance's parameters by the trader's own turn on "
            "NautilusTrader's backtest engine, flat at its start, warmed up with the days before, at the paper venue's costs. "
            "Tables and report in `reports/backtest/<instance>/<day>/`. Other parameters can be tried "
            "in the Launchpad: such a result is a trial, kept apart."
        ),
    )
    means = f"Gross is the profit at the fills' mids, and net the sum over assets, to {TOLERANCE_USD:g} USDT."
    check = checks.spec(NAME, IDENTITY, means, days=days_by_instance(settings))

    @dg.multi_asset(
        name=NAME, specs=[spec], check_specs=[check], can_subset=True, pool=pools.BACKTESTS
    )
    def daily_backtest(
        context: dg.AssetExecutionContext, config: TrialConfig, stack: Stack
    ) -> Iterator[Result]:
        """Trade the day and write its results."""
        from dolphin_realtime.backtest import days, trial

        now = stack.settings
        day, instance = day_and_instance(context)
        job = _job(now, day, instance, config)
        place(now.reports)
        if config.parameters:
            note = trial.caveat(config.parameters)
            report = trial.trial_of_day(job, folder_of_trial(context, now, NAME), note)
            observe(context, NAME, config, metadata_of(report, now))
            return
        warm_up = warm_up_state(now, day)
        outcome = days.run(job, backtest_folder(now, instance, day))
        facts: dict[str, Any] = {
            WARM_UP: warm_up,
            "warm_up_scans": outcome.warm_up_scans,
            "refused_scans": outcome.result.refused,
        }
        yield dg.MaterializeResult(
            asset_key=NAME, metadata={**metadata_of(outcome.report, now), **facts}
        )
        off = outcome.report.figures.off_usd
        yield checks.result(
            NAME,
            IDENTITY,
            off is not None and off <= TOLERANCE_USD,
            {"off_usd": off if off is not None else -1.0},
            is_error=True,
        )

    return daily_backtest


def make_backtest_vs_paper(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by day and instance."""

    @dg.asset(
        name=VERSUS,
        group_name=GROUP,
        pool=pools.BACKTESTS,
        partitions_def=days_by_instance(settings),
        owners=["team:dolphin"],
        kinds={"python", "parquet"},
        deps=[*ARCHIVES, "paper_report"],
        automation_condition=FOLLOWS_ARCHIVES,
        code_version=code_version(*ROOMS),
        freshness_policy=deadline(settings),
        check_specs=[
            checks.spec(
                VERSUS,
                EXPLAINED,
                "Every difference between paper and backtest has a cause on record.",
                days=days_by_instance(settings),
            )
        ],
        metadata={"dagster/uri": (settings.reports / "versus").absolute().as_uri()},
        description=(
            "An instance's paper day backtested from the same opening state, decision by decision: "
            "what differs, and why. Differences in `reports/versus/<instance>/<day>/`."
        ),
    )
    def backtest_vs_paper(context: dg.AssetExecutionContext, stack: Stack) -> Iterator[Result]:
        """Trade the day again and compare."""
        from dolphin_realtime.backtest.versus_paper import versus_paper

        now = stack.settings
        day, instance = day_and_instance(context)
        found = versus_paper(now, instance, day, ScanDays.of(now.archive))
        facts: dict[str, Any] = {
            "scans": found.scans,
            "same": found.same,
            "different": sum(found.by_cause.values()) + found.unexplained,
            "unexplained": found.unexplained,
            "net_paper": found.net_paper,
            "net_backtest": found.net_backtest,
            "drift": found.drift,
            "by_cause": dg.MetadataValue.json(found.by_cause),
            "folder": dg.MetadataValue.path(str(folder_of(now, instance, day))),
        }
        yield dg.MaterializeResult(metadata=facts)
        examples = "; ".join(
            f"{d.asset} {d.what}: {d.paper} | {d.backtest}" for d in found.examples[:5]
        )
        yield checks.result(
            VERSUS,
            EXPLAINED,
            found.unexplained == 0,
            {"unexplained": found.unexplained, "examples": examples or "none"},
            is_error=True,
        )

    return backtest_vs_paper
