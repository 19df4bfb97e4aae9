"""A paper day traded again from where it began, and set beside what the trader did.

Where the day's opening, scans and books come from is said here; what explains a difference
is differences.py's.
"""

import tempfile
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.backtest.differences import Difference, Differences, compare_days
from dolphin_realtime.backtest.handled import read_handled
from dolphin_realtime.backtest.run import backtest_to_journal
from dolphin_realtime.book_files import read_books
from dolphin_realtime.documents import BookFeed, FactorHistory
from dolphin_realtime.factor_files import read_factors
from dolphin_realtime.model import desk_state
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.reports.figures import figures
from dolphin_realtime.reports.period import Span, reading
from dolphin_realtime.reports.write import replace
from dolphin_realtime.scan_days import ScanDays
from dolphin_realtime.settings import Settings
from dolphin_realtime.warm_up import make_desk

VERSUS: Final = "versus.json"


class Versus(msgspec.Struct, kw_only=True):
    """A day both ways; drift is the paper's net minus the backtest's, USDT."""

    day: str
    instance: str
    scans: int
    same: int
    by_cause: dict[str, int]
    unexplained: int
    examples: list[Difference]
    net_paper: float
    net_backtest: float

    @property
    def drift(self) -> float:
        """Net of the paper day minus net of its backtest."""
        return self.net_paper - self.net_backtest


def versus_folder(settings: Settings, instance: str, day: str) -> Path:
    """Return where the comparison of a day lies."""
    return settings.reports / "versus" / instance / day


def scans_of(settings: Settings, day: str) -> ScanDays:
    """Return where a day's scans are: in the archive, else in the scan folder.

    Raises:
        ScanFileError: If they are nowhere.
    """
    is_archived = (settings.archive / f"{day}.parquet").is_file()
    return ScanDays.of(settings.archive if is_archived else settings.scans)


def opening_desk(journal_folder: Path, instance: str, day: str) -> Desk:
    """Return an instance's desk as it stood before the first scan of a day.

    Raises:
        JournalError: If the journal does not know that day's opening.
    """
    with reading(journal_folder) as db:
        row = db.execute("SELECT desk FROM openings WHERE day = ?", (day,)).fetchone()
    if row is None:
        raise JournalError(
            f"{journal_folder}: no opening of {day}; the instance did not trade that day, or an "
            "older version of Dolphin did"
        )
    desk = make_desk(instance)
    desk_state.restore(desk, row[0])
    return desk


def versus_paper(settings: Settings, instance: str, day: str, scans: ScanDays) -> Versus:
    """Trade a paper day again and write how the two differ.

    Raises:
        JournalError: If the journal does not know the day.
        ScanFileError: If the archive cannot be read.
    """
    journal_folder, span = settings.journal_dir(instance), Span.of_days(day, day)
    desk = opening_desk(journal_folder, instance, day)
    start_equity, opened_us = desk.equity(), desk.last_us
    paper = read_handled(journal_folder, span)
    books, factors = _gate_inputs(settings, day)
    with tempfile.TemporaryDirectory(prefix="dolphin-versus-") as scratch:
        folder, last_us = Path(scratch), max(paper)
        todo = (s for s in scans.scans(day) if opened_us < s.timestamp_us <= last_us)
        backtest_to_journal(desk, todo, folder, books, factors)
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
        net_backtest=desk.equity() - start_equity,
    )
    _write(result, found, versus_folder(settings, instance, day))
    return result


def _gate_inputs(settings: Settings, day: str) -> tuple[BookFeed, FactorHistory]:
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
    partial = out / ".differences.parquet.part"
    pq.write_table(pa.table(columns, schema=schema), partial, compression="zstd")
    partial.replace(out / "differences.parquet")
    replace(out / VERSUS, msgspec.json.encode(result))


def read_versus(folder: Path) -> Versus | None:
    """Return a comparison written before, None where there is none."""
    path = folder / VERSUS
    return msgspec.json.decode(path.read_bytes(), type=Versus) if path.is_file() else None
