"""One asset's order book kept by sequence number, Binance USD-M's rules. Pure.

Applying snapshots and updates, what makes a book usable, its features and the price of
walking it belong here; sockets do not (services/orderbook/). Prices are quote per unit of base,
quantities units of base, instants microseconds since the Unix epoch.
Source of the rules: Binance USD-M, "How to manage a local order book correctly".
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from dolphin_realtime.model.errors import BookChainBroken

Level = tuple[float, float]
"""(price, quantity)"""
LEVELS: Final = 20


class DepthUpdate(msgspec.Struct, frozen=True):
    """One `depthUpdate` event on the wire; quantities are absolute, 0 removes a level."""

    event: str = msgspec.field(name="e")
    event_ms: int = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    first_id: int = msgspec.field(name="U")
    last_id: int = msgspec.field(name="u")
    previous_id: int = msgspec.field(name="pu")
    bids: list[tuple[str, str]] = msgspec.field(name="b")
    asks: list[tuple[str, str]] = msgspec.field(name="a")


class DepthSnapshot(msgspec.Struct, frozen=True):
    """The answer of `/fapi/v1/depth` on the wire."""

    last_id: int = msgspec.field(name="lastUpdateId")
    event_ms: int = msgspec.field(name="E")
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class LocalBook:
    """A book from one snapshot and every update after it.

    Attributes:
        event_us: The venue's time of the newest event.
        last_id: Sequence number of the newest update, -1 before a snapshot.
    """

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.event_us = 0
        self.last_id = -1
        self._is_first = True

    def load(self, snapshot: DepthSnapshot) -> None:
        """Replace the book by a snapshot.

        Raises:
            ValueError: If a level is not a pair of finite numbers.
        """
        self.bids, self.asks = {}, {}
        _apply(self.bids, snapshot.bids)
        _apply(self.asks, snapshot.asks)
        self.event_us = snapshot.event_ms * 1000
        self.last_id, self._is_first = snapshot.last_id, True

    def update(self, update: DepthUpdate) -> None:
        """Apply one update; an update that the snapshot already includes changes nothing.

        Raises:
            BookChainBroken: If updates are missing between the book and this one.
            ValueError: If a level is not a pair of finite numbers.
        """
        if update.last_id < self.last_id or (update.last_id == self.last_id and not self._is_first):
            return
        follows = update.previous_id == self.last_id
        spans = self._is_first and update.first_id <= self.last_id
        if not (follows or spans):
            raise BookChainBroken(
                f"{update.symbol}: the book ends at {self.last_id}, the update begins at "
                f"{update.first_id} after {update.previous_id}"
            )
        _apply(self.bids, update.bids)
        _apply(self.asks, update.asks)
        self.event_us = max(self.event_us, update.event_ms * 1000)
        self.last_id, self._is_first = update.last_id, False

    def top(self, levels: int = LEVELS) -> tuple[list[Level], list[Level]]:
        """Return the best bids and asks, best first."""
        bids = sorted(self.bids.items(), reverse=True)[:levels]
        return bids, sorted(self.asks.items())[:levels]


def _apply(side: dict[float, float], changes: Sequence[tuple[str, str]]) -> None:
    for price_text, quantity_text in changes:
        price, quantity = float(price_text), float(quantity_text)
        if not (0.0 < price < 1e18 and 0.0 <= quantity < 1e18):
            raise ValueError(f"level {price_text!r} x {quantity_text!r} is out of range")
        if quantity == 0.0:
            side.pop(price, None)
        else:
            side[price] = quantity


class BookFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """One asset in `ob_features_latest`.

    Attributes:
        event_time: The venue's time of the book.
        imbalance_1: (bid - ask) / (bid + ask) of quantities over one level, in [-1, 1].
        microprice: Best prices weighted by the other side's quantity.
        spread_bps: Best ask minus best bid, in basis points of the mid.
        depth: USD on both sides together, over 20 levels.
        bids: Up to 20 levels [price, quantity], best first.
    """

    event_time: datetime
    imbalance_1: float
    imbalance_5: float
    imbalance_20: float
    microprice: float
    spread_bps: float
    depth: float
    bids: list[Level]
    asks: list[Level]


def fault(bids: Sequence[Level], asks: Sequence[Level]) -> str | None:
    """Return why a book is not usable: ONE_SIDED or CROSSED; None if it is usable."""
    if not bids or not asks:
        return "ONE_SIDED"
    return "CROSSED" if bids[0][0] >= asks[0][0] else None


def imbalance(bids: Sequence[Level], asks: Sequence[Level], levels: int) -> float:
    """Return (bid - ask) / (bid + ask) of the quantities on the best ``levels`` levels."""
    bid = sum(q for _, q in bids[:levels])
    ask = sum(q for _, q in asks[:levels])
    return (bid - ask) / (bid + ask) if bid + ask > 0.0 else 0.0


def microprice(bids: Sequence[Level], asks: Sequence[Level]) -> float:
    """Return the best prices, each weighted by the quantity on the other side."""
    (bid, bid_quantity), (ask, ask_quantity) = bids[0], asks[0]
    return (bid * ask_quantity + ask * bid_quantity) / (bid_quantity + ask_quantity)


def features(bids: list[Level], asks: list[Level], event_time: datetime) -> BookFeatures:
    """Return the features of a usable book; both sides are sorted best first."""
    bid, ask = bids[0][0], asks[0][0]
    return BookFeatures(
        event_time=event_time,
        imbalance_1=imbalance(bids, asks, 1),
        imbalance_5=imbalance(bids, asks, 5),
        imbalance_20=imbalance(bids, asks, 20),
        microprice=microprice(bids, asks),
        spread_bps=(ask - bid) / ((ask + bid) / 2.0) * 1e4,
        depth=sum(p * q for p, q in (*bids, *asks)),
        bids=bids,
        asks=asks,
    )


def walk(levels: Sequence[Level], quantity: float) -> float:
    """Return the average price of taking ``quantity`` from the levels, best first.

    The part that exceeds the visible levels is priced at the last of them.
    """
    left, cost = quantity, 0.0
    for price, available in levels:
        taken = min(left, available)
        cost += taken * price
        left -= taken
        if left <= 0.0:
            break
    if left > 0.0:
        cost += left * levels[-1][0]
    return cost / quantity
