"""A backtest from files to a journal: warm-up, run, and every row where a trader's would be.

Which scans are read and where rows go belong here; the run itself is engine.py's. The
result is a journal like a trader's, so that checks, exports and reports read one kind.
"""

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dolphin_realtime import journal
from dolphin_realtime.backtest.engine import BacktestResult, run_backtest
from dolphin_realtime.documents import BookFeed, FactorHistory
from dolphin_realtime.journal import Row
from dolphin_realtime.model import desk_state
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.plan import Plan
from dolphin_realtime.model.scan import Scan

COMMIT_EVERY: Final = 500


def backtest_to_journal(
    desk: Desk,
    scans: Iterator[Scan],
    folder: Path,
    books: BookFeed,
    factors: FactorHistory,
) -> BacktestResult:
    """Trade scans and write the journal of it into an empty folder.

    Raises:
        JournalError: If the folder holds a journal already.
    """
    if journal.database(folder).exists():
        raise JournalError(f"{folder} holds a journal already; give an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    db = journal.open_new(folder)
    counter = itertools.count(1)

    def keep(_: Plan, rows: dict[str, list[Row]]) -> None:
        journal.insert(db, rows)
        if next(counter) % COMMIT_EVERY == 0:
            db.commit()

    try:
        result = run_backtest(desk, scans, keep, books, factors)
        _finish(db, desk)
    finally:
        db.close()
    return result


def _finish(db: sqlite3.Connection, desk: Desk) -> None:
    db.execute("INSERT OR REPLACE INTO state VALUES (0, ?)", (desk_state.save(desk),))
    db.commit()
