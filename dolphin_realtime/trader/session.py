"""One scan from callback to journal: decide and send, then fill what was in flight.

The order of steps at a scan belongs here; which scan is next is inbox.py's, the rules are
the desk's. Nothing here waits for a disk or the grid.
"""

import asyncio
import gc
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any, Final

from nautilus_trader.data.engine import DataEngine

from dolphin_realtime import log
from dolphin_realtime.journal import Journal, Row, ScanRecord
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.gates import Book, Factors
from dolphin_realtime.model.plan import InFlight, Plan, usable_prices
from dolphin_realtime.model.posture import Posture
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.model.target import Decision, Limits
from dolphin_realtime.strategy import SCAN, EigenScan, ScanStrategy, make_quote
from dolphin_realtime.trace import Trace
from dolphin_realtime.trader.node import Node

SETTLE_TIMEOUT_S: Final = 5.0
LATENCY_WINDOW: Final = 1000
TABLES: Final = ("decisions", "orders", "fills", "cancels", "funding", "equity", "days", "meta")


class Session:
    """Trades scans for one desk; `take` and then `finish`, one scan at a time.

    Attributes:
        refused: Orders that had no fill, by reason.
        reasons: Decisions of the last scan, by reason.
        latencies_us: Callback to last order returned, of the last scans with orders.
        mismatch: Where Nautilus and the desk disagree on a position, or None.
    """

    def __init__(self, desk: Desk, journal: Journal, trace: Trace) -> None:
        self.desk, self.journal, self._trace = desk, journal, trace
        self.strategy = ScanStrategy(desk, self._write_intent, self)
        self.node: Node | None = None
        self.refused: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.latencies_us: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self.mismatch: str | None = None
        self.n_scans = 0
        self.handled_at = datetime.now(UTC)
        self.n_fills = 0
        self._rows: dict[str, list[Row]] = {}
        self._quoted: dict[str, float] = {}
        self._scan_us = 0
        self._last_reason: dict[str, str] = {}
        self._has_start_cash = False

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
        began = time.perf_counter_ns()
        data = EigenScan(scan, limits)
        data.book, data.factors, data.follow = book, factors, follow
        self.strategy.plan = None
        try:
            self.strategy.publish_data(SCAN, data)
        except (ArithmeticError, ValueError, KeyError) as e:
            self.mismatch = f"scan {scan.scan_number} was not decided: {type(e).__name__}: {e}"
            raise
        plan = self.strategy.plan
        if plan is None:
            raise AssertionError("the strategy did not take the scan: is the node running?")
        if plan.orders and follow is None:
            self.latencies_us.append((time.perf_counter_ns() - began) / 1000)
            key = (plan.signal.epoch, scan.scan_number)
            self._trace.stamp("last_order", *key)
            self._trace.stamp("first_order", *key, self.strategy.first_sent_ns)
        return plan

    def send_again(self, orders: list[InFlight]) -> None:
        """Hand orders that a dead process had sent to the new venue, under the same ids."""
        self.desk.in_flight.update({o.client_order_id: o for o in orders})
        self.strategy.send(orders)

    def stamp_callback(self, scan: Scan) -> None:
        """Remember when a scan's callback began."""
        self._trace.stamp("callback", scan.epoch, scan.scan_number)

    def _write_intent(self, plan: Plan) -> bool:
        key = (plan.signal.epoch, plan.scan.scan_number)
        return self.journal.intend(*key, plan.orders)

    async def finish_or_block(self, plan: Plan, is_acted_on: bool = True) -> None:
        """Finish a scan; whatever goes wrong blocks every entry until a restart, and is said."""
        try:
            await self.finish(plan, is_acted_on)
        except Exception as e:  # noqa: BLE001 - a turn must not end the service
            self.mismatch = (
                f"scan {plan.scan.scan_number} was not finished: {type(e).__name__}: {e}"
            )
            log.get().exception("trader.scan_failed", scan_number=plan.scan.scan_number)

    async def finish(self, plan: Plan, is_acted_on: bool = True) -> None:
        """Fill or lapse what earlier scans sent, mark the books, journal the scan."""
        if not plan.is_new:
            return
        self._rows = {table: [] for table in TABLES}
        self._scan_us = plan.scan.timestamp_us
        sent = [o.client_order_id for o in plan.orders]
        await self._until(lambda: not any(self._is_on_its_way(i) for i in sent), plan)
        prices = usable_prices(plan.scan, plan.signal)
        self._node.add_new_instruments(plan.scan)
        fills: list[InFlight] = []
        if plan.limits.posture is Posture.HALTED:
            lapses = list(self.desk.in_flight.values())
        else:
            fills, lapses = self.desk.due(plan.scan, prices)
        for asset in {o.order.asset: None for o in fills}:
            self._publish_quote(asset, prices[asset])
        for order in fills:
            if order.client_order_id in self._venue.held:
                self._venue.release(order.client_order_id)
        for order in lapses:
            if order.client_order_id in self._venue.held:
                self._venue.drop(order.client_order_id, "UNFILLED: no quote in time, or HALTED")
        done = [o.client_order_id for o in (*fills, *lapses)]
        await self._until(lambda: not any(i in self.desk.in_flight for i in done), plan)
        self._reconcile(fills)
        self._mark_held(prices, fills)
        self._record(plan, is_acted_on)
        gc.collect(0)

    def _is_on_its_way(self, order_id: str) -> bool:
        return order_id in self.desk.in_flight and order_id not in self._venue.held

    async def _until(self, is_so: Any, plan: Plan) -> None:
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while not is_so():
            if time.monotonic() > deadline:
                self.mismatch = f"orders of scan {plan.scan.scan_number} did not settle"
                return
            await asyncio.sleep(0)

    @property
    def _node(self) -> Node:
        if self.node is None:
            raise AssertionError("the session has no node yet")
        return self.node

    @property
    def _venue(self) -> Any:
        return self._node.venue

    def _publish_quote(self, asset: str, mid: float) -> None:
        self._quoted[asset] = mid
        quote = make_quote(self.desk.quote(asset, mid), self.desk.instruments[asset], self._scan_us)
        DataEngine.process(self._node.kernel.data_engine, quote)

    def _mark_held(self, prices: dict[str, float], fills: list[InFlight]) -> None:
        """Quote the other open positions, so that Nautilus' portfolio is marked as well."""
        quoted = {o.order.asset for o in fills}
        for asset in self.desk.account.held():
            if asset in prices and asset not in quoted:
                self._publish_quote(asset, prices[asset])

    def _reconcile(self, fills: list[InFlight]) -> None:
        self.desk.account.check()
        for asset in {o.order.asset for o in fills}:
            position = self.desk.account.positions.get(asset)
            ours = position.quantity if position else 0.0
            theirs = self._node.position(asset)
            if abs(ours - theirs) > 1e-6:
                self.mismatch = f"{asset}: the desk holds {ours}, Nautilus {theirs}"

    def filled(self, order_id: str, quantity: float, price: float, fee: float) -> None:
        """Book a fill that Nautilus reports."""
        order = self.desk.in_flight.get(order_id)
        if order is None:
            self.mismatch = f"a fill of {order_id}, which is not in flight"
            return
        mid = self._quoted[order.order.asset]
        realised = self.desk.fill(order_id, quantity, price, fee, mid)
        self.n_fills += 1
        o = order.order
        self._rows["fills"].append(
            (
                order_id,
                order.epoch,
                order.scan_number,
                self._scan_us,
                o.asset,
                o.side,
                quantity,
                price,
                mid,
                fee,
                realised,
            )
        )

    def unfilled(self, order_id: str, reason: str) -> None:
        """Forget an order that Nautilus or the venue refused, and journal why."""
        self.desk.lapse(order_id)
        self.refused[reason.split(":", maxsplit=1)[0]] += 1
        self._rows.setdefault("cancels", []).append((order_id, self._scan_us, reason))

    def _record(self, plan: Plan, is_acted_on: bool) -> None:
        key = (plan.signal.epoch, plan.scan.scan_number)
        day = self.desk.mark(self._scan_us)
        account, rows = self.desk.account, self._rows
        rows["decisions"] = self._decision_rows(plan, key)
        rows["orders"] = [
            (o.client_order_id, o.epoch, o.scan_number, o.decided_us, o.order.asset, o.order.side,
             o.order.quantity, o.order.leg, int(o.order.is_reduce_only))
            for o in plan.orders
        ]  # fmt: skip
        rows["funding"] = [
            (f.settlement_us, f.asset, f.quantity, f.rate, f.amount) for f in plan.funding
        ]
        unrealised = account.unrealised(self.desk.prices)
        rows["equity"] = [
            (*key, self._scan_us, account.cash, account.realised, unrealised, account.fees,
             account.funding, account.cash + unrealised, plan.limits.posture.value,
             int(is_acted_on), plan.scan.simulated)
        ]  # fmt: skip
        rows["days"] = [
            (day.day, account.realised - day.start_realised, unrealised, account.fees - day.start_fees,
             account.funding - day.start_funding, day.equity, day.trades, day.max_drawdown)
        ]  # fmt: skip
        if not self._has_start_cash:
            rows["meta"] = [("start_cash", repr(account.start_cash))]
            self._has_start_cash = True
        self.n_scans += 1
        self.handled_at = datetime.now(UTC)
        self.journal.commit(
            ScanRecord(epoch=key[0], scan_number=key[1], rows=rows, desk=self.desk.save())
        )

    def _decision_rows(self, plan: Plan, key: tuple[int, int]) -> list[Row]:
        """Return a row for each order, and for each asset with a signal, a position or news."""
        decided = {d.asset for d in plan.decisions}
        idle = [
            Decision(asset=asset, signal=0.0, target=0.0, held=0.0, reason=reason)
            for asset, reason in zip(plan.signal.assets, plan.signal.reason, strict=True)
            if asset not in decided
        ]
        decisions = [*plan.decisions, *idle]
        self.reasons = Counter(d.reason for d in decisions)
        rows: list[Row] = []
        for d in decisions:
            is_news = self._last_reason.get(d.asset) != d.reason
            self._last_reason[d.asset] = d.reason
            if not (d.orders or d.signal or d.held or is_news):
                continue
            head = (*key, self._scan_us, d.asset, d.signal, d.target, d.held)
            rows += [(*head, o.side, o.quantity, d.reason) for o in d.orders] or [
                (*head, None, 0.0, d.reason)
            ]
        return rows
