"""Matching against the book that the depth stream shows: what is taken is gone until it moves.

Walking levels belongs here; where the levels come from does not (replay/venue.py).
"""

from collections.abc import Callable
from decimal import Decimal

from dolphin_realtime.replay.books import Sides

Taken = tuple[Decimal, Decimal]
"""(price, quantity) of one trade."""
BookOf = Callable[[str], tuple[int, Sides]]
"""Returns the number of an asset's current book, and its bids and asks; (0, ([], [])) for none."""


class ShownBooks:
    """The books as shown, less what was taken since each last moved."""

    def __init__(self, book_of: BookOf) -> None:
        self._book_of = book_of
        self._taken: dict[str, tuple[int, dict[tuple[bool, Decimal], Decimal]]] = {}

    def take(
        self, asset: str, quantity: Decimal, *, is_buy: bool, limit: Decimal | None = None
    ) -> list[Taken]:
        """Take up to a quantity, best first, and return the trades.

        Args:
            asset: The symbol.
            quantity: What is wanted, in units.
            is_buy: Whether asks are taken.
            limit: The worst price that is acceptable; None for any.
        """
        number, sides = self._book_of(asset)
        seen, taken = self._taken.get(asset, (number, {}))
        if seen != number:
            taken = {}
        self._taken[asset] = (number, taken)
        trades: list[Taken] = []
        for price, shown in _levels(sides[1] if is_buy else sides[0]):
            if limit is not None and (price > limit if is_buy else price < limit):
                break
            left = shown - taken.get((is_buy, price), Decimal(0))
            part = min(left, quantity)
            if part <= 0:
                continue
            taken[(is_buy, price)] = taken.get((is_buy, price), Decimal(0)) + part
            trades.append((price, part))
            quantity -= part
            if quantity <= 0:
                break
        return trades

    def mid(self, asset: str) -> Decimal | None:
        """Return the middle of the best prices as shown, None without a book."""
        _, (bids, asks) = self._book_of(asset)
        if not (bids and asks):
            return None
        return (_decimal(bids[0][0]) + _decimal(asks[0][0])) / 2


def _levels(side: list[tuple[float, float]]) -> list[Taken]:
    return [(_decimal(price), _decimal(quantity)) for price, quantity in side]


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))
