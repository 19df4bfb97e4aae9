"""A trader whose orders go to a real venue, and whose book is what that venue says.

The order of its start belongs here: the account is opened (live_account.py), the ledger is read
from the journal and brought up to date, orders of a dead process are asked about and never sent
again, and only then is the node built and the next scan traded.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from dolphin_realtime.config.live import LiveSettings
from dolphin_realtime.config.trader_parameters import load_parameters
from dolphin_realtime.engine.live import LiveEngine
from dolphin_realtime.engine.live_node import NodeSettings
from dolphin_realtime.infra import log
from dolphin_realtime.journal.database import LIVE
from dolphin_realtime.journal.intents import Intent
from dolphin_realtime.model.documents import LiveState
from dolphin_realtime.model.orders import owner_of
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.venue_account import count_flattens
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.trader import live_ledger
from dolphin_realtime.services.trader.live_account import LiveAccount, opened
from dolphin_realtime.services.trader.live_door import LiveDoor
from dolphin_realtime.services.trader.live_watch import LiveWatch
from dolphin_realtime.services.trader.scan_processor import make_venue_booking
from dolphin_realtime.services.trader.service import TraderService
from dolphin_realtime.trading.execution import Start
from dolphin_realtime.trading.venue_booking import VenueBooking
from dolphin_realtime.trading.venue_turn import VenueTurn
from dolphin_realtime.venues.binance.reader import Reader
from dolphin_realtime.venues.binance.stream import ANSWER_FAULTS, said

START_TRIES: Final = 10
STREAM_S: Final = 15.0
SETTLE_S: Final = 20.0
"""How long a start waits for the stream, and for answers about orders of a dead process."""


class LiveTrader(TraderService):
    """One account's trader; its portfolio, booking and engine are those of a real venue."""

    mode = LIVE
    engine: LiveEngine
    booking: VenueBooking
    turn: VenueTurn

    def __init__(self, context: ServiceContext, instance: str, account: LiveAccount) -> None:
        self.account = account
        super().__init__(context, instance)
        self.portfolio.instruments.update(account.specs)
        self.turn = self.session.turn  # type: ignore[assignment]
        raised = account.limits(self.own_limits, is_raised=True).max_gross_usd
        self.watch_live = LiveWatch(
            context, account, self.reader, self.engine, self.session, raised
        )
        self.booking.wake = self._wake
        self.door = LiveDoor(self.session, self.inbox.act, self.watch_live)
        self.guard.venue_block = self.watch_live.entry_block
        self.engine.entry_block = lambda: self._trouble() or self.watch_live.entry_block()

    def _make_portfolio(self, instance: str) -> Portfolio:
        p, account = load_parameters(instance), self.account
        self.own_limits = p.limits
        is_raised = live_ledger.is_raised(self.journal.before_start)
        limits = account.limits(p.limits, is_raised=is_raised)
        return Portfolio(instance, p.signal, p.target, p.costs, limits, account.venue)

    def _make_engine(self) -> tuple[VenueBooking, LiveEngine]:
        live = self.account.live
        ledger = live_ledger.ledger_of(self.journal.before_start)
        self.is_new_account = ledger is None
        self.reader = Reader(
            self.account.read,
            self.account.addresses.stream,
            ledger,
            lambda row: self.engine.take(row),
        )
        settings = NodeSettings(
            owner=owner_of(self.portfolio.instance, self.portfolio.life), venue=live.venue,
            loopback=live.loopback, key=self.account.trade_key.key,
            secret=self.account.trade_key.secret,
        )  # fmt: skip
        self.booking = make_venue_booking(self.portfolio)
        read = self.account.read
        return self.booking, LiveEngine(
            self.account.venue, self.booking, self.reader, read, settings
        )

    def _live_state(self) -> LiveState:
        return self.watch_live.state()

    def _wake(self) -> None:
        self.inbox.act(self._book_queued)

    async def _book_queued(self) -> None:
        self.turn.book_queued()

    async def run(self) -> None:
        """Open the account, catch up, and trade until the service stops."""
        if not self.is_restored:
            await self._warm_up()
        async with self.up() as n_intents:
            await self._trade(len(self.portfolio.in_flight), n_intents)

    @asynccontextmanager
    async def up(self) -> AsyncIterator[int]:
        """Run reader, node and watch around a block of work; yield how many intents were left."""
        orders = await self._open()
        reading = asyncio.create_task(self.reader.run(self.context.stopping))
        reading.add_done_callback(self._reader_ended)
        try:
            await self._catch_up(orders)
            async with self.engine.running(_named(Start.of(self.portfolio), self.account)):
                watching = asyncio.create_task(self.watch_live.run())
                try:
                    yield len(orders)
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _open(self) -> list[Any]:
        """Bring the journal's account up; return the orders whose scan was never journalled.

        Such a scan is not traded again: its orders may be at the venue, under the same ids.
        """
        db = self.journal.before_start
        await _patiently(self.reader.start)
        if self.is_new_account:
            now_ms = self.account.read.now_ms()
            live_ledger.open_account(db, self.portfolio, self.reader.ledger, now_ms)
        elif not self.is_restored:
            live_ledger.begin_again(db, self.portfolio)
        booking = self.booking
        live_ledger.go_on(db, booking.rows, booking.venue_rows, booking.averages)
        live_ledger.keep_limits(db, self.portfolio)
        self.watch_live.begin(db)
        known, last = live_ledger.ordered(db), self.portfolio.last_key
        intents: list[Intent] = self.journal.intents.recover(
            last if self.is_restored else None, with_last=True
        )
        self.inbox.recover([msgspec.structs.replace(i, orders=[]) for i in intents])
        self.journal.start()
        orders = [o for i in intents for o in i.orders if o.client_order_id not in known]
        count_flattens(self.portfolio, orders)
        return orders

    async def _catch_up(self, orders: list[Any]) -> None:
        """Learn what became of everything that an earlier process sent."""
        self.context.set_phase("catching_up")
        self.turn.resume()
        self.turn.recover(orders)
        await self.reader.stream.until_whole(STREAM_S)
        self.engine.release()
        deadline = time.monotonic() + SETTLE_S
        while (self.engine.watch.is_asking) and time.monotonic() < deadline:
            await self.engine.watch.turn()
            self.turn.book_queued()
            await asyncio.sleep(0.05)
        await _patiently(self.reader.check)
        self.turn.book_queued()
        self.context.log.info(
            "trader.caught_up_with_the_venue", orders=len(orders), left=len(self.portfolio.in_flight),
            differences=[one.name for one in self.reader.differences],
        )  # fmt: skip

    def _reader_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self.context.stopping.is_set():
            self.booking.failed(f"the venue is not read any more: {task.exception()}")


async def _patiently(ask: Callable[[], Awaitable[None]]) -> None:
    """Ask again where the venue does not answer, START_TRIES times; the last fault is raised."""
    for left in reversed(range(START_TRIES)):
        try:
            return await ask()
        except ANSWER_FAULTS as e:
            if not left:
                raise
            log.get().warning("trader.venue_not_ready", why=said(e))
            await asyncio.sleep(2.0)
    return None


def _named(start: Start, account: LiveAccount) -> Start:
    """Return a start with the instruments that may be traded, and those that are held."""
    held = {a: account.venue.listed[a] for a in start.positions if a in account.venue.listed}
    return Start(start.owner, start.cash, start.positions, {**held, **account.specs})


async def run_live(context: ServiceContext, instance: str, live: LiveSettings) -> None:
    """Run the live trader in its service context.

    Raises:
        SettingsError: If the account may not be traded: the message holds every reason.
        VenueError: If the venue does not answer.
    """
    fee_bps = load_parameters(instance).costs.taker_fee_bps
    async with opened(live, fee_bps) as account:
        await LiveTrader(context, instance, account).run()
