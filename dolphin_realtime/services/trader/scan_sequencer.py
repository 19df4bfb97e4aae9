"""Which scan is next: missed scans are processed in order without trading, then the newest.

The fast path (from the callback directly to the scan processor) and the sequence after gaps,
reconnects and restarts belong here; what happens at a scan does not (scan_processor.py).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.journal.intents import Intent
from dolphin_realtime.model.errors import ScanOutOfOrder, ScanSchemaError
from dolphin_realtime.model.market.scan import MAX_EPOCH_STEP, Scan, decode_scan
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.trader.guard import Guard
from dolphin_realtime.services.trader.scan_processor import ScanProcessor
from dolphin_realtime.services.trader.scan_ring import ScanRing, decoded
from dolphin_realtime.trading.factor_cache import FactorCache

RING_TIMEOUT_S: Final = 10.0


class ScanSequencer:
    """Receives scan documents and hands scans to the scan processor, one at a time."""

    def __init__(
        self, context: ServiceContext, session: ScanProcessor, guard: Guard, factors: FactorCache
    ) -> None:
        self._context, self._session, self._guard = context, session, guard
        self._factors = factors
        self._actions: deque[Callable[[], Awaitable[None]]] = deque()
        self._last_seq: int | None = None
        self._last_key: tuple[int, int] = (0, 0)
        self._pending: Scan | None = None
        self._epoch_offset = 0
        self._is_busy = True
        self._wake = asyncio.Event()
        self._intents: dict[tuple[int, int], Intent] = {}
        self.ring: ScanRing | None = None
        self.finished: Callable[[Scan], None] = lambda _: None

    def recover(self, intents: list[Intent]) -> None:
        """Store the intents of an earlier process that are not in the journal's tables."""
        self._intents = {(i.epoch, i.scan_number): i for i in intents}

    @property
    def is_busy(self) -> bool:
        """Whether a scan is being handled."""
        return self._is_busy

    def act(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run a step between two scans, as soon as no scan is being handled."""
        self._actions.append(step)
        self._wake.set()

    def on_document(self, value: str) -> None:
        """Handle a `latest_eigen_scan` document: the entry listener's callback."""
        began_ns = time.monotonic_ns()
        try:
            scan = decode_scan(value)
        except ScanSchemaError as e:
            self._context.count_rejection("bad_scan_document", why=str(e))
            return
        scan = replace(scan, epoch=scan.epoch + self._epoch_offset)
        wrong = self._why_not(scan)
        if wrong is not None:
            self._context.count_rejection(wrong[0], why=wrong[1])
            return
        scan = self._begin_epoch(scan)
        if scan.key <= self._last_key or (self._pending and scan.key <= self._pending.key):
            return
        self._guard.saw_scan(scan)
        is_next = self._last_seq is not None and scan.seq == self._last_seq + 1
        if self._is_busy or not is_next:
            self._pending = scan
            self._wake.set()
            return
        plan = self._take(scan, began_ns)
        if plan is not None:
            self._is_busy = True
            asyncio.get_running_loop().create_task(self._finish(plan))

    def _why_not(self, scan: Scan) -> tuple[str, str] | None:
        """Return why a scan is implausible, as (reason, detail), None if it is plausible."""
        order = self._session.portfolio.signals.order
        try:
            self._guard.refuse_implausible(scan, order.timestamp_us)
        except ScanOutOfOrder as e:
            return "implausible_time", str(e)
        if order.epoch and scan.epoch > order.epoch + MAX_EPOCH_STEP:
            return "implausible_epoch", f"epoch {scan.epoch}, known is {order.epoch}"
        return None

    def _begin_epoch(self, scan: Scan) -> Scan:
        """Return a scan with this trader's epoch; begin a new one if the bridge's went back.

        A bridge that lost its ledger counts epochs from 1 again. A later scan with a lower epoch
        therefore begins a new epoch here; otherwise the trader would wait for ever.
        """
        order = self._session.portfolio.signals.order
        if not (scan.epoch < order.epoch and scan.timestamp_us > order.timestamp_us):
            return scan
        self._context.count_rejection("epoch_fell", epoch=scan.epoch, known=order.epoch)
        self._epoch_offset += order.epoch + 1 - scan.epoch
        return replace(scan, epoch=order.epoch + 1)

    def _take(self, scan: Scan, began_ns: int) -> Plan | None:
        now = datetime.now(UTC)
        limits = self._guard.limits(scan, now)
        self._guard.note(limits, now)
        try:
            plan = self._session.begin(scan, limits, self._factors.at(scan.timestamp_us), began_ns)
        except ScanOutOfOrder as e:
            self._context.count_rejection("out_of_order", why=str(e))
            plan = None
        else:
            self._last_key = scan.key
            self._context.went_well()
        self._last_seq = scan.seq
        return plan

    async def _finish(self, plan: Plan) -> None:
        try:
            await self._session.finish(plan)
            self._guard.measure_cadence()
            self.finished(plan.scan)
        finally:
            self._is_busy = False
            self._wake.set()

    async def run(self) -> None:
        """Handle everything except the fast path, until the service stops."""
        self._is_busy = False
        while not self._context.stopping.is_set():
            self._context.turn()
            try:
                async with asyncio.timeout(1.0):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()
            if self._is_busy or not (self._actions or self._pending):
                continue
            self._is_busy = True
            try:
                await self._turn()
            finally:
                self._is_busy = False
            if self._pending is not None or self._actions:
                self._wake.set()

    async def _turn(self) -> None:
        """Do what is pending: steps between scans first, then the newest scan."""
        while self._actions:
            await self._actions.popleft()()
        if self._pending is not None:
            scan, self._pending = self._pending, None
            await self._catch_up(scan)

    async def _catch_up(self, newest: Scan) -> None:
        """Process the scans that were missed before ``newest``, then trade ``newest``."""
        for missed in decoded(await self._missed(newest)):
            scan = replace(missed, epoch=missed.epoch + self._epoch_offset)
            await self._follow(scan, self._intents.pop(scan.key, None))
            self._context.turn()
        intent = self._intents.pop(newest.key, None)
        if intent is not None:
            await self._follow(newest, intent)
            return
        await self._give_up_intents()
        plan = self._take(newest, time.monotonic_ns())
        if plan is not None:
            await self._session.finish(plan)
            self._guard.measure_cadence()
            self.finished(plan.scan)

    async def _missed(self, newest: Scan) -> list[str]:
        """Return the documents of the scans between the last one and ``newest``."""
        is_next = self._last_seq is not None and newest.seq == self._last_seq + 1
        if is_next or self.ring is None:
            return []
        last_us = self._session.portfolio.signals.order.timestamp_us
        try:
            async with asyncio.timeout(RING_TIMEOUT_S):
                missed = await self.ring.between(last_us, newest.timestamp_us)
        except GRID_FAULTS as e:
            self._context.count_rejection("ring_unread", why=str(e))
            return []
        if missed:
            self._context.counts["missed_scans"] += len(missed)
            self._context.log.info("trader.caught_up", scans=len(missed))
        return missed

    async def _follow(self, scan: Scan, intent: Intent | None) -> None:
        orders, limits = (intent.orders, intent.limits) if intent else ([], TradingPermission())
        factors = self._factors.at(scan.timestamp_us)
        try:
            plan = self._session.turn.catch_up(scan, orders, limits, factors)
        except ScanOutOfOrder as e:
            self._context.count_rejection("out_of_order", why=str(e))
            return
        self._last_key, self._last_seq = scan.key, scan.seq
        await self._session.finish(plan, is_acted_on=bool(orders))

    async def _give_up_intents(self) -> None:
        """Send recovered orders whose scan is lost again; they fill by the same rule."""
        for intent in self._intents.values():
            if intent.orders:
                self._session.turn.recover(intent.orders)
        self._intents.clear()
