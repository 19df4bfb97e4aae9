"""`dolphin service trader INSTANCE`: recover, warm up, then trade every new scan.

Only the sequence of starting and stopping belongs here.
"""

import asyncio
import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol

from dolphin_realtime.config.live import live_settings
from dolphin_realtime.engine.paper import PaperEngine
from dolphin_realtime.grid import maps
from dolphin_realtime.grid.cluster import cluster_of, members_needed
from dolphin_realtime.grid.latest_feed import LatestFeed
from dolphin_realtime.infra.trace import Trace
from dolphin_realtime.journal.database import PAPER
from dolphin_realtime.journal.writer import Journal, ScanRecord
from dolphin_realtime.model.documents import LiveState
from dolphin_realtime.model.errors import ScanError
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.trader.guard import Guard
from dolphin_realtime.services.trader.position_commands import PositionDoor
from dolphin_realtime.services.trader.posture_watch import PostureWatch
from dolphin_realtime.services.trader.publish_state import StatePublisher
from dolphin_realtime.services.trader.rehearsal import Rehearsal
from dolphin_realtime.services.trader.scan_processor import ScanProcessor, make_booking
from dolphin_realtime.services.trader.scan_ring import ScanRing
from dolphin_realtime.services.trader.scan_sequencer import ScanSequencer
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.booking import Booking
from dolphin_realtime.trading.execution import Engine, Start
from dolphin_realtime.trading.factor_cache import FactorCache
from dolphin_realtime.trading.warm_up import make_portfolio, warm_up


class TraderEngine(Engine, Protocol):
    """An engine that a trader runs around its work."""

    def running(self, start: Start) -> AbstractAsyncContextManager[None]:
        """Run the engine around a block of work."""


class TraderService:
    """One trader instance on paper in its service context; live_trader.py has the live one."""

    mode = PAPER

    def __init__(self, context: ServiceContext, instance: str) -> None:
        self.context = context
        self.loop = asyncio.get_running_loop()
        settings = context.settings
        self.journal = Journal(settings.journal_dir(instance), self._committed, self.mode)
        self.portfolio = self._make_portfolio(instance)
        self.portfolio.life = self.journal.life
        saved = self.journal.load_portfolio()
        if saved is not None:
            portfolio_state.restore(self.portfolio, saved)
        self.is_restored = saved is not None
        self._needed = members_needed(settings)
        self._listed = set(cluster_of(settings).addresses)
        self.trace = Trace(settings.trace, f"trader-{instance}")
        self.factors = FactorCache()
        booking, self.engine = self._make_engine()
        cache = BookCache(self.portfolio)
        self.session = ScanProcessor(
            self.portfolio, self.journal, self.trace, cache, booking, self.engine
        )
        self.guard = Guard(
            instance,
            is_replay=settings.market_clock == "replay",
            cadence_min_s=settings.stale_cadence_min_s,
            trouble=self._trouble,
        )
        self.inbox = ScanSequencer(context, self.session, self.guard, self.factors)
        self.watch = PostureWatch(self.guard, self.session, self.inbox.act)
        self.door = PositionDoor(self.session, self.inbox.act)
        self.publisher = StatePublisher(context, self.session, self.guard, self._live_state)

    def _make_portfolio(self, instance: str) -> Portfolio:
        return make_portfolio(instance)

    def _make_engine(self) -> tuple[Booking, TraderEngine]:
        booking = make_booking(self.portfolio)
        return booking, PaperEngine(self.portfolio.venue, booking)

    def _live_state(self) -> LiveState | None:
        return None

    def _committed(self, record: ScanRecord) -> None:  # noqa: ARG002 - the helper thread's callback
        self.loop.call_soon_threadsafe(self.publisher.soon)

    def _trouble(self) -> str | None:
        if self.session.mismatch:
            return self.journal.trouble or "RECONCILIATION"
        return self.journal.trouble or ("GRID_DIVIDED" if self._sees_too_few() else None)

    def _sees_too_few(self) -> bool:
        """Return whether this trader may be in the smaller part of a divided network."""
        if not self._needed:
            return False
        members = self.context.client.cluster_service.get_members()
        return (
            len({f"{m.address.host}:{m.address.port}" for m in members} & self._listed)
            < self._needed
        )

    async def run(self) -> None:
        """Trade until the service stops."""
        if not self.is_restored:
            await self._warm_up()
        intents = self.journal.intents.recover(
            self.portfolio.last_key if self.is_restored else None
        )
        self.inbox.recover(intents)
        self.journal.start()
        async with self.engine.running(Start.of(self.portfolio)):
            n_in_flight = self.session.turn.resume()
            await self._trade(n_in_flight, len(intents))

    async def _trade(self, n_in_flight: int, n_intents: int) -> None:
        feeds = await self._feeds()
        door = await self.door.serve(self.context.settings.run_dir, self.portfolio.instance)
        gc.collect()
        gc.freeze()
        gc.disable()
        publishing = asyncio.create_task(self.publisher.run())
        describing = asyncio.create_task(self._describe())
        rehearsing = asyncio.create_task(self._rehearse())
        self.context.ready()
        self.context.log.info(
            "trader.started",
            restored=self.is_restored,
            in_flight=n_in_flight,
            intents=n_intents,
        )
        try:
            await self.inbox.run()
        finally:
            for feed in feeds:
                feed.stop()
            door.close()
            describing.cancel()
            rehearsing.cancel()
            await asyncio.gather(publishing, describing, rehearsing, return_exceptions=True)
            self.journal.close()
            self.trace.write()

    async def _warm_up(self) -> None:
        settings = self.context.settings
        self.context.set_phase("warming_up")
        try:
            n = await asyncio.to_thread(
                warm_up, self.portfolio, settings.archive, settings.warm_up_days
            )
        except ScanError as e:
            self.context.count_rejection("bad_archive", why=str(e))
            n = 0
        self.context.log.info("trader.warmed_up", scans=n)

    async def _feeds(self) -> list[LatestFeed]:
        client = self.context.client
        self.inbox.ring = ScanRing(await client.get_ringbuffer(maps.SCAN_RING))
        cache = self.session.cache
        feeds = [
            LatestFeed(client, maps.SAFETY, maps.LATEST, self.watch.on_document),
            LatestFeed(client, maps.FEATURES, maps.LATEST_FACTORS, self._read(self.factors.update)),
            LatestFeed(client, maps.FEATURES, maps.LATEST_BOOKS, self._read(cache.update)),
            LatestFeed(client, maps.FEATURES, maps.LATEST_SCAN, self.inbox.on_document),
        ]
        for feed in feeds:
            await feed.start()
        return feeds

    def _read(self, take: Callable[[str], None]) -> Callable[[str], None]:
        """Return a handler that counts an unreadable document; the last good one stays."""

        def handle(value: str) -> None:
            try:
                take(value)
            except ValueError as e:
                self.context.count_rejection("bad_document", why=str(e))

        return handle

    async def _rehearse(self) -> None:
        """Rehearse before every scan, if the settings ask for it."""
        if self.context.settings.rehearsal == "off":
            return
        cache, factors, p = self.session.cache, self.factors, self.portfolio
        rehearsal = Rehearsal(
            Portfolio(p.instance, p.signals.params, p.target, p.costs, p.pre_trade, p.venue),
            self.session.disk.opening,
            lambda at_us: (cache.books(at_us), factors.at(at_us)),
            lambda: self.inbox.is_busy,
        )
        self.inbox.finished = rehearsal.finished
        await rehearsal.run()

    async def _describe(self) -> None:
        while True:
            s = self.session
            refused = sum(s.booking.refused.values())
            fills = s.booking.n_fills
            self.context.detail = f"{s.n_scans} scans, {fills} fills, {refused} orders refused"
            self.watch.apply(self.guard.posture(datetime.now(UTC)))
            if self._trouble():
                self.context.set_phase("blocked", why=self._trouble())
            elif self.context.phase == "blocked":
                self.context.set_phase("ready")
            await asyncio.sleep(1.0)


async def run(context: ServiceContext, instance: str) -> None:
    """Run the trader in its service context, live if the settings say so."""
    live = live_settings(context.settings, instance)
    if live is None:
        await TraderService(context, instance).run()
    else:
        from dolphin_realtime.services.trader.live_trader import run_live  # Binance, if it is used

        await run_live(context, instance, live)
