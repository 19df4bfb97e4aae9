"""All of Dolphin's Dagster definitions, assembled. Implementations belong in the other modules."""

import dagster as dg

from dolphin_dagster import indicators, realtime
from dolphin_dagster.indicators.calendar_factors import (
    calendar_factors_job,
    calendar_factors_schedule,
)
from dolphin_dagster.scan_archive import make_scan_archive
from dolphin_realtime.settings import Settings, load


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions for a stack's settings; opens no connection."""
    return dg.Definitions(
        assets=[
            *realtime.ASSETS,
            make_scan_archive(settings),
            *dg.load_assets_from_package_module(indicators),
        ],
        asset_checks=[
            realtime.realtime_checks,
            *dg.load_asset_checks_from_package_module(indicators),
        ],
        jobs=[calendar_factors_job],
        schedules=[calendar_factors_schedule],
        sensors=[realtime.realtime_health],
        executor=dg.in_process_executor,
    )


defs = build_definitions(load())
