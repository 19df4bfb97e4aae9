"""The fill rule, in market time: which orders fill at a scan, and at which quote. Pure.

An order decided at t fills at the first quote of its asset stamped at least the venue's
latency after t: an order book's if there is one, else the next scan's price plus or minus the
half spread. It never fills at the scan's own price, and never while the asset has no sound price:
then it waits for its first sound quote, or is cancelled (UNFILLED). Paper and backtest share this
file; each passes the quote to its own engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.market.order_book import Level, walk
from dolphin_realtime.model.orders import FLATTEN_LEG, InFlight
from dolphin_realtime.model.portfolio.costs import CostParams

PRICE_MIN: Final = 1e-8
PRICE_MAX: Final = 1e12
"""A price outside these bounds is not a quote: orders in flight wait, or are cancelled."""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Prices to fill at: mid, bid for a sale, ask for a purchase.

    Attributes:
        at_us: The quote's instant, market time.
        source: scan (price plus or minus the half spread), or the kind of order book.
    """

    asset: str
    mid: float
    bid: float
    ask: float
    at_us: int
    source: str = "scan"


class Execution(msgspec.Struct, frozen=True):
    """An order and the quote it fills at."""

    order: InFlight
    quote: Quote


class MarketSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The market snapshot at a scan, against which orders are matched.

    Attributes:
        now_us: The scan's instant.
        prices: Its sound prices.
        books: By client order id, the order's first book quote that is at least the latency after
            its decision and not later than this scan.
    """

    now_us: int
    prices: Mapping[str, float]
    books: Mapping[str, Quote] = {}


def latency_us(costs: CostParams) -> int:
    """Return the venue's latency in market time."""
    return round(costs.venue_latency_ms * 1000)


def due(
    in_flight: Iterable[InFlight],
    snapshot: MarketSnapshot,
    gap_us: int,
    costs: CostParams,
    instruments: Mapping[str, InstrumentSpec],
) -> tuple[list[Execution], list[InFlight]]:
    """Return (fills, orders to cancel as UNFILLED) among the orders of earlier scans.

    Args:
        in_flight: Orders without an outcome.
        snapshot: The market snapshot: the scan's prices and book quotes.
        gap_us: An order without a quote for longer than this is cancelled; a flatten is not.
        costs: Latency and half spread.
        instruments: Price precisions.
    """
    fills, lapses = [], []
    for order in in_flight:
        waited_us = snapshot.now_us - order.decided_us
        asset, book = order.order.asset, snapshot.books.get(order.client_order_id)
        price = snapshot.prices.get(asset)
        if price is not None and book is not None and book.at_us - order.decided_us <= gap_us:
            fills.append(Execution(order, book))
        elif waited_us > gap_us and not order.order.leg.startswith(FLATTEN_LEG):
            lapses.append(order)
        elif price is not None and is_quotable(price) and waited_us >= max(1, latency_us(costs)):
            digits = instruments[asset].price_precision
            fills.append(Execution(order, scan_quote(asset, price, digits, snapshot.now_us, costs)))
    return fills, lapses


def is_quotable(price: float) -> bool:
    """Return whether a price is within the bounds of a quote."""
    return PRICE_MIN < price < PRICE_MAX


def scan_quote(asset: str, mid: float, digits: int, at_us: int, costs: CostParams) -> Quote:
    """Return the modelled quote of an asset: mid +- half spread, at the price precision."""
    half = mid * costs.half_spread_bps * 1e-4
    bid, ask = round(mid - half, digits), round(mid + half, digits)
    return Quote(asset=asset, mid=mid, bid=bid, ask=ask, at_us=at_us)


def book_quote(
    order: InFlight,
    sides: tuple[Sequence[Level], Sequence[Level]],
    digits: int,
    at_us: int,
    source: str,
) -> Quote:
    """Return the quote of a usable book, walked for the order's size."""
    bids, asks = sides
    quantity = order.order.quantity
    return Quote(
        asset=order.order.asset,
        mid=(bids[0][0] + asks[0][0]) / 2.0,
        bid=round(walk(bids, quantity), digits),
        ask=round(walk(asks, quantity), digits),
        at_us=at_us,
        source=source,
    )
