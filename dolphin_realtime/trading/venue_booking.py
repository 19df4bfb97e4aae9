"""Booking at a real venue: events are kept as they come, and booked between two scans.

The order in which they are booked is their order in the journal, so that a live day can be
replayed. What a fill does to the portfolio is as on paper (booking.py).
"""

from collections import deque
from collections.abc import Callable

import msgspec

from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.journal.venue_check import trade_id
from dolphin_realtime.journal.venue_rows import FOUND, VenueRows
from dolphin_realtime.model.errors import OrderMismatch
from dolphin_realtime.model.orders import Ended, InFlight, OrderEvent, OrderState, Traded, Unknown
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.venue_account import (
    Cause,
    Outside,
    Paid,
    book_outside,
    book_paid,
    usdt_of,
)
from dolphin_realtime.trading.average_cost import AverageCosts
from dolphin_realtime.trading.booking import Booking

VenueEvent = OrderEvent | Outside | Paid


class VenueBooking(Booking):
    """Books what a venue says; it is the `Outcomes` of a live engine.

    Attributes:
        queue: Events that came and are not booked yet.
        wake: Called when an event came.
        venue_rows: The rows of what the venue says.
        outside: Trades from outside that were booked and not noted yet.
        averages: The average entry prices, in the venue's own order of trades.
    """

    def __init__(self, portfolio: Portfolio, rows: Rows) -> None:
        super().__init__(portfolio, rows)
        self.venue_rows = VenueRows(rows)
        self.queue: deque[VenueEvent] = deque()
        self.wake: Callable[[], None] = lambda: None
        self.outside: deque[Outside] = deque()
        self.averages = AverageCosts()

    def book(self, event: VenueEvent) -> None:
        """Keep an event until it is booked."""
        self.queue.append(event)
        self.wake()

    def book_queued(self) -> int:
        """Book the events that came so far, and return how many there were."""
        n_events = len(self.queue)
        for _ in range(n_events):
            self._book_one(self.queue.popleft())
        return n_events

    def _book_one(self, event: VenueEvent) -> None:
        if isinstance(event, Outside):
            self._book_outside(event)
        elif isinstance(event, Paid):
            held = self.portfolio.account.held().get(event.symbol, 0.0)
            book_paid(self.portfolio, event)
            self.venue_rows.paid(event, held)
        else:
            self._book_event(event)

    def _book_event(self, event: OrderEvent) -> None:
        order = self.portfolio.in_flight.get(event.order_id)
        if order is None:
            self.failed(f"{type(event).__name__} of {event.order_id}, which is not in flight")
            return
        try:
            if isinstance(event, Traded):
                self._book_trade(order, event)
                return
            self.portfolio.book(event)
        except OrderMismatch as e:
            self.failed(str(e))
            return
        if isinstance(event, Ended | Unknown):
            self.venue_rows.event(order, event)
        elif order.state is OrderState.UNKNOWN:
            self.venue_rows.event(order, Unknown(event.order_id, FOUND))
        if isinstance(event, Ended):
            self._count_end(event)

    def _book_trade(self, order: InFlight, event: Traded) -> None:
        """Book a trade; one that contradicts its order is booked as one from outside."""
        asset = order.order.asset
        fee = event.fee if event.venue is None else self._fee(event.venue.fee_asset, event)
        quantity = round(event.quantity, self.portfolio.digits(asset))
        event = msgspec.structs.replace(event, quantity=quantity, fee=fee)
        mid = self.portfolio.prices.get(asset, event.price)
        try:
            realised = self.portfolio.book(event, mid)
        except OrderMismatch:
            self._book_outside(_late(order, event))
            raise
        self.n_fills += 1
        self._put_in_order(asset, event.fill_id, order.order.side, quantity, event.price)
        self.venue_rows.traded(order, event, mid, realised)

    def _put_in_order(
        self, asset: str, fill_id: str, side: str, quantity: float, price: float
    ) -> None:
        """Set the average entry price to what the venue's order of trades gives."""
        signed = quantity if side == "BUY" else -quantity
        digits = self.portfolio.digits(asset)
        average = self.averages.add(asset, trade_id(fill_id), signed, price, digits)
        position = self.portfolio.account.positions[asset]
        position.average_price = average if position.quantity else 0.0

    def _fee(self, asset: str, event: Traded) -> float:
        return usdt_of(self.portfolio, asset, event.venue.fee_paid if event.venue else event.fee)

    def _book_outside(self, trade: Outside) -> None:
        fee = usdt_of(self.portfolio, trade.venue.fee_asset, trade.venue.fee_paid)
        trade = msgspec.structs.replace(trade, fee=fee)
        mid = self.portfolio.prices.get(trade.asset, trade.price)
        realised = book_outside(self.portfolio, trade)
        self.n_fills += 1
        self._put_in_order(trade.asset, trade.fill_id, trade.side, trade.quantity, trade.price)
        self.outside.append(trade)
        self.venue_rows.outside(trade, mid, realised)


def _late(order: InFlight, event: Traded) -> Outside:
    """Return a trade of an order of ours that the order does not explain."""
    if event.venue is None:
        raise AssertionError("a fill at a real venue says what the venue says")
    return Outside(
        asset=order.order.asset, fill_id=event.fill_id, side=order.order.side,
        quantity=event.quantity, price=event.price, fee=event.fee, cause=Cause.LATE,
        client_id=event.order_id, venue=event.venue,
    )  # fmt: skip
