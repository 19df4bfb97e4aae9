"""`dolphin service trader NAME --scans PATH`: a trader fed from files, at full speed.

It uses the same scan processor, engine and journal as a trader on the grid, but no grid; the
posture is NORMAL unless ``inputs`` give it. Parity tests compare it, and recorded days are traded
again with it. The files are read in scans/files.py and books/documents.py.
"""

import gc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.engine.paper import PaperEngine
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.factors.files import read_factors
from dolphin_realtime.infra import log
from dolphin_realtime.infra.trace import Trace
from dolphin_realtime.journal.writer import Journal
from dolphin_realtime.model.errors import ScanOutOfOrder
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.services.trader.inputs import Allowed
from dolphin_realtime.services.trader.scan_processor import ScanProcessor, make_booking
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.execution import Start
from dolphin_realtime.trading.warm_up import make_portfolio, warm_up

FREE: Final = Allowed(TradingPermission(), is_acted_on=True)


class FileRun(msgspec.Struct):
    """The result of a run from files: scans processed and refused, and a fault if any."""

    scans: int = 0
    refused: int = 0
    fault: str | None = None


async def trade_files(
    settings: Settings,
    instance: str,
    scans: Iterator[Scan],
    books: BookFeed,
    factors: FactorHistory,
    inputs: Mapping[int, Allowed] | None = None,
) -> FileRun:
    """Trade every scan once, in order, and return when the last one is journalled.

    With ``inputs``, scans that are not in them are skipped: the recorded trader never handled them.

    Raises:
        JournalError: If another trader of the instance runs, or the journal cannot be opened.
        EngineError: If the trading engine does not start.
    """
    journal = Journal(settings.journal_dir(instance), lambda _: None)
    portfolio, saved = make_portfolio(instance), journal.load_portfolio()
    portfolio.life = journal.life
    if saved is not None:
        portfolio_state.restore(portfolio, saved)
    else:
        warm_up(portfolio, settings.archive, settings.warm_up_days)
    journal.start()
    booking = make_booking(portfolio)
    engine = PaperEngine(portfolio.venue, booking)
    session = ScanProcessor(
        portfolio, journal, Trace("", ""), BookCache(portfolio), booking, engine
    )
    async with engine.running(Start.of(portfolio)):
        gc.collect()
        gc.freeze()
        gc.disable()
        session.turn.resume()
        run = FileRun()
        for scan in scans:
            allowed = FREE if inputs is None else inputs.get(scan.timestamp_us)
            if allowed is not None:
                await _one(session, portfolio, scan, books, factors, allowed, run)
    journal.close()
    run.fault = session.mismatch or journal.fault
    return run


async def _one(
    session: ScanProcessor,
    portfolio: Portfolio,
    scan: Scan,
    books: BookFeed,
    factors: FactorHistory,
    allowed: Allowed,
    run: FileRun,
) -> None:
    scan = msgspec.structs.replace(scan, epoch=portfolio.signals.order.epoch or 1)
    for views in books.until(scan.timestamp_us):
        session.cache.take_views(views)
    known = factors.at(scan.timestamp_us)
    try:
        if allowed.is_acted_on:
            plan = session.begin(scan, allowed.limits, known)
        else:
            plan = session.turn.catch_up(scan, [], allowed.limits, known)
    except ScanOutOfOrder as e:
        run.refused += 1
        log.get().warning("trader.refused", why=str(e))
        return
    await session.finish(plan, is_acted_on=allowed.is_acted_on)
    run.scans += 1


def read_history(book: Path | None, factors: Path | None) -> tuple[BookFeed, FactorHistory]:
    """Return books and factors from files of documents.

    Raises:
        SettingsError: If a file cannot be read.
    """
    return BookFeed.read(book), read_factors(factors)
