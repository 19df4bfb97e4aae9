"""A trader's session, node and journal in this process, without a grid: for measurements."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dolphin_realtime.book_shelf import BookShelf
from dolphin_realtime.journal.writer import Journal
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.trace import Trace
from dolphin_realtime.trader.node import Node, started
from dolphin_realtime.trader.session import Session


@asynccontextmanager
async def session_of(desk: Desk, folder: Path) -> AsyncIterator[Session]:
    """Run a session over a desk, its journal in ``folder``, garbage collection as the trader's."""
    journal = Journal(folder, lambda _: None)
    journal.start()
    session = Session(desk, journal, Trace("", ""), BookShelf(desk))
    node = Node(desk, session.strategy, asyncio.get_running_loop())
    session.node = node
    try:
        async with started(node):
            gc.collect()
            gc.freeze()
            gc.disable()
            yield session
    finally:
        gc.enable()
        journal.close()
