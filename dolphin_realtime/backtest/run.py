"""A backtest from scans to a journal, and from a journal to files and a report.

Where rows and files go belongs here; the run itself belongs in loop.py, the choice of days in
days.py. The result is a journal like a trader's, so that checks, exports and reports read
one format.
"""

import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from dolphin_realtime.backtest.loop import BacktestResult, run_backtest
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.journal import database
from dolphin_realtime.journal.check import check
from dolphin_realtime.journal.export import export
from dolphin_realtime.journal.tables import Row
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.reports.write import Report, write_report
from dolphin_realtime.scans.coverage import Reading

COMMIT_EVERY: Final = 500
SCRATCH: Final = ".journal-"


def backtest_to_journal(
    portfolio: Portfolio,
    scans: Iterator[Scan],
    folder: Path,
    books: BookFeed,
    factors: FactorHistory,
    on_scan: Callable[[], None] = lambda: None,
    on_refused: Callable[[Scan, str], None] = lambda _scan, _why: None,
) -> BacktestResult:
    """Trade scans and write their journal into an empty folder; call ``on_scan`` after each.

    Raises:
        JournalError: If the folder holds a journal already.
    """
    if database.path_of(folder).exists():
        raise JournalError(f"{folder} holds a journal already; give an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    counter = itertools.count(1)
    with closing(database.open_new(folder, database.BACKTEST)) as db:
        db.execute("PRAGMA synchronous=OFF")  # after a power cut the backtest is simply run again

        def keep(_: Plan, rows: dict[str, list[Row]]) -> None:
            database.insert(db, rows)
            if next(counter) % COMMIT_EVERY == 0:
                db.commit()
            on_scan()

        result = run_backtest(portfolio, scans, keep, books, factors, on_refused)
        _finish(db, portfolio)
    return result


def _finish(db: sqlite3.Connection, portfolio: Portfolio) -> None:
    account = portfolio.account
    db.execute("INSERT OR IGNORE INTO meta VALUES ('start_cash', ?)", (repr(account.start_cash),))
    db.execute("INSERT OR REPLACE INTO state VALUES (0, ?)", (portfolio_state.save(portfolio),))
    db.commit()


def backtest_to_files(
    portfolio: Portfolio,
    scans: Iterator[Scan],
    out: Path,
    title: str,
    books: BookFeed,
    factors: FactorHistory,
    caveats: list[str],
    reading: Reading,
    on_scan: Callable[[], None] = lambda: None,
) -> tuple[BacktestResult, Report]:
    """Trade scans and write tables (.parquet), report.html and report.json into a folder.

    ``reading`` records what is refused; days with gaps or refusals become caveats of the report.

    Raises:
        JournalError: If an identity of the journal does not hold; then nothing is written.
        OSError: If ``out`` cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f"{SCRATCH}*"):
        shutil.rmtree(left)  # left by a killed run
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=out) as scratch:
        folder = Path(scratch)
        result = backtest_to_journal(
            portfolio, scans, folder, books, factors, on_scan, reading.refuse
        )
        checked = check(folder)
        if not checked.ok:
            raise JournalError(f"the backtest's journal does not hold: {checked.first_break}")
        result.days = reading.days()
        caveats = [*caveats, *(day.words for day in result.days if not day.is_whole)]
        export(folder, portfolio.instance, out)
        return result, write_report(folder, out, title, caveats=tuple(caveats))
