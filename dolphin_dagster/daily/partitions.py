"""Partitions: by UTC day, by day and instance, by week.

They begin with the first day that has data, so that no empty partition shows as missing for ever.
"""

import warnings
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.day_files import day_files, is_day
from dolphin_realtime.scans.ledger import ledger_days, ledger_folder

DAY: Final = "day"
WEEK: Final = "week"
INSTANCE: Final = "instance"
MONDAY: Final = 1


def first_day(settings: Settings) -> str:
    """Return the first day: the one set, else the first archived or bridged one, else today.

    Only the local disk is read: the scan folder may hang.
    """
    if settings.archive_first_day:
        return settings.archive_first_day
    archives = [day_files(f, ".parquet") for f in (settings.archive, settings.book_archive)]
    found = [
        day for days in (*archives, ledger_days(ledger_folder(settings.run_dir))) for day in days
    ]
    return min(found, default=datetime.now(UTC).date().isoformat())


def scan_days(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Return the days of the scan archive: up to yesterday, or up to the last day set."""
    return days_since(first_day(settings), settings)


def days_since(first: str, settings: Settings) -> dg.DailyPartitionsDefinition:
    """Return the days from a first one on: up to yesterday, or up to the last day set."""
    last = settings.archive_last_day
    end = (date.fromisoformat(last) + timedelta(days=1)).isoformat() if last else None
    return dg.DailyPartitionsDefinition(start_date=first, end_date=end, timezone="UTC")


def days_by_instance(settings: Settings) -> dg.MultiPartitionsDefinition:
    """Return (day, instance) of every trader instance."""
    return dg.MultiPartitionsDefinition(
        {
            DAY: scan_days(settings),
            INSTANCE: dg.StaticPartitionsDefinition(settings.instance_names),
        }
    )


def weeks_by_instance(settings: Settings) -> dg.MultiPartitionsDefinition:
    """Return (week, instance) of every trader instance."""
    return dg.MultiPartitionsDefinition(
        {
            WEEK: weeks(settings),
            INSTANCE: dg.StaticPartitionsDefinition(settings.instance_names),
        }
    )


def days_of_the_week() -> dg.MultiPartitionMapping:
    """Return how a week of an instance maps to that instance's days."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of MultiPartitionMapping, in 1.13
        return dg.MultiPartitionMapping(
            {
                DAY: dg.DimensionPartitionMapping(WEEK, dg.TimeWindowPartitionMapping()),
                INSTANCE: dg.DimensionPartitionMapping(INSTANCE, dg.IdentityPartitionMapping()),
            }
        )


def _within_6h(cron: str) -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.cron(cron, lower_bound_delta=timedelta(hours=6), timezone="UTC")


SIX: Final = "0 6 * * *"
NIGHTLY: Final = _within_6h(SIX)
"""What a schedule does every night is there by 06:00 UTC."""


def deadline(settings: Settings, cron: str = SIX) -> dg.FreshnessPolicy | None:
    """Return when a day's work must be there: by 06:00 UTC; None where no new days come."""
    return None if settings.archive_last_day else _within_6h(cron)


def weeks(settings: Settings) -> dg.WeeklyPartitionsDefinition:
    """Return the weeks, each from Monday; the current one is included if no last day is set."""
    last = settings.archive_last_day
    end = _monday(last) + timedelta(days=7) if last else None
    return dg.WeeklyPartitionsDefinition(
        start_date=_monday(first_day(settings)).isoformat(),
        end_date=end.isoformat() if end else None,
        day_offset=MONDAY,
        timezone="UTC",
        end_offset=0 if end else 1,
    )


def _monday(day: str) -> date:
    found = date.fromisoformat(day)
    return found - timedelta(days=found.weekday())


def day_and_instance(context: dg.AssetExecutionContext) -> tuple[str, str]:
    """Return the day (or the week's Monday) and the instance of a run's partition.

    The key's parts are in the order of their dimensions' names; a run that was launched with the
    key alone has no more than that.
    """
    first, _, second = str(context.partition_key).partition("|")
    return (first, second) if is_day(first) else (second, first)
