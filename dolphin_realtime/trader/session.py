"""One scan from callback to journal: decide and send, then fill what was in flight.

The order of steps at a scan, and obeying a halt or a flatten between scans, belong here;
which scan is next is inbox.py's, the rules are the desk's and the fill rule's, the rows
recorder.py's. Nothing here waits for a disk or the grid.
"""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from dolphin_realtime import fault_points, log
from dolphin_realtime.book_shelf import BookShelf
from dolphin_realtime.journal.database import Row
from dolphin_realtime.journal.recorder import RECOVERED, Recorder
from dolphin_realtime.journal.writer import Journal, ScanRecord
from dolphin_realtime.model import desk_state
from dolphin_realtime.model.decision import Limits
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.errors import ScanOutOfOrder
from dolphin_realtime.model.fill_rule import Execution, Tape, is_quotable, scan_quote
from dolphin_realtime.model.gates import Book, Factors
from dolphin_realtime.model.plan import InFlight, Plan
from dolphin_realtime.model.posture import Posture
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.strategy import SCAN, EigenScan, ScanStrategy
from dolphin_realtime.trace import Trace
from dolphin_realtime.trader.node import Node
from dolphin_realtime.trader.venue import PaperVenue

SETTLE_TIMEOUT_S: Final = 5.0
LATENCY_WINDOW: Final = 1000
SAME_POSITION: Final = 1e-6


class Session:
    """Trades scans for one desk; `take` and then `finish`, one scan at a time.

    Attributes:
        latencies_us: Callback to last order returned, of the last scans with orders.
    """

    def __init__(self, desk: Desk, journal: Journal, trace: Trace, shelf: BookShelf) -> None:
        self.desk, self.journal, self._trace, self.shelf = desk, journal, trace, shelf
        self.recorder = Recorder(desk)
        self.strategy = ScanStrategy(desk, self._write_intent, self.recorder)
        self.node: Node | None = None
        self.latencies_us: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self.n_scans = 0
        self.handled_at = datetime.now(UTC)
        self._quoted: dict[str, tuple[float, float]] = {}
        self._began_ns = 0

    @property
    def mismatch(self) -> str | None:
        """Why nothing may be opened until a restart, or None."""
        return self.recorder.mismatch

    def take(
        self,
        scan: Scan,
        limits: Limits,
        book: dict[str, Book] | None = None,
        factors: Factors | None = None,
        follow: list[InFlight] | None = None,
    ) -> Plan:
        """Decide on a scan and send its orders; with ``follow``, only catch up.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one.
        """
        data = EigenScan(scan, limits)
        data.book, data.factors, data.follow = book, factors, follow
        self.strategy.plan = None
        if not self.recorder.saved:
            self.recorder.saved = desk_state.save(self.desk)
        try:
            self.strategy.publish_data(SCAN, data)
        except ScanOutOfOrder:
            raise
        except Exception as e:
            self.recorder.mismatch = (
                f"scan {scan.scan_number} was not decided: {type(e).__name__}: {e}"
            )
            raise
        plan = self.strategy.plan
        if plan is None:
            raise AssertionError("the strategy did not take the scan: is the node running?")
        if plan.orders and follow is None:
            latency_us = (self.strategy.last_sent_ns - self._began_ns) / 1000
            self.latencies_us.append(latency_us)
            self.recorder.latency_us = latency_us if self._began_ns else None
            key = plan.key
            self._trace.stamp("last_order", *key, self.strategy.last_sent_ns)
            self._trace.stamp("first_order", *key, self.strategy.first_sent_ns)
        return plan

    def send_again(self, orders: list[InFlight]) -> None:
        """Hand orders that a dead process had sent to the new venue, under the same ids."""
        self.desk.in_flight.update({o.client_order_id: o for o in orders})
        self.strategy.send(orders)

    def recover(self, orders: list[InFlight]) -> None:
        """Send such orders whose scan is nowhere to be had, and journal them as what they are."""
        self.send_again(orders)
        self.recorder.sent(orders, RECOVERED)

    def stamp_callback(self, scan: Scan, began_ns: int) -> None:
        """Remember when a scan's callback began: before its document was read."""
        self._began_ns = began_ns
        self._trace.stamp("callback", scan.epoch, scan.scan_number, began_ns)

    def _write_intent(self, plan: Plan) -> bool:
        return self.journal.intend(*plan.key, plan.orders)

    async def finish_or_block(self, plan: Plan, is_acted_on: bool = True) -> None:
        """Finish a scan; whatever goes wrong blocks every entry until a restart, and is said."""
        try:
            await self.finish(plan, is_acted_on)
        except Exception as e:  # noqa: BLE001 - a turn must not end the service
            number = plan.scan.scan_number
            self.recorder.mismatch = f"scan {number} was not finished: {type(e).__name__}: {e}"
            log.get().exception("trader.scan_failed", scan_number=number)

    async def finish(self, plan: Plan, is_acted_on: bool = True) -> None:
        """Fill or lapse what earlier scans sent, mark the books, journal the scan."""
        if not plan.is_new:
            return
        now_us = plan.scan.timestamp_us
        self.recorder.open_scan(now_us)
        await self._until_at_venue(plan.orders)
        fault_points.reach("order")
        self.desk.settle(plan)
        prices = plan.prices
        self._node.add_new_instruments(plan.scan)
        fills: list[Execution] = []
        if plan.limits.posture is Posture.HALTED:
            await self._cancel(list(self.desk.in_flight.values()), "HALTED: nothing may fill")
        else:
            tape = Tape(now_us=now_us, prices=prices, books=self.shelf.quotes(now_us))
            fills, lapses = self.desk.due(tape)
            await self._execute(fills)
            await self._cancel(lapses, "UNFILLED: no quote in time")
        self.shelf.keep(self.desk.in_flight.values())
        self._reconcile({e.order.order.asset for e in fills})
        self._mark_held(prices, now_us, {e.order.order.asset for e in fills})
        rows = self.recorder.close_scan(plan, is_acted_on=is_acted_on)
        self.n_scans += 1
        self.handled_at = datetime.now(UTC)
        self._commit(plan.key, rows)
        self._node.purge(self.recorder.n_fills)
        gc.collect(0)

    async def halt(self) -> None:
        """Cancel every order in flight, now: between scans."""
        if self.desk.in_flight:
            self.recorder.open_scan(self.desk.last_us)
            await self._cancel(list(self.desk.in_flight.values()), "HALTED: nothing may fill")
            self._commit(self.desk.last_key or (0, 0), self.recorder.take_rows())

    async def flatten(self, flatten_id: str, reason: str) -> None:
        """Cancel what is in flight and close every position, reduce-only; an id is obeyed once."""
        if flatten_id == self.desk.flattened_id:
            return
        self.recorder.open_scan(self.desk.last_us)
        await self._cancel(list(self.desk.in_flight.values()), "FLATTEN: closed instead")
        orders, key = self.desk.flatten(), self.desk.last_key or (0, 0)
        if orders and not self.journal.intend(*key, orders):
            for order in orders:
                self.desk.lapse(order.client_order_id)
            self.recorder.refused["FLATTEN_NOT_WRITTEN"] += 1
            return
        self.desk.flattened_id = flatten_id
        self.strategy.send(orders)
        await self._until_at_venue(orders)
        self.recorder.sent(orders, "FLATTEN")
        log.get().info("trader.flattened", id=flatten_id, reason=reason, orders=len(orders))
        self._commit(key, self.recorder.take_rows())

    async def _execute(self, fills: list[Execution]) -> None:
        for execution in fills:
            order_id, quote = execution.order.client_order_id, execution.quote
            if order_id in self._venue.held:
                self.recorder.expect(execution)
                if self._quoted.get(quote.asset) != (quote.bid, quote.ask):
                    self._quoted[quote.asset] = (quote.bid, quote.ask)
                    self._node.publish_quote(quote)
                self._venue.release(order_id)
        done = [e.order.client_order_id for e in fills]
        await self._until(lambda: not any(i in self.desk.in_flight for i in done))

    async def _cancel(self, orders: list[InFlight], reason: str) -> None:
        await self._until_at_venue(orders)
        for order in orders:
            if order.client_order_id in self._venue.held:
                self.recorder.cancel_reasons[order.client_order_id] = reason
                self._venue.drop(order.client_order_id)
        ids = [o.client_order_id for o in orders]
        await self._until(lambda: not any(i in self.desk.in_flight for i in ids))

    async def _until_at_venue(self, orders: Iterable[InFlight]) -> None:
        ids = [o.client_order_id for o in orders]
        held, flying = self._venue.held, self.desk.in_flight
        await self._until(lambda: not any(i in flying and i not in held for i in ids))

    async def _until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while not is_so():
            if time.monotonic() > deadline:
                self.recorder.mismatch = f"orders after scan {self.desk.last_key} did not settle"
                return
            await asyncio.sleep(0)

    @property
    def _node(self) -> Node:
        if self.node is None:
            raise AssertionError("the session has no node yet")
        return self.node

    @property
    def _venue(self) -> PaperVenue:
        return self._node.venue

    def _mark_held(self, prices: Mapping[str, float], now_us: int, quoted: set[str]) -> None:
        """Quote the other open positions, so that Nautilus' portfolio is marked as well."""
        for asset in self.desk.account.held():
            if asset not in quoted and is_quotable(prices.get(asset)):
                digits = self.desk.instruments[asset].price_precision
                quote = scan_quote(asset, prices[asset], digits, now_us, self.desk.costs)
                self._quoted[asset] = (quote.bid, quote.ask)
                self._node.publish_quote(quote)

    def _reconcile(self, assets: set[str]) -> None:
        self.desk.account.check()
        for asset in assets:
            position = self.desk.account.positions.get(asset)
            ours = position.quantity if position else 0.0
            theirs = self._node.position(asset)
            if abs(ours - theirs) > SAME_POSITION:
                self.recorder.mismatch = f"{asset}: the desk holds {ours}, Nautilus {theirs}"

    def _commit(self, key: tuple[int, int], rows: dict[str, list[Row]]) -> None:
        saved = self.recorder.saved = desk_state.save(self.desk)
        record = ScanRecord(epoch=key[0], scan_number=key[1], rows=rows, desk=saved)
        self.journal.commit(record)
