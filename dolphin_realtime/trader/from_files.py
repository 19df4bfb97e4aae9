"""`dolphin service trader NAME --scans PATH`: the trader's process fed from files, full speed.

The same session, node, venue and journal as when it is fed through the grid, with the
posture NORMAL and no grid at all: what a parity test compares, and how a recorded day is
traded again. Reading the files is scan_files.py's and book_documents.py's.
"""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dolphin_realtime import log
from dolphin_realtime.book_documents import BookFeed
from dolphin_realtime.book_shelf import BookShelf
from dolphin_realtime.factor_documents import FactorHistory
from dolphin_realtime.factor_files import read_factors
from dolphin_realtime.journal.writer import Journal
from dolphin_realtime.model import desk_state
from dolphin_realtime.model.decision import Limits
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.errors import ScanOutOfOrder
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.settings import Settings
from dolphin_realtime.trace import Trace
from dolphin_realtime.trader.node import Node, started
from dolphin_realtime.trader.session import Session
from dolphin_realtime.warm_up import make_desk, warm_up


class FileRun(msgspec.Struct):
    """What a run from files took, and how it stands."""

    scans: int = 0
    refused: int = 0
    fault: str | None = None


async def trade_files(
    settings: Settings,
    instance: str,
    scans: Iterator[Scan],
    books: BookFeed,
    factors: FactorHistory,
) -> FileRun:
    """Trade every scan once, in order, and return when the last one is journalled.

    Raises:
        JournalError: If another trader of the instance runs, or the journal cannot be opened.
        ServiceError: If Nautilus' node does not start.
    """
    journal = Journal(settings.journal_dir(instance), lambda _: None)
    desk, saved = make_desk(instance), journal.load_desk()
    if saved is not None:
        desk_state.restore(desk, saved)
    else:
        warm_up(desk, settings.archive, settings.warm_up_days)
    journal.start()
    shelf = BookShelf(desk)
    session = Session(desk, journal, Trace("", ""), shelf)
    node = Node(desk, session.strategy, asyncio.get_running_loop())
    session.node = node
    async with started(node):
        gc.collect()
        gc.freeze()
        gc.disable()
        session.strategy.send(list(desk.in_flight.values()))
        run = FileRun()
        for scan in scans:
            await _one(session, desk, scan, books, factors, run)
    journal.close()
    run.fault = session.mismatch or journal.fault
    return run


async def _one(
    session: Session,
    desk: Desk,
    scan: Scan,
    books: BookFeed,
    factors: FactorHistory,
    run: FileRun,
) -> None:
    scan.epoch = desk.signals.order.epoch or 1
    for views in books.until(scan.timestamp_us):
        session.shelf.take_views(views)
    known = session.shelf.books(scan.timestamp_us), factors.at(scan.timestamp_us)
    try:
        plan = session.take(scan, Limits(), *known)
    except ScanOutOfOrder as e:
        run.refused += 1
        log.get().warning("trader.refused", why=str(e))
        return
    await session.finish_or_block(plan)
    run.scans += 1


def read_history(book: Path | None, factors: Path | None) -> tuple[BookFeed, FactorHistory]:
    """Return books and factors from files of documents.

    Raises:
        SettingsError: If a file cannot be read.
    """
    return BookFeed.read(book), read_factors(factors)
