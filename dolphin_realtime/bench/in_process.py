"""A trader's scan processor, engine and journal in this process, without a grid, to measure."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dolphin_realtime.engine.paper import PaperEngine
from dolphin_realtime.infra.trace import Trace
from dolphin_realtime.journal.writer import Journal
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.services.trader.scan_processor import ScanProcessor, make_booking
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.execution import Start


@asynccontextmanager
async def session_of(portfolio: Portfolio, folder: Path) -> AsyncIterator[ScanProcessor]:
    """Run a scan processor, its journal in ``folder``, without garbage collection as a trader."""
    journal = Journal(folder, lambda _: None)
    journal.start()
    booking = make_booking(portfolio)
    engine = PaperEngine(portfolio.venue, booking)
    session = ScanProcessor(
        portfolio, journal, Trace("", ""), BookCache(portfolio), booking, engine
    )
    try:
        async with engine.running(Start.of(portfolio)):
            gc.collect()
            gc.freeze()
            gc.disable()
            yield session
    finally:
        gc.enable()
        journal.close()
