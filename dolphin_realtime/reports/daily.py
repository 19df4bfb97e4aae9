"""The report of one day's paper trading, and where a stack keeps its reports."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.journal.database import MODE, meta, reading
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.reports import plotly_script
from dolphin_realtime.reports.figures import Figures
from dolphin_realtime.reports.period import rows_in
from dolphin_realtime.reports.span import Span
from dolphin_realtime.reports.versus import read_versus
from dolphin_realtime.reports.why_form import why_form
from dolphin_realtime.reports.write import JSON, Report, write_report
from dolphin_realtime.scans.coverage import DayCoverage, coverage_of, reasons_of
from dolphin_realtime.scans.ledger import SUFFIX, ledger_folder, read_lines

NOT_OVER: Final = "The day is not over"
"""Start of the caveat that marks a report which must be written again."""


def paper_folder(settings: Settings, instance: str, day: str) -> Path:
    """Return the folder of a day's paper report."""
    return settings.reports / "paper" / instance / day


def days_of(journal_folder: Path) -> list[str]:
    """Return the days of a journal, in order; the last one may not be over.

    Raises:
        JournalError: If there is no journal.
    """
    with reading(journal_folder) as db:
        return [row[0] for row in db.execute("SELECT day FROM days ORDER BY day")]


def write_paper_report(settings: Settings, instance: str, day: str) -> Report:
    """Write a day's report of an instance; a day that is not over says so.

    Raises:
        JournalError: If the instance has no journal, or handled no scan that day.
        OSError: If the report cannot be written.
    """
    journal_folder = settings.journal_dir(instance)
    days = days_of(journal_folder)
    if day not in days:
        known = f"{days[0]} to {days[-1]}" if days else "none"
        raise JournalError(f"{instance} handled no scan on {day}; its days are {known}")
    caveats: tuple[str, ...] = ()
    if day == days[-1]:
        so_far = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        caveats = (f"{NOT_OVER} in the journal: this is what it held at {so_far}.",)
    coverage = _coverage(settings, journal_folder, day)
    if not coverage.is_whole:
        caveats = (*caveats, coverage.words)
    title = f"{_mode(journal_folder)} trading {instance}, {day}"
    out = paper_folder(settings, instance, day)
    plotly_script.place(settings.reports)
    compared = read_versus(settings, instance, day)
    report = write_report(
        journal_folder, out, title, Span.of_days(day, day), caveats,
        None if compared is None else compared.net_backtest,
        why_form(instance, day, out, settings.reports),
    )  # fmt: skip
    report.coverage = [coverage]
    return report


def _mode(journal_folder: Path) -> str:
    """Return how a journal's instance traded, as the first word of a title."""
    with reading(journal_folder) as db:
        return meta(db, MODE).capitalize()


def _coverage(settings: Settings, journal_folder: Path, day: str) -> DayCoverage:
    """Return a day's coverage: the scans traded, and what the bridge's ledger says was refused."""
    with reading(journal_folder) as db:
        first, end = rows_in(db, "equity", Span.of_days(day, day))
        query = "SELECT timestamp_us FROM equity WHERE rowid >= ? AND rowid < ? ORDER BY rowid"
        times = [row[0] for row in db.execute(query, (first, end))]
    lines = read_lines(ledger_folder(settings.run_dir) / f"{day}{SUFFIX}")
    refused = {line.path: line.reason for line in lines if line.reason}
    return coverage_of(day, times, reasons_of(refused))


def is_final(settings: Settings, instance: str, day: str) -> bool:
    """Return whether a day's report exists and was written after the day was over.

    A report that cannot be read, or that another version wrote, is not final.
    """
    path = paper_folder(settings, instance, day) / JSON
    if not path.is_file():
        return False
    try:
        caveats = msgspec.json.decode(path.read_bytes(), type=Figures).caveats
    except (OSError, msgspec.DecodeError):
        return False
    return not any(caveat.startswith(NOT_OVER) for caveat in caveats)
