"""What the daily work is made from, as external assets by day, and what the local disk holds of it.

Only the local disk is read (the bridge's ledger, archives, book records, journals), never the scan
folder, which may be a share that hangs.
"""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg
import msgspec

from dolphin_dagster.daily.partitions import DAY, INSTANCE, days_by_instance, scan_days
from dolphin_dagster.realtime.assets import GROUP, SCAN_FILES, book_services, journal
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.day_files import day_files
from dolphin_realtime.journal import database
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.reports.daily import days_of
from dolphin_realtime.scans.ledger import ledger_days, ledger_folder, read_lines

BOOK_FILES: Final = "book_files"
TRADING_DAYS: Final = "trading_days"
QUIET_S: Final = 600.0
"""A day's book records that did not grow for this long are over, even if no newer ones began."""
ARCHIVED: Final = "archived"
CLOSED: Final = "closed"


class Input(msgspec.Struct, frozen=True):
    """A partition of an input that is over.

    Attributes:
        asset: Key of the input's asset.
        partition: Day, or day|instance.
        version: Tells two states of it apart: how much there is, and what came last.
    """

    asset: str
    partition: str
    version: str


def make_inputs(settings: Settings) -> list[dg.AssetSpec]:
    """Return the external assets that the daily work begins with, partitioned like it."""
    return [
        dg.AssetSpec(
            SCAN_FILES, group_name=GROUP, kinds={"arrow", "file"}, owners=["team:ng6"],
            partitions_def=scan_days(settings),
            description=(
                "NG6's Arrow files, one per scan, in the scan folder. A day is shown here once it is "
                "over, and again when late files came. `scan_feed` shows whether they arrive now."
            ),
        ),
        dg.AssetSpec(
            BOOK_FILES, group_name=GROUP, kinds={"file"}, owners=["team:dolphin"], deps=book_services(settings),
            partitions_def=scan_days(settings),
            description="The order-book service's records of a day, shown here once it is over.",
        ),
        dg.AssetSpec(
            TRADING_DAYS, group_name=GROUP, kinds={"sqlite"}, owners=["team:dolphin"],
            deps=[journal(instance) for instance in settings.instance_names],
            partitions_def=days_by_instance(settings),
            description="Days that a trader has closed in its journal: it has begun a newer one.",
        ),
    ]  # fmt: skip


def inputs_over(settings: Settings, now_s: float | None = None) -> Iterator[Input]:
    """Yield every partition of an input that is over.

    A day of scans waits for the last records of its books, so that a backtest is not made twice.
    """
    now_s = time.time() if now_s is None else now_s
    books = list(_books(settings, now_s))
    recorded = set(day_files(settings.books, ".jsonl"))
    unfinished = recorded - {one.partition for one in books}
    yield from books
    known = ledger_days(ledger_folder(settings.run_dir))
    yield from (one for one in _scans(known) if one.partition not in unfinished)
    yield from _archived_before(settings, known)
    yield from _journals(settings)


def _scans(known: dict[str, Path]) -> Iterator[Input]:
    """Yield days of scans that the bridge's ledger tells of; each but the newest is over."""
    for day, lines in list(known.items())[:-1]:
        names = {line.path for line in read_lines(lines)}
        if names:
            yield Input(SCAN_FILES, day, f"{len(names)} files to {max(names)}")


def _archived_before(settings: Settings, known: dict[str, Path]) -> Iterator[Input]:
    """Yield days that are archived, over, and no longer in the ledger, which keeps a week."""
    archived = day_files(settings.archive, ".parquet")
    newest = max((*known, *archived), default="")
    for day in archived:
        if day not in known and day != newest:
            yield Input(SCAN_FILES, day, ARCHIVED)


def newest_day(settings: Settings) -> str:
    """Return the newest day that has scans, by the bridge's ledger and the archives."""
    seen = ledger_days(ledger_folder(settings.run_dir))
    return max((*seen, *day_files(settings.archive, ".parquet")), default="")


def _books(settings: Settings, now_s: float) -> Iterator[Input]:
    files = day_files(settings.books, ".jsonl")
    newest = max(files, default="")
    for day, path in files.items():
        try:
            stat = path.stat()
        except OSError:  # it was removed meanwhile
            continue
        if day != newest or now_s - stat.st_mtime > QUIET_S:
            yield Input(BOOK_FILES, day, f"{stat.st_size} bytes")


def _journals(settings: Settings) -> Iterator[Input]:
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
            yield Input(TRADING_DAYS, key_of(day, instance), CLOSED)


def key_of(day: str, instance: str) -> dg.MultiPartitionKey:
    """Return the partition key of a day and an instance."""
    return dg.MultiPartitionKey({DAY: day, INSTANCE: instance})
