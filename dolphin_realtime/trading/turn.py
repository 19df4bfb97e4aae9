"""The turn: one scan from decision to journal rows, the same for trader and backtest.

The sequence of a scan's steps belongs here and nowhere else: decide, write the intent, send,
update the signal, match the orders of earlier scans, mark, write rows. The portfolio decides, the
fill rule says when an order fills, an engine sends it, and the caller chooses the next scan.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from dolphin_realtime.infra import fault_points
from dolphin_realtime.journal.rows import RECOVERED
from dolphin_realtime.journal.tables import Row
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.portfolio.fill_rule import MarketSnapshot
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import PositionChange
from dolphin_realtime.model.portfolio.position_orders import PositionOrder, carry_out
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.signal.gates import Book, Factors
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.booking import Booking
from dolphin_realtime.trading.execution import Engine

ANSWER_TIMEOUT_S: Final = 5.0
PURGE_EVERY_FILLS: Final = 50
UNFILLED: Final = "UNFILLED: no quote in time"
HALTED: Final = "HALTED: nothing may fill"
FLATTENED: Final = "FLATTEN: closed instead"
CHANGED: Final = "POSITION_CHANGED: a person changed what is held"


class TurnJournal(Protocol):
    """The journal as a turn uses it: intents and rows."""

    def opening(self) -> bytes:
        """Return the saved portfolio as it was before the current scan."""

    def intend(
        self, epoch: int, scan_number: int, orders: Sequence[InFlight], limits: TradingPermission
    ) -> bool:
        """Write the intent of orders before they are sent; return whether it was written."""

    def commit(self, key: tuple[int, int], rows: dict[str, list[Row]], plan: Plan | None) -> None:
        """Store the rows of a scan; without a plan, the rows of work between scans."""


class Turn:
    """Trades scans for one portfolio: `begin` and then `finish`, one scan at a time."""

    def __init__(
        self,
        portfolio: Portfolio,
        booking: Booking,
        engine: Engine,
        cache: BookCache,
        journal: TurnJournal,
    ) -> None:
        self.portfolio, self.booking, self.engine, self.cache = portfolio, booking, engine, cache
        self._journal, self._rows = journal, booking.rows
        self._purged_at = self._n_instruments = 0
        self._silent: set[str] = set()

    def begin(self, scan: Scan, limits: TradingPermission, factors: Factors | None = None) -> Plan:
        """Decide on a scan and send its orders.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one.
        """
        self._open(scan)
        plan = self.portfolio.decide(scan, limits, self._books(scan, factors), factors)
        if not plan.orders:
            return plan
        if not self._journal.intend(*plan.key, plan.orders, plan.limits):
            self.portfolio.take_back(plan.orders)
            plan.give_up("JOURNAL_FAILED")
            return plan
        plan.sent_ns = self.engine.send(plan.orders)
        fault_points.reach("sent")
        self._mark_sent()
        return plan

    def catch_up(
        self,
        scan: Scan,
        orders: list[InFlight],
        limits: TradingPermission,
        factors: Factors | None = None,
    ) -> Plan:
        """Process a scan too old to act on; ``orders`` were sent at it, under ``limits``.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one.
        """
        self._open(scan)
        plan = self.portfolio.catch_up(scan, orders, limits, self._books(scan, factors), factors)
        if plan.is_new and orders:
            self._resume(orders)
        return plan

    def resume(self) -> int:
        """Take over the orders in flight of an earlier process; return how many there are."""
        orders = list(self.portfolio.in_flight.values())
        self._resume(orders)
        return len(orders)

    def recover(self, orders: list[InFlight]) -> None:
        """Take over orders of an earlier process whose scan is lost; journal them as RECOVERED."""
        self.portfolio.in_flight.update({o.client_order_id: o for o in orders})
        self._resume(orders)
        self._rows.sent(orders, RECOVERED)

    async def finish(self, plan: Plan, *, is_acted_on: bool = True) -> None:
        """End a scan: update the state, match earlier orders, mark to market, store the rows."""
        if not plan.is_new:
            return
        await self._until_answered()
        fault_points.reach("order")
        self.portfolio.finish_scan(plan)
        await self._know_instruments()
        if plan.limits.posture is Posture.HALTED:
            await self._cancel(list(self.portfolio.in_flight.values()), HALTED)
        else:
            await self._match(plan)
        self.cache.keep(self._awaited())
        self.booking.count(plan.refusals)
        rows = self._rows.close_scan(plan, is_acted_on=is_acted_on)
        self._journal.commit(plan.key, rows, plan)
        self._purge()

    async def halt(self) -> None:
        """Cancel every order in flight; called between scans."""
        if self.portfolio.in_flight:
            self._rows.open_scan(self.portfolio.last_us)
            await self._cancel(list(self.portfolio.in_flight.values()), HALTED)
            self._commit_between()

    def needs_flatten(self, flatten_id: str) -> bool:
        """Return whether a flatten is still to be carried out."""
        return flatten_id != self.portfolio.flattened_id

    async def flatten(self, flatten_id: str) -> int | None:
        """Cancel what is in flight and close every position, reduce-only.

        Returns:
            How many orders were sent; None if none was, because this id was carried out before
            or the intent could not be written.
        """
        if not self.needs_flatten(flatten_id):
            return None
        self._rows.open_scan(self.portfolio.last_us)
        await self._cancel(list(self.portfolio.in_flight.values()), FLATTENED)
        orders = self.portfolio.flatten()
        key = self.portfolio.last_key or (0, 0)
        if orders and not self._journal.intend(*key, orders, TradingPermission()):
            self.portfolio.take_back(orders)
            self.booking.refused["FLATTEN_NOT_WRITTEN"] += 1
            return None
        self.portfolio.flattened_id = flatten_id
        self.engine.send(orders)
        self._mark_sent()
        await self._until_answered()
        self._rows.sent(orders, "FLATTEN")
        self._commit_between()
        return len(orders)

    async def change_position(self, order: PositionOrder) -> PositionChange:
        """Carry out an operator's position command between scans; first cancel the asset's orders.

        Raises:
            PositionRefused: With the reason; the position was not changed.
        """
        self._rows.open_scan(self.portfolio.last_us)
        flying = [o for o in self.portfolio.in_flight.values() if o.order.asset == order.asset]
        await self._cancel(flying, CHANGED)
        try:
            change = carry_out(self.portfolio, order)
            self._rows.position_change(order, change)
        finally:
            self._commit_between()
        if change.quantity != change.quantity_before:
            self.engine.adjust(order.asset, change.quantity, change.price or change.average or 1.0)
            await self._until(lambda: self._agrees(order.asset))
        return change

    def _books(self, scan: Scan, factors: Factors | None) -> dict[str, Book]:  # noqa: ARG002
        """Return the books that a scan may use."""
        return self.cache.books(scan.timestamp_us)

    def _awaited(self) -> Collection[InFlight]:
        """Return the orders that wait for a quote."""
        return self.portfolio.in_flight.values()

    def _open(self, scan: Scan) -> None:
        """Begin a scan's rows: engine events from now on are booked at this scan."""
        self._rows.open_scan(scan.timestamp_us)
        if self._rows.begins_day(scan.timestamp_us):
            self._rows.opening = self._journal.opening()

    def _resume(self, orders: list[InFlight]) -> None:
        self.engine.resume(orders)
        self._mark_sent()

    def _mark_sent(self) -> None:
        self.portfolio.mark_sent(self.engine.unanswered)

    async def _match(self, plan: Plan) -> None:
        """Fill the orders that have a quote, and cancel those without one in time."""
        now_us = plan.scan.timestamp_us
        quotes = self.cache.quotes(now_us)
        fills, lapses = self.portfolio.match(
            MarketSnapshot(now_us=now_us, prices=plan.prices, books=quotes)
        )
        fills = [e for e in fills if e.order.client_order_id not in self._silent]
        for execution in fills:
            self.booking.expect(execution)
        for execution in fills:
            self.engine.execute(execution)
        await self._until(lambda: not self.booking.unsettled)
        self._silent.update(self.booking.unsettled)
        self.booking.book_held_back()
        await self._lapse(lapses, plan)
        if fills:
            self.portfolio.account.check()
        for asset in {e.order.order.asset for e in fills}:
            self._compare(asset)

    async def _lapse(self, lapses: list[InFlight], plan: Plan) -> None:
        """Cancel orders without a quote in time; add the reason if the price was not sound."""
        unsound = [o for o in lapses if o.order.asset not in plan.prices]
        for order in unsound:
            why = plan.draft.reason(order.order.asset) if plan.draft else "ABSENT"
            await self._cancel([order], f"{UNFILLED} ({why})")
        await self._cancel([o for o in lapses if o.order.asset in plan.prices], UNFILLED)

    async def _cancel(self, orders: list[InFlight], reason: str) -> None:
        ids = [i for i in (o.client_order_id for o in orders) if i not in self._silent]
        for order_id in reversed(ids):  # the later legs of a chain first: they were not sent yet
            self.engine.cancel(order_id, reason)
        await self._until(lambda: not any(i in self.portfolio.in_flight for i in ids))

    async def _until_answered(self) -> None:
        """Wait for an answer to each order sent; an order that times out is not awaited again."""
        await self._until(lambda: self._silent.issuperset(self.engine.unanswered))
        self._silent.update(self.engine.unanswered)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        if not is_so() and not await self.engine.until(is_so, ANSWER_TIMEOUT_S):
            open_orders = ", ".join(sorted(self.engine.unanswered)) or "what was due"
            self.booking.failed(f"no word of {open_orders} after scan {self.portfolio.last_key}")

    async def _know_instruments(self) -> None:
        if len(self.portfolio.instruments) != self._n_instruments:
            self._n_instruments = len(self.portfolio.instruments)
            await self.engine.add_instruments(self.portfolio.instruments)

    def _compare(self, asset: str) -> None:
        if not self._agrees(asset):
            ours, theirs = self._held(asset), self.engine.position(asset)
            self.booking.failed(f"{asset}: the portfolio holds {ours}, the engine {theirs}")

    def _agrees(self, asset: str) -> bool:
        theirs = self.engine.position(asset)
        return not round(self._held(asset) - theirs, self.portfolio.digits(asset))

    def _held(self, asset: str) -> float:
        position = self.portfolio.account.positions.get(asset)
        return position.quantity if position else 0.0

    def _commit_between(self) -> None:
        self._journal.commit(self.portfolio.last_key or (0, 0), self._rows.take_rows(), None)

    def _purge(self) -> None:
        if self.booking.n_fills - self._purged_at >= PURGE_EVERY_FILLS:
            self._purged_at = self.booking.n_fills
            self.engine.purge()
