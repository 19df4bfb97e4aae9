"""One order at the venue: what it asks, whether the rules allow it, and how far it got. Pure.

Reading an order from a request and the rules of quantity, notional and margin belong here;
matching and booking do not (exchange.py). An order's answer on the wire is in answers.py.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from dolphin_realtime.replay.exchange.account import ZERO, Account
from dolphin_realtime.replay.exchange.refusals import Refusal
from dolphin_realtime.replay.exchange.symbols import QUOTE, Symbol

CLIENT_ID: Final = re.compile(r"[\.A-Z\:/a-z0-9_-]{1,36}", re.ASCII)
LIVING: Final = ("NEW", "PARTIALLY_FILLED")
TIMES: Final = ("GTC", "IOC", "GTX")


class Order(msgspec.Struct, kw_only=True):
    """An order.

    Attributes:
        price: Its limit; None for a market order.
        filled: Units filled so far, ``cost`` their notional.
        status: NEW, PARTIALLY_FILLED, FILLED, CANCELED, EXPIRED.
    """

    id: int
    client_id: str
    symbol: str
    is_buy: bool
    quantity: Decimal
    kind: str = "MARKET"
    price: Decimal | None = None
    time_in_force: str = "GTC"
    reduces: bool = False
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    status: str = "NEW"
    placed_ms: int = 0
    updated_ms: int = 0

    @property
    def left(self) -> Decimal:
        """Units not filled yet."""
        return self.quantity - self.filled

    @property
    def average(self) -> Decimal:
        """Average price of what filled, 0 before the first trade."""
        return self.cost / self.filled if self.filled else ZERO


def wanted(params: Mapping[str, str], symbols: Mapping[str, Symbol], order_id: int) -> Order:
    """Return the order that a request asks for.

    Raises:
        Refusal: If a parameter is missing, malformed or against the symbol's rules.
    """
    symbol = symbols.get(params.get("symbol", ""))
    if symbol is None or not symbol.is_trading:
        raise Refusal(-1121)
    side, kind = params.get("side"), params.get("type")
    if side not in ("BUY", "SELL"):
        raise Refusal(-1117)
    if kind not in ("MARKET", "LIMIT"):
        raise Refusal(-1116)
    client_id = params.get("newClientOrderId") or f"web_{order_id}"
    if CLIENT_ID.fullmatch(client_id) is None:
        raise Refusal(-4015)
    quantity = number(params, "quantity")
    if quantity <= 0:
        raise Refusal(-4003)
    if has_more_digits(quantity, symbol.size_digits):
        raise Refusal(-1111)
    if quantity > symbol.most:
        raise Refusal(-4005)
    is_limit = kind == "LIMIT"
    price = number(params, "price") if is_limit else None
    if price is not None and has_more_digits(price, symbol.price_digits):
        raise Refusal(-1111)
    time_in_force = params.get("timeInForce", "GTC")
    if is_limit and time_in_force not in TIMES:
        raise Refusal(-1115)
    return Order(
        id=order_id, client_id=client_id, symbol=symbol.name, is_buy=side == "BUY",
        quantity=quantity, kind=kind, price=price, time_in_force=time_in_force,
        reduces=params.get("reduceOnly", "false").lower() == "true",
    )  # fmt: skip


def number(params: Mapping[str, str], name: str) -> Decimal:
    """Return a finite decimal parameter.

    Raises:
        Refusal: If it is missing or malformed.
    """
    try:
        found = Decimal(params[name])
    except (KeyError, InvalidOperation):
        raise Refusal(-1102, name) from None
    if not found.is_finite():
        raise Refusal(-1102, name)
    return found


def has_more_digits(value: Decimal, digits: int) -> bool:
    """Return whether a number has more decimal places than allowed."""
    exponent = value.normalize().as_tuple().exponent
    return isinstance(exponent, int) and -exponent > digits


def allow(
    order: Order, account: Account, symbol: Symbol, marks: Mapping[str, Decimal], side: str
) -> Order:
    """Return the order as the account may place it: a reduce-only one is cut to the position.

    Args:
        order: What is asked.
        account: Whose it is.
        symbol: Rules of its symbol.
        marks: Mark prices; without one of its symbol nothing is traded.
        side: The position side of the request.

    Raises:
        Refusal: If mode, position, notional or margin forbid it.
    """
    if account.is_hedged or side != "BOTH":
        raise Refusal(-4061)
    mark = order.price or marks.get(order.symbol)
    if mark is None:
        raise Refusal(-4131)
    held = account.position(order.symbol).quantity
    if order.reduces:
        room = max(ZERO, -held if order.is_buy else held)
        if not room:
            raise Refusal(-2022)
        return msgspec.structs.replace(order, quantity=min(order.quantity, room))
    if order.quantity * mark < symbol.least_usd:
        raise Refusal(-4164)
    _check_margin(order, account, marks, mark)
    return order


def _check_margin(
    order: Order, account: Account, marks: Mapping[str, Decimal], mark: Decimal
) -> None:
    held = account.position(order.symbol).quantity
    after = held + (order.quantity if order.is_buy else -order.quantity)
    more = max(ZERO, abs(after) - abs(held)) * mark / account.leverage_of(order.symbol)
    equity = account.wallets.get(QUOTE, ZERO) + account.unrealised(marks)
    if more > equity - account.margin(marks):
        raise Refusal(-2019)
