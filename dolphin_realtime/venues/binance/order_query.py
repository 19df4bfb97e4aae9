"""Questions about one order: its state, and its trades."""

from dolphin_realtime.venues.binance.documents import FoundOrder, Trade, read_order, read_trades
from dolphin_realtime.venues.binance.rest import Rest

UNKNOWN_ORDER = -2013
"""The venue's code for an order that it does not have, or not yet."""
PAGE = 1000


async def find_order(rest: Rest, symbol: str, order: str | int) -> FoundOrder:
    """Return an order by its client id (a text) or by the venue's number.

    Raises:
        VenueError: As `Rest.get`; -2013 if the venue does not have it.
        msgspec.DecodeError: If the answer is not what was agreed.
    """
    name = "origClientOrderId" if isinstance(order, str) else "orderId"
    return read_order(await rest.get("/fapi/v1/order", symbol=symbol, **{name: order}))


async def order_trades(rest: Rest, symbol: str, order_id: int) -> list[Trade]:
    """Return the trades of one order.

    Raises:
        VenueError: As `Rest.get`.
        msgspec.DecodeError: If the answer is not what was agreed.
    """
    body = await rest.get("/fapi/v1/userTrades", symbol=symbol, orderId=order_id, limit=PAGE)
    return [trade for trade in read_trades(body) if trade.order_id == order_id]
