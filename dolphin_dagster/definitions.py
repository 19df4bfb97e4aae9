"""All of Dolphin's Dagster definitions, assembled. Implementations belong in the other modules."""

import dagster as dg

from dolphin_dagster import (
    backtests,
    days_due,
    indicators,
    orderbook_archive,
    paper_reports,
    realtime,
    scan_archive,
    sweeps,
)
from dolphin_dagster.indicators.calendar_factors import (
    calendar_factors_job,
    calendar_factors_schedule,
)
from dolphin_realtime.settings import Settings, load


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions for a stack's settings; opens no connection."""
    return dg.Definitions(
        assets=[
            *realtime.ASSETS,
            scan_archive.make_scan_archive(settings),
            scan_archive.raw_scan_retention,
            orderbook_archive.make_orderbook_archive(settings),
            backtests.make_daily_backtest(settings),
            backtests.make_backtest_vs_paper(settings),
            paper_reports.make_paper_report(settings),
            paper_reports.make_weekly_summary(settings),
            sweeps.parameter_sweep,
            *dg.load_assets_from_package_module(indicators),
        ],
        asset_checks=[
            realtime.realtime_checks,
            *dg.load_asset_checks_from_package_module(indicators),
        ],
        jobs=[
            calendar_factors_job,
            scan_archive.scan_archive_job,
            scan_archive.retention_job,
            orderbook_archive.orderbook_archive_job,
            backtests.daily_backtest_job,
            backtests.versus_job,
            paper_reports.paper_report_job,
            paper_reports.weekly_summary_job,
            sweeps.parameter_sweep_job,
        ],
        schedules=[
            calendar_factors_schedule,
            scan_archive.retention_schedule,
            paper_reports.weekly_summary_schedule,
        ],
        sensors=[
            realtime.realtime_health,
            days_due.days_archived,
            days_due.days_backtested,
            days_due.days_closed,
        ],
        executor=dg.in_process_executor,
    )


defs = build_definitions(load())
