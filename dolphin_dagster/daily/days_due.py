"""Sensors that request the work of a day once its inputs are complete.

What is pending is read from files on the local disk alone: the bridge's ledger, archives,
journals. A sensor starts no process and never looks at the scan folder, which may hang.
Each request's key is made of the inputs that caused it and of the hour: nothing is requested
twice, and failed work is requested again an hour later, as long as it is pending.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg

from dolphin_dagster.daily.backtests import backtest_folder, daily_backtest_job, versus_job
from dolphin_dagster.daily.orderbook_archive import orderbook_archive_job
from dolphin_dagster.daily.paper_reports import paper_report_job
from dolphin_dagster.daily.partitions import DAY, INSTANCE, scan_days
from dolphin_dagster.daily.scan_archive import newest_day, scan_archive_job
from dolphin_dagster.instance.jobs import PARTITION_TAG, WAITING
from dolphin_realtime.config.settings import Settings, load
from dolphin_realtime.infra.day_files import day_files
from dolphin_realtime.journal import database
from dolphin_realtime.model.errors import JournalError, ScanFileError
from dolphin_realtime.reports import versus
from dolphin_realtime.reports.daily import days_of, is_final
from dolphin_realtime.scans.archive import count_files
from dolphin_realtime.scans.ledger import ledger_days, ledger_folder, read_lines

INTERVAL_S: Final = 60


def _known_days(settings: Settings) -> set[str]:
    return set(scan_days(settings).get_partition_keys())


def _hour() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H}"


def _changed_ns(paths: Iterable[Path]) -> int:
    """Return when the newest of some files changed, 0 if no file exists."""
    return max((path.stat().st_mtime_ns for path in paths if path.is_file()), default=0)


def _inputs(settings: Settings, day: str) -> list[Path]:
    """Return the inputs of a day's backtest: its archives and those of the days before."""
    before = sorted(d for d in day_files(settings.archive, ".parquet") if d < day)
    days = [*before[-settings.warm_up_days :], day] if settings.warm_up_days else [day]
    return [
        *(settings.archive / f"{d}.parquet" for d in days),
        settings.book_archive / f"{day}.parquet",
    ]


def archives_due(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (day, key) of finished days whose archive lacks files of the bridge's ledger."""
    days = ledger_days(ledger_folder(settings.run_dir))
    for day, lines in list(days.items())[:-1]:
        found = {line.path for line in read_lines(lines)}
        if _archived(settings.archive / f"{day}.parquet") < len(found):
            yield day, f"{day}-{len(found)}"


def _archived(path: Path) -> int:
    try:
        return count_files(path) if path.is_file() else 0
    except ScanFileError:
        return 0


def books_due(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (day, key) of finished days whose recorded books are newer than their archive."""
    files = day_files(settings.books, ".jsonl")
    for day in sorted(files)[:-1]:
        raw_ns = _changed_ns([files[day]])
        if raw_ns > _changed_ns([settings.book_archive / f"{day}.parquet"]):
            yield day, f"{day}-{raw_ns}"


def backtests_due(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield (day, instance, key) of finished days whose inputs are newer than their backtest.

    A day whose order books are not archived yet waits for them.
    """
    newest, waiting = newest_day(settings), {day for day, _ in books_due(settings)}
    for day in day_files(settings.archive, ".parquet"):
        if day == newest or day in waiting:
            continue
        changed_ns = _changed_ns(_inputs(settings, day))
        for instance in settings.instance_names:
            made = backtest_folder(settings, instance, day) / "report.json"
            if changed_ns > _changed_ns([made]):
                yield day, instance, f"{day}-{instance}-{changed_ns}"


def closed_days(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (day, instance) of every finished day in an instance's journal."""
    for instance in settings.instance_names:
        folder = settings.journal_dir(instance)
        if not database.path_of(folder).is_file():
            continue
        try:
            days = days_of(folder)
        except (JournalError, sqlite3.DatabaseError) as e:
            dg.get_dagster_logger().warning(f"{instance}: its journal cannot be read: {e}")
            continue
        for day in days[:-1]:
            yield day, instance


def _asked(
    context: dg.SensorEvaluationContext, due: list[dg.RunRequest], none_due: str
) -> dg.SensorResult:
    """Return the requests whose run is not already queued or running, or why there are none."""
    waiting = dg.RunsFilter(statuses=list(WAITING))
    under_way = {
        (run.job_name, run.tags.get(PARTITION_TAG)) for run in context.instance.get_runs(waiting)
    }
    new = [
        r for r in due if (r.job_name or daily_backtest_job.name, r.partition_key) not in under_way
    ]
    why = f"all {len(due)} that are due are under way" if due else none_due
    return dg.SensorResult(run_requests=new, skip_reason=None if new else why)


@dg.sensor(
    name="days_archived",
    jobs=[scan_archive_job, orderbook_archive_job],
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the archives of a day once it is over, and again when more came in.",
)
def days_archived(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Request the archives that are pending."""
    settings, hour = load(), _hour()
    known = _known_days(settings)
    due = [
        dg.RunRequest(job_name=job.name, partition_key=day, run_key=f"{job.name}-{key}-{hour}")
        for job, found in (
            (scan_archive_job, archives_due(settings)),
            (orderbook_archive_job, books_due(settings)),
        )
        for day, key in found
        if day in known
    ]
    return _asked(context, due, "every day that is over is archived as far as it is recorded")


@dg.sensor(
    name="days_backtested",
    job=daily_backtest_job,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the backtest of a finished, archived day, and again when it changed.",
)
def days_backtested(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Request the backtests that are pending."""
    settings, hour = load(), _hour()
    known = _known_days(settings)
    due = [
        dg.RunRequest(
            partition_key=dg.MultiPartitionKey({DAY: day, INSTANCE: instance}),
            run_key=f"{key}-{hour}",
        )
        for day, instance, key in backtests_due(settings)
        if day in known
    ]
    return _asked(
        context, due, "every archived day that is over has backtests as new as its archives"
    )


@dg.sensor(
    name="days_closed",
    jobs=[paper_report_job, versus_job],
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Requests the report of a day once a trader has begun the next one, and its "
        "comparison with a backtest once the day is archived."
    ),
)
def days_closed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Request the reports and comparisons of closed days that are pending."""
    settings, hour = load(), _hour()
    known = _known_days(settings)
    due, waiting = [], {day for day, _ in books_due(settings)}
    for day, instance in closed_days(settings):
        if day not in known:
            continue
        key = dg.MultiPartitionKey({DAY: day, INSTANCE: instance})
        wanted = []
        if not is_final(settings, instance, day):
            wanted.append(paper_report_job.name)
        archives = [f / f"{day}.parquet" for f in (settings.archive, settings.book_archive)]
        compared = versus.folder_of(settings, instance, day) / versus.JSON
        is_newer = _changed_ns(archives) > _changed_ns([compared])
        if archives[0].is_file() and day not in waiting and is_newer:
            wanted.append(versus_job.name)
        due += [
            dg.RunRequest(job_name=job, partition_key=key, run_key=f"{job}-{day}-{instance}-{hour}")
            for job in wanted
        ]
    return _asked(
        context, due, "every closed day has its final report and, where archived, its comparison"
    )
