"""All of Dolphin's Dagster definitions, assembled. Implementations belong in the other modules."""

import dagster as dg

from dolphin_dagster.daily import (
    backtests,
    conditions,
    days_over,
    inputs,
    orderbook_archive,
    paper_reports,
    report_retention,
    scan_archive,
    sweeps,
)
from dolphin_dagster.factors import fill, health, registry
from dolphin_dagster.instance import retention, superseded_checks
from dolphin_dagster.realtime import sensor as realtime
from dolphin_dagster.realtime.assets import make_assets
from dolphin_dagster.resources import resources_of
from dolphin_dagster.watch import runs as watch_runs
from dolphin_dagster.watch import sensor as watching
from dolphin_dagster.watch import stack_health
from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.settings_file import apply_settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions for a stack's settings; opens no connection."""
    own = dg.Definitions(
        assets=[
            *inputs.make_inputs(settings),
            *make_assets(settings),
            scan_archive.make_scan_archive(settings),
            scan_archive.raw_scan_retention,
            orderbook_archive.make_orderbook_archive(settings),
            backtests.make_daily_backtest(settings),
            backtests.make_backtest_vs_paper(settings),
            paper_reports.make_paper_report(settings),
            paper_reports.make_weekly_summary(settings),
            sweeps.parameter_sweep,
            report_retention.report_retention,
            retention.dagster_retention,
            *health.ASSETS,
            stack_health.make_stack_health(settings),
        ],
        asset_checks=[
            realtime.make_checks(settings),
            health.factors_are_complete,
            stack_health.stack_light,
        ],
        jobs=[
            *conditions.JOBS.values(),
            scan_archive.retention_job,
            sweeps.parameter_sweep_job,
            report_retention.report_retention_job,
            retention.dagster_retention_job,
        ],
        schedules=[
            scan_archive.retention_schedule,
            retention.dagster_retention_schedule,
            report_retention.report_retention_schedule,
        ],
        sensors=[
            realtime.realtime_health,
            health.factor_health,
            fill.factors_due,
            days_over.days_over,
            *conditions.SENSORS,
            superseded_checks.checks_overtaken,
            watching.alerts,
            watch_runs.runs_failed,
            watch_runs.runs_recovered,
        ],
        resources=resources_of(settings),
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(own, registry.definitions(settings))


apply_settings()
defs = build_definitions(load())
