"""The turn at a real venue: orders fill when the venue says so, never by a quote.

What differs from a simulated venue (turn.py) belongs here. Events that come during a scan wait
until it is finished; they are booked as of that scan, whose equity row is then marked again. The
fill rule runs beside as a shadow: what the model says is journalled and moves nothing.
"""

import time
from collections.abc import Collection
from typing import Final

from dolphin_realtime.infra import fault_points
from dolphin_realtime.journal.tables import MetaRow
from dolphin_realtime.model.errors import PositionRefused
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.portfolio.fill_rule import MarketSnapshot, due
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import Act, PositionChange
from dolphin_realtime.model.portfolio.position_orders import PositionOrder
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.signal.gates import Book, Factors
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.execution import Engine
from dolphin_realtime.trading.turn import Turn, TurnJournal
from dolphin_realtime.trading.venue_booking import VenueBooking

DRAIN_S: Final = 5.0
"""How long a flatten waits for orders in flight."""
FLATTEN_AGAIN_S: Final = 5.0
"""A flatten that left something is repeated after so long, then after twice as long."""


class VenueTurn(Turn):
    """Trades scans at a real venue; `book_queued` books what came between two scans."""

    booking: VenueBooking

    def __init__(
        self,
        portfolio: Portfolio,
        booking: VenueBooking,
        engine: Engine,
        cache: BookCache,
        journal: TurnJournal,
    ) -> None:
        super().__init__(portfolio, booking, engine, cache, journal)
        self.booking = booking
        self._decided: dict[str, float] = {}
        self._flattened_at, self._again_s = 0.0, FLATTEN_AGAIN_S
        self._inputs: tuple[int, dict[str, Book], Factors | None] = (0, {}, None)

    def begin(self, scan: Scan, limits: TradingPermission, factors: Factors | None = None) -> Plan:
        """Decide on a scan and send its orders, after all that came before it is booked."""
        self.book_queued()
        plan = super().begin(scan, limits, factors)
        self.cache.shadow.update({o.client_order_id: o for o in plan.orders})
        self._decided.update({o.client_order_id: plan.prices[o.order.asset] for o in plan.orders})
        return plan

    async def finish(self, plan: Plan, *, is_acted_on: bool = True) -> None:
        """End a scan, and journal with what it was decided."""
        if plan.is_new:
            self.booking.venue_rows.inputs(*self._inputs)
        await super().finish(plan, is_acted_on=is_acted_on)

    def book_queued(self) -> None:
        """Book what the venue said since; called between scans."""
        if not self.booking.queue:
            return
        self._rows.open_scan(self.portfolio.last_us)
        self.booking.book_queued()
        fault_points.reach("booked")
        self._rows.mark_again()
        self._commit_between()

    def note(self, row: MetaRow) -> None:
        """Journal a fact of the account; called between scans."""
        self._rows.add("meta", row)
        self._commit_between()

    def recover(self, orders: list[InFlight]) -> None:
        """Take over the orders of an earlier process, and journal them at once; none is sent."""
        self._rows.open_scan(self.portfolio.last_us)
        super().recover(orders)
        self._commit_between()

    async def flatten(self, flatten_id: str) -> int | None:
        """Close every position, reduce-only, once what is in flight has ended or DRAIN_S passed.

        It is repeated while anything is left: an order may be refused, or an unknown one fill later.
        """
        await self._drain()
        is_again = flatten_id == self.portfolio.flattened_id
        n_orders = await super().flatten(flatten_id)
        self._again_s = min(2 * self._again_s, 60.0) if is_again else FLATTEN_AGAIN_S
        self._flattened_at = time.monotonic()
        return n_orders

    def needs_flatten(self, flatten_id: str) -> bool:
        """Return whether a flatten is still to be carried out, or left something."""
        is_left = bool(self.portfolio.account.held()) and not self.portfolio.in_flight
        is_due = time.monotonic() - self._flattened_at > self._again_s
        return super().needs_flatten(flatten_id) or (is_left and is_due)

    async def halt(self) -> None:
        """Drop the legs that were not sent yet; what was sent cannot be called back."""
        await self._cancel(list(self.portfolio.in_flight.values()), "HALTED: nothing may be sent")
        self.book_queued()

    async def change_position(self, order: PositionOrder) -> PositionChange:
        """Accept a price; refuse all that would change what is held: that is what the venue says.

        Raises:
            PositionRefused: If the command is another one, or cannot be carried out.
        """
        if order.act is Act.ACCEPT:
            return await super().change_position(order)
        raise PositionRefused(
            f"{order.asset}: in live mode a position is what the venue says; trade it there, "
            "then dolphin live adopt"
        )

    async def _drain(self) -> None:
        await self._cancel(list(self.portfolio.in_flight.values()), "FLATTEN: closed instead")
        deadline = time.monotonic() + DRAIN_S
        self.book_queued()
        while self.portfolio.in_flight and time.monotonic() < deadline:
            left_s = deadline - time.monotonic()
            await self.engine.until(lambda: bool(self.booking.queue), left_s)
            self.book_queued()

    def _books(self, scan: Scan, factors: Factors | None) -> dict[str, Book]:
        """Return the books that a scan may use; `finish` journals them, as an input of the day."""
        books = super()._books(scan, factors)
        self._inputs = (scan.timestamp_us, books, factors)
        return books

    def _awaited(self) -> Collection[InFlight]:
        return self.cache.shadow.values()

    async def _until_answered(self) -> None:
        """Wait for nothing: the venue answers when it does."""

    async def _cancel(self, orders: list[InFlight], reason: str) -> None:
        for order in reversed(orders):
            self.engine.cancel(order.client_order_id, reason)

    async def _match(self, plan: Plan) -> None:
        """Journal what the fill rule says of the orders sent; nothing of it is booked."""
        now_us, portfolio = plan.scan.timestamp_us, self.portfolio
        snapshot = MarketSnapshot(
            now_us=now_us, prices=plan.prices, books=self.cache.quotes(now_us)
        )
        gap_us = round(portfolio.signals.params.gap_max_s * 1e6)
        fills, lapses = due(
            self.cache.shadow.values(), snapshot, gap_us, portfolio.costs, portfolio.instruments
        )
        for execution in fills:
            order, quote = execution.order, execution.quote
            price = quote.ask if order.order.side == "BUY" else quote.bid
            fee = portfolio.venue.fee(order.order.quantity, price)
            self.booking.venue_rows.shadow(execution, self._decided[order.client_order_id], fee)
        for order in (*lapses, *(e.order for e in fills)):
            del self.cache.shadow[order.client_order_id], self._decided[order.client_order_id]
