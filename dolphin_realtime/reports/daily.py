"""The report of one day's paper trading, and where a stack keeps its reports."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dolphin_realtime.reports.figures import Figures
from dolphin_realtime.reports.period import Span, reading
from dolphin_realtime.reports.write import JSON, Report, write_report
from dolphin_realtime.settings import Settings


def paper_folder(settings: Settings, instance: str, day: str) -> Path:
    """Return where a day's paper report lies."""
    return settings.reports / "paper" / instance / day


def is_closed(journal_folder: Path, day: str) -> bool:
    """Return whether a day is over in a journal: a later one has begun in it.

    Raises:
        JournalError: If there is no journal.
    """
    with reading(journal_folder) as db:
        row = db.execute("SELECT 1 FROM days WHERE day > ? LIMIT 1", (day,)).fetchone()
    return row is not None


def write_paper_report(settings: Settings, instance: str, day: str) -> Report:
    """Write a day's report of an instance; a day that is not over says so.

    Raises:
        JournalError: If the instance has no journal.
        OSError: If the report cannot be written.
    """
    journal_folder = settings.journal_dir(instance)
    caveats: tuple[str, ...] = ()
    if not is_closed(journal_folder, day):
        so_far = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        caveats = (f"The day is not over in the journal: this is what it held at {so_far}.",)
    title = f"Paper trading {instance}, {day}"
    out = paper_folder(settings, instance, day)
    return write_report(journal_folder, out, title, Span.of_days(day, day), caveats)


def is_final(settings: Settings, instance: str, day: str) -> bool:
    """Return whether a day's report is there and was written after the day was over."""
    path = paper_folder(settings, instance, day) / JSON
    if not path.is_file():
        return False
    return not msgspec.json.decode(path.read_bytes(), type=Figures).caveats
