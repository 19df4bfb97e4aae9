"""Answers and events of Binance USD-M as they are read: trades, income, positions, wallets. Pure.

Amounts are `Decimal`, exactly as the venue wrote them; instants are milliseconds of the venue's
time. Fields that nothing here needs are ignored.
"""

from decimal import Decimal
from typing import Final

import msgspec

TRADED: Final = ("TRADE", "CALCULATED")
"""Executions of an order update that carry a trade; CALCULATED is a liquidation."""


def _check(*numbers: Decimal) -> None:
    """Refuse a number that is none.

    Raises:
        ArithmeticError: If one is infinite or not a number.
    """
    if not all(number.is_finite() for number in numbers):
        raise ArithmeticError("the venue wrote a number that is none")


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of the account, from REST or from the stream.

    Attributes:
        client_id: The order's client id; REST does not tell it.
    """

    symbol: str
    id: int
    order_id: int
    is_buy: bool
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    realised: Decimal
    at_ms: int
    client_id: str | None = None

    def __post_init__(self) -> None:
        _check(self.quantity, self.price, self.fee, self.realised)

    @property
    def key(self) -> tuple[str, int]:
        """The unique key: trade ids count by symbol."""
        return self.symbol, self.id

    @property
    def signed(self) -> Decimal:
        """The quantity, negative for a sale."""
        return self.quantity if self.is_buy else -self.quantity


class Income(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a wallet."""

    kind: str = msgspec.field(name="incomeType")
    tran_id: int = msgspec.field(name="tranId")
    asset: str
    amount: Decimal = msgspec.field(name="income")
    at_ms: int = msgspec.field(name="time")
    symbol: str = ""

    def __post_init__(self) -> None:
        _check(self.amount)

    @property
    def key(self) -> tuple[str, int, str]:
        """The unique key: numbers count by kind and symbol."""
        return self.kind, self.tran_id, self.symbol


class _UserTrade(msgspec.Struct, kw_only=True):
    symbol: str
    id: int
    order_id: int = msgspec.field(name="orderId")
    side: str
    price: Decimal
    quantity: Decimal = msgspec.field(name="qty")
    realised: Decimal = msgspec.field(name="realizedPnl")
    fee: Decimal = msgspec.field(name="commission")
    fee_asset: str = msgspec.field(name="commissionAsset")
    at_ms: int = msgspec.field(name="time")


class HeldPosition(msgspec.Struct, frozen=True, kw_only=True):
    """One position of `positionRisk`."""

    symbol: str
    quantity: Decimal = msgspec.field(name="positionAmt")
    entry: Decimal = msgspec.field(name="entryPrice")

    def __post_init__(self) -> None:
        _check(self.quantity)


class _Asset(msgspec.Struct, kw_only=True):
    asset: str
    wallet: Decimal = msgspec.field(name="walletBalance")

    def __post_init__(self) -> None:
        _check(self.wallet)


class _Account(msgspec.Struct, kw_only=True):
    assets: list[_Asset]


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The ``o`` of an order update: the order's state, and a trade where it has one.

    Attributes:
        ordered: Units that the venue works on; it lowers a reduce-only order.
        filled: Units filled so far.
    """

    symbol: str = msgspec.field(name="s")
    client_id: str = msgspec.field(name="c")
    side: str = msgspec.field(name="S")
    execution: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    order_id: int = msgspec.field(name="i")
    ordered: Decimal = msgspec.field(name="q", default=Decimal(0))
    quantity: Decimal = msgspec.field(name="l")
    filled: Decimal = msgspec.field(name="z")
    price: Decimal = msgspec.field(name="L")
    trade_id: int = msgspec.field(name="t")
    at_ms: int = msgspec.field(name="T")
    realised: Decimal = msgspec.field(name="rp", default=Decimal(0))
    fee: Decimal = msgspec.field(name="n", default=Decimal(0))
    fee_asset: str = msgspec.field(name="N", default="USDT")


class FoundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue answers about it."""

    symbol: str
    order_id: int = msgspec.field(name="orderId")
    client_id: str = msgspec.field(name="clientOrderId")
    status: str
    ordered: Decimal = msgspec.field(name="origQty")
    filled: Decimal = msgspec.field(name="executedQty")


class _AccountChange(msgspec.Struct, kw_only=True):
    reason: str = msgspec.field(name="m")


class Event(msgspec.Struct, kw_only=True):
    """An event of the user stream: its kind, and what of it is used."""

    kind: str = msgspec.field(name="e")
    order: OrderUpdate | None = msgspec.field(name="o", default=None)
    account: _AccountChange | None = msgspec.field(name="a", default=None)


_events = msgspec.json.Decoder(Event)


def read_trades(body: bytes) -> list[Trade]:
    """Return the trades of `userTrades`.

    Raises:
        msgspec.DecodeError: If the answer is not what was agreed.
    """
    return [
        Trade(
            symbol=t.symbol, id=t.id, order_id=t.order_id, is_buy=t.side == "BUY",
            quantity=t.quantity, price=t.price, fee=t.fee, fee_asset=t.fee_asset,
            realised=t.realised, at_ms=t.at_ms,
        )
        for t in msgspec.json.decode(body, type=list[_UserTrade])
    ]  # fmt: skip


def read_income(body: bytes) -> list[Income]:
    """Return the rows of `income`.

    Raises:
        msgspec.DecodeError: If the answer is not what was agreed.
    """
    return msgspec.json.decode(body, type=list[Income])


def read_order(body: bytes) -> FoundOrder:
    """Return the order of `order`.

    Raises:
        msgspec.DecodeError: If the answer is not what was agreed.
    """
    return msgspec.json.decode(body, type=FoundOrder)


def read_positions(body: bytes) -> dict[str, HeldPosition]:
    """Return the open positions of `positionRisk` by symbol.

    Raises:
        msgspec.DecodeError: If the answer is not what was agreed.
    """
    found = msgspec.json.decode(body, type=list[HeldPosition])
    return {one.symbol: one for one in found if one.quantity}


def read_wallets(body: bytes) -> dict[str, Decimal]:
    """Return the wallets of `account` by asset, empty ones left out.

    Raises:
        msgspec.DecodeError: If the answer is not what was agreed.
    """
    account = msgspec.json.decode(body, type=_Account)
    return {one.asset: one.wallet for one in account.assets if one.wallet}


def read_event(text: str | bytes) -> Event:
    """Return an event of the user stream.

    Raises:
        msgspec.DecodeError: If it is not what was agreed.
    """
    return _events.decode(text)


def trade_of(event: Event) -> Trade | None:
    """Return the trade that an event carries, None if it carries none."""
    o = event.order
    if o is None or o.execution not in TRADED or not o.quantity:
        return None
    return Trade(
        symbol=o.symbol, id=o.trade_id, order_id=o.order_id, is_buy=o.side == "BUY",
        quantity=o.quantity, price=o.price, fee=o.fee, fee_asset=o.fee_asset,
        realised=o.realised, at_ms=o.at_ms, client_id=o.client_id,
    )  # fmt: skip
