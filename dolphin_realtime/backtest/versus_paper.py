"""Backtests a paper day from its opening state and compares it with what the trader did.

Where the day's opening state, scans and books come from belongs here; what explains a difference
belongs in differences.py.
"""

import tempfile
from pathlib import Path

import msgspec
import pyarrow as pa

from dolphin_realtime.backtest.differences import Differences, compare_days
from dolphin_realtime.backtest.handled import read_handled
from dolphin_realtime.backtest.run import backtest_to_journal
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.books.files import read_books
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.trader_parameters import Parameters, load_parameters
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.factors.files import read_factors
from dolphin_realtime.infra import files
from dolphin_realtime.journal.database import faults_of, reading
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.reports import versus
from dolphin_realtime.reports.figures import figures
from dolphin_realtime.reports.span import Span
from dolphin_realtime.reports.versus import Difference, Versus
from dolphin_realtime.reports.write import replace_table
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.trading.warm_up import portfolio_of


def scans_of(settings: Settings, day: str) -> ScanDays:
    """Return a day's scans: from the archive, else from the scan folder.

    Raises:
        ScanFileError: If there is no scan at that path.
    """
    is_archived = (settings.archive / f"{day}.parquet").is_file()
    return ScanDays.of(settings.archive if is_archived else settings.scans)


def opening_portfolio(
    journal_folder: Path, instance: str, day: str, parameters: Parameters | None = None
) -> Portfolio:
    """Return an instance's portfolio as it was before the first scan of a day, at the same venue.

    ``parameters`` stand in for the instance's own in a trial.

    Raises:
        JournalError: If the journal does not know that day's opening.
    """
    with reading(journal_folder) as db:
        row = db.execute("SELECT desk FROM openings WHERE day = ?", (day,)).fetchone()
        faults = faults_of(db)
    if row is None:
        raise JournalError(
            f"{journal_folder}: no opening of {day}; the instance did not trade that day, or an "
            "older version of Dolphin did"
        )
    portfolio = portfolio_of(instance, parameters or load_parameters(instance))
    portfolio.venue = msgspec.structs.replace(portfolio.venue, faults=faults)
    portfolio_state.restore(portfolio, row[0])
    return portfolio


def versus_paper(
    settings: Settings,
    instance: str,
    day: str,
    scans: ScanDays,
    parameters: Parameters | None = None,
    out: Path | None = None,
) -> Versus:
    """Backtest a paper day, compare it with the trader's journal, and write the differences.

    A trial gives other ``parameters`` than the instance's, and a folder ``out`` of its own.

    Raises:
        JournalError: If the journal does not know the day.
        ScanFileError: If the archive cannot be read.
    """
    journal_folder, span = settings.journal_dir(instance), Span.of_days(day, day)
    portfolio = opening_portfolio(journal_folder, instance, day, parameters)
    start_equity, opened_us = portfolio.equity(), portfolio.last_us
    paper = read_handled(journal_folder, span)
    books, factors = gate_inputs(settings, day)
    with tempfile.TemporaryDirectory(prefix="dolphin-versus-") as scratch:
        folder, last_us = Path(scratch), max(paper)
        todo = (s for s in scans.scans(day) if opened_us < s.timestamp_us <= last_us)
        backtest_to_journal(portfolio, todo, folder, books, factors)
        again = read_handled(folder, span)
    has_gate_inputs = (settings.book_archive / f"{day}.parquet").is_file() or bool(factors)
    found = compare_days(paper, again, has_gate_inputs=has_gate_inputs)
    result = Versus(
        day=day,
        instance=instance,
        scans=found.scans,
        same=found.same,
        by_cause=found.by_cause,
        unexplained=len(found.unexplained),
        examples=found.unexplained[:20],
        net_paper=figures(journal_folder, span).net,
        net_backtest=portfolio.equity() - start_equity,
    )
    _write(result, found, out or versus.folder_of(settings, instance, day))
    return result


def gate_inputs(settings: Settings, day: str) -> tuple[BookFeed, FactorHistory]:
    """Return a day's order books and factors as they were known."""
    books = read_books(settings.book_archive, [day]) if settings.book_archive.is_dir() else None
    factors = read_factors(settings.factors if settings.factors.is_dir() else None, day, day)
    return books or BookFeed([]), factors


def _write(result: Versus, found: Differences, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows = msgspec.to_builtins(found.found)
    names = Difference.__struct_fields__
    columns = {name: [row[name] for row in rows] for name in names}
    types = [pa.int64() if name == "timestamp_us" else pa.string() for name in names]
    schema = pa.schema(list(zip(names, types, strict=True)))
    replace_table(out / "differences.parquet", pa.table(columns, schema=schema))
    files.replace(out / versus.JSON, msgspec.json.encode(result))
