"""Partitions: one a UTC day. First and last day are settings, so that nothing healthy is amber."""

from datetime import date, timedelta

import dagster as dg

from dolphin_realtime.settings import Settings


def scan_days(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Return the days of the scan archive: up to yesterday, or up to the last day set."""
    last = settings.archive_last_day
    end = (date.fromisoformat(last) + timedelta(days=1)).isoformat() if last else None
    return dg.DailyPartitionsDefinition(
        start_date=settings.archive_first_day, end_date=end, timezone="UTC"
    )
