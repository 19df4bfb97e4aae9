"""Questions whose answer is more than a page, or about one order."""

from dolphin_realtime.venues.binance.documents import (
    FoundOrder,
    Income,
    Trade,
    read_income,
    read_order,
    read_trades,
)
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


async def all_income(rest: Rest, since_ms: int) -> list[Income]:
    """Return every change of the wallets since an instant, of all symbols.

    Raises:
        VenueError: As `Rest.get`.
        msgspec.DecodeError: If an answer is not what was agreed.
    """
    found: list[Income] = []
    number = 1
    while True:
        rows = read_income(
            await rest.get("/fapi/v1/income", startTime=since_ms, limit=PAGE, page=number)
        )
        found += rows
        if len(rows) < PAGE:
            return found
        number += 1


async def all_trades(rest: Rest, symbol: str, since_ms: int, last: int | None) -> list[Trade]:
    """Return a symbol's trades after a number, or since an instant where there is no number.

    Raises:
        VenueError: As `Rest.get`.
        msgspec.DecodeError: If an answer is not what was agreed.
    """
    found: list[Trade] = []
    while True:
        first: dict[str, str | int]
        first = {"startTime": since_ms} if last is None else {"fromId": last + 1}
        page = read_trades(
            await rest.get("/fapi/v1/userTrades", symbol=symbol, limit=PAGE, **first)
        )
        found += page
        if len(page) < PAGE:
            return found
        last = page[-1].id
