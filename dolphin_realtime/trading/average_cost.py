"""The average entry price of positions whose trades may come late, in the venue's own order.

A stream may lose a trade that REST tells later: booked as it comes, it would give another average
than the venue's. Trades are kept since the position was flat the time before last, and those that
come late are put where they belong by the venue's numbers.
"""

import msgspec

from dolphin_realtime.model.portfolio.account import Position


class _Trade(msgspec.Struct, frozen=True, order=True):
    id: int
    signed: float
    price: float
    digits: int


class _Asset:
    """The trades of one asset, in the venue's order."""

    def __init__(self) -> None:
        self._trades: list[_Trade] = []
        self._position = Position()
        self._flats: list[int] = []

    def add(self, trade: _Trade) -> float:
        is_late = bool(self._trades) and trade < self._trades[-1]
        self._trades.append(trade)
        if is_late:
            self._trades.sort()
            self._position, self._flats = Position(), []
            for n, one in enumerate(self._trades, 1):
                self._apply(one, n)
        else:
            self._apply(trade, len(self._trades))
            self._forget()
        return self._position.average_price

    def _apply(self, trade: _Trade, n: int) -> None:
        self._position.apply(trade.signed, trade.price, trade.digits)
        if self._position.quantity == 0.0:
            self._flats.append(n)

    def _forget(self) -> None:
        """Drop what was before the position was flat the time before last."""
        if len(self._flats) > 2:
            first = self._flats[-2]
            del self._trades[:first]
            self._flats = [n - first for n in self._flats[-1:]]


class AverageCosts:
    """The trades of each asset since it was flat the time before last."""

    def __init__(self) -> None:
        self._assets: dict[str, _Asset] = {}

    def add(self, asset: str, trade_id: int, signed: float, price: float, digits: int) -> float:
        """Add a trade and return the average entry price of the position, 0 if it is flat."""
        kept = self._assets.setdefault(asset, _Asset())
        return kept.add(_Trade(trade_id, signed, price, digits))
