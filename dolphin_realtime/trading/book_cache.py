"""The newest order books, and for each order in flight the first book it may fill at.

Reading `ob_features_latest` as it comes belongs here; a book's effect on the signal is in
signal/gates.py, its effect on a fill in fill_rule.py. A book counts by its event time: a scan uses
only books that are not later than the scan.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from dolphin_realtime.books.documents import BookView, read_books
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.portfolio.fill_rule import Quote, book_quote, latency_us
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.signal.gates import Book

KEPT: Final = 64
"""Books kept per asset: about 16 s, far more than the delay of a scan."""


class BookCache:
    """Books by asset, and quotes by order.

    Attributes:
        shadow: At a real venue: orders whose modelled fill is not known yet, by client order id.
    """

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        self.shadow: dict[str, InFlight] = {}
        self._books: dict[str, deque[Book]] = {}
        self._quotes: dict[str, Quote] = {}

    def update(self, text: str) -> None:
        """Add the books of a document.

        Raises:
            ValueError: If it is not a JSON object.
        """
        self.take_views(read_books(text))

    def take_views(self, views: dict[str, BookView]) -> None:
        """Add the books of one document; the last one added counts as the newest."""
        for asset, view in views.items():
            self._books.setdefault(asset, deque(maxlen=KEPT)).append(view.book)
        wait_us = latency_us(self._portfolio.costs)
        is_real = self._portfolio.venue.is_real
        for order in (self.shadow if is_real else self._portfolio.in_flight).values():
            seen = views.get(order.order.asset)
            if seen is None or not seen.bids or order.client_order_id in self._quotes:
                continue
            if seen.book.event_us >= order.decided_us + wait_us:
                self._assign(order, seen)

    def _assign(self, order: InFlight, view: BookView) -> None:
        digits = self._portfolio.instruments[order.order.asset].price_precision
        quote = book_quote(order, (view.bids, view.asks), digits, view.book.event_us, view.source)
        self._quotes[order.client_order_id] = quote

    def books(self, now_us: int) -> dict[str, Book]:
        """Return each asset's newest book that is not later than a scan."""
        found = {}
        for asset, kept in self._books.items():
            for book in reversed(kept):
                if book.event_us <= now_us:
                    found[asset] = book
                    break
        return found

    def quotes(self, now_us: int) -> dict[str, Quote]:
        """Return, by client order id, the book quotes that are not later than a scan."""
        return {i: q for i, q in self._quotes.items() if q.at_us <= now_us}

    def keep(self, orders: Iterable[InFlight]) -> None:
        """Forget the quotes of all other orders."""
        ids = {o.client_order_id for o in orders}
        self._quotes = {i: q for i, q in self._quotes.items() if i in ids}
