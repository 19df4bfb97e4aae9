"""A trader's session, engine and journal in this process, without a grid: for measurements."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dolphin_realtime.engine.paper import PaperEngine
from dolphin_realtime.infra.trace import Trace
from dolphin_realtime.journal.writer import Journal
from dolphin_realtime.model.desk.desk import Desk
from dolphin_realtime.services.trader.session import Session, make_booking
from dolphin_realtime.trading.book_shelf import BookShelf
from dolphin_realtime.trading.execution import Start


@asynccontextmanager
async def session_of(desk: Desk, folder: Path) -> AsyncIterator[Session]:
    """Run a session over a desk, its journal in ``folder``, garbage collection as the trader's."""
    journal = Journal(folder, lambda _: None)
    journal.start()
    booking = make_booking(desk)
    engine = PaperEngine(desk.venue, booking)
    session = Session(desk, journal, Trace("", ""), BookShelf(desk), booking, engine)
    try:
        async with engine.running(Start.of(desk)):
            gc.collect()
            gc.freeze()
            gc.disable()
            yield session
    finally:
        gc.enable()
        journal.close()
