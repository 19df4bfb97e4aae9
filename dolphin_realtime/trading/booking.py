"""Booking of order events: into the portfolio, and as rows of the journal.

Shared by trader and backtest, so that both book the same events alike. The rows are made in
journal/rows.py; the effect of an event on an order is in model/orders.py.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

import msgspec

from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.model.errors import OrderMismatch
from dolphin_realtime.model.orders import Ended, EndKind, InFlight, OrderEvent, Traded, Unknown
from dolphin_realtime.model.portfolio.fill_rule import Execution, Quote
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.pre_trade import Refusal

OUTCOMES_KEPT: Final = 10


class Booking:
    """Books the order events that an engine reports; it is the `Outcomes` of its engine.

    Attributes:
        refused: Number of orders that did not fill in full or that a limit stopped, by code.
        outcomes: For each of the last ten orders that filled or were rejected: was it rejected.
        mismatch: How the portfolio and the engine disagree, or None. It stays until a restart.
        n_fills: Fills since the start.
    """

    def __init__(self, portfolio: Portfolio, rows: Rows) -> None:
        self.portfolio, self.rows = portfolio, rows
        self.refused: Counter[str] = Counter()
        self.outcomes: deque[bool] = deque(maxlen=OUTCOMES_KEPT)
        self.mismatch: str | None = None
        self.n_fills = 0
        self._quotes: dict[str, Quote] = {}
        self._waiting: dict[str, list[OrderEvent]] = {}

    def expect(self, execution: Execution) -> None:
        """Hold back an order's events until `book_held_back`, and keep the quote it fills at."""
        order_id = execution.order.client_order_id
        self._quotes[order_id] = execution.quote
        self._waiting[order_id] = []

    @property
    def unsettled(self) -> list[str]:
        """Expected orders that have no end yet."""
        return [i for i, e in self._waiting.items() if not (e and isinstance(e[-1], Ended))]

    def book_held_back(self) -> None:
        """Book the held-back events in the sequence of the `expect` calls."""
        waiting, self._waiting = self._waiting, {}
        for events in waiting.values():
            for event in events:
                self._book(event)
        self._quotes.clear()

    def book(self, event: OrderEvent) -> None:
        """Book one event of the engine, or hold it back if its order is expected."""
        waiting = self._waiting.get(event.order_id)
        if waiting is None:
            self._book(event)
        else:
            waiting.append(event)

    def failed(self, why: str) -> None:
        """Remember why nothing may be opened until a restart; the first cause stays."""
        self.mismatch = self.mismatch or why

    def count(self, refusals: Iterable[Refusal]) -> None:
        """Count the orders of a plan that a limit stopped."""
        self.refused.update(r.code for r in refusals)

    def _book(self, event: OrderEvent) -> None:
        order = self.portfolio.in_flight.get(event.order_id)
        if order is None:
            self.failed(f"{type(event).__name__} of {event.order_id}, which is not in flight")
            return
        try:
            if isinstance(event, Traded):
                self._fill(order, event)
            else:
                self.portfolio.book(event)
                if isinstance(event, Ended | Unknown):
                    self.rows.add("order_events", self.rows.order_event(order, event))
                if isinstance(event, Ended):
                    self._count_end(event)
        except OrderMismatch as e:
            self.failed(str(e))

    def _fill(self, order: InFlight, event: Traded) -> None:
        quote = self._quotes.get(event.order_id)
        if quote is None:
            self.failed(f"a fill of {event.order_id} that nothing called for")
            return
        steps = round(event.quantity, self.portfolio.digits(order.order.asset))
        event = msgspec.structs.replace(event, quantity=steps)
        realised = self.portfolio.book(event, quote.mid)
        self.n_fills += 1
        self.rows.add("fills", self.rows.fill(order, event, quote, realised))

    def _count_end(self, event: Ended) -> None:
        if event.kind is not EndKind.FILLED:
            self.refused[event.code] += 1
        if event.kind in (EndKind.FILLED, EndKind.REJECTED):
            self.outcomes.append(event.kind is EndKind.REJECTED)
