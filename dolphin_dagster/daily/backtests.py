"""Daily backtests, and the same day set beside paper trading.

The assets belong here; running a backtest and explaining a difference belong in
dolphin_realtime/backtest.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.daily.partitions import day_and_instance, days_by_instance
from dolphin_dagster.daily.report_metadata import metadata_of
from dolphin_dagster.daily.scan_archive import NAME as SCAN_ARCHIVE
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job
from dolphin_realtime.config.settings import Settings, load
from dolphin_realtime.config.trader_parameters import load_parameters
from dolphin_realtime.model.portfolio.account import TOLERANCE_USD
from dolphin_realtime.reports.versus import folder_of
from dolphin_realtime.scans.days import ScanDays

NAME: Final = "daily_backtest"
VERSUS: Final = "backtest_vs_paper"
GROUP: Final = "reports"
NET_CHECK: Final = checks.spec(
    NAME,
    "identity_holds",
    f"Gross is the profit at the fills' mids, and net the sum over assets, to {TOLERANCE_USD:g} USDT.",
)
EXPLAINED: Final = checks.spec(
    VERSUS, "differences_are_explained", "Every difference between paper and backtest has a cause on record."
)  # fmt: skip


def backtest_folder(settings: Settings, instance: str, day: str) -> Path:
    """Return the folder of an instance's backtest of a day."""
    return settings.reports / "backtest" / instance / day


def make_daily_backtest(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by day and instance."""

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        pool=pools.DOLPHIN,
        partitions_def=days_by_instance(settings),
        owners=["team:dolphin"],
        kinds={"python", "parquet", "plotly"},
        deps=[SCAN_ARCHIVE, "orderbook_archive"],
        check_specs=[NET_CHECK],
        description=(
            "One archived day traded with an instance's parameters by the trader's own turn on "
            "NautilusTrader's backtest engine, flat at its start, warmed up with the days before, at the paper venue's costs. "
            "Tables and report in `reports/backtest/<instance>/<day>/`."
        ),
    )
    def daily_backtest(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Trade the day and write its results."""
        from dolphin_realtime.backtest import days

        now = load()
        day, instance = day_and_instance(context)
        job = days.Job(
            scans=now.archive,
            first=day,
            last=day,
            parameters=load_parameters(instance),
            warm_up_days=now.warm_up_days,
            book=now.book_archive if now.book_archive.is_dir() else None,
            factors=now.factors if now.factors.is_dir() else None,
            instance=instance,
        )
        outcome = days.run(job, backtest_folder(now, instance, day))
        facts = {"warm_up_scans": outcome.warm_up_scans, "refused_scans": outcome.result.refused}
        yield dg.MaterializeResult(metadata={**metadata_of(outcome.report), **facts})
        off = outcome.report.figures.off_usd
        yield checks.result(
            NAME,
            "identity_holds",
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
        pool=pools.DOLPHIN,
        partitions_def=days_by_instance(settings),
        owners=["team:dolphin"],
        kinds={"python", "parquet"},
        deps=[SCAN_ARCHIVE, "orderbook_archive", "paper_report"],
        check_specs=[EXPLAINED],
        description=(
            "An instance's paper day backtested from the same opening state, decision by decision: "
            "what differs, and why. Differences in `reports/versus/<instance>/<day>/`."
        ),
    )
    def backtest_vs_paper(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Trade the day again and compare."""
        from dolphin_realtime.backtest.versus_paper import versus_paper

        now = load()
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
            "differences_are_explained",
            found.unexplained == 0,
            {"unexplained": found.unexplained, "examples": examples or "none"},
            is_error=True,
        )

    return backtest_vs_paper


daily_backtest_job = asset_job(NAME, pools.DOLPHIN, 1800, "Backtest an archived day.")
versus_job = asset_job(VERSUS, pools.DOLPHIN, 1800, "Set a paper day beside its backtest.")
