"""The life of an order, from the intent to its one end. Pure.

What an order is, what can become of it and which step follows which belong here; choosing
orders is decision.py's, sending them an engine's, booking their fills trading/booking.py's.
Quantities are units of the base, prices and fees USDT.
"""

import hashlib
from base64 import b32encode
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from typing import Final

import msgspec

from dolphin_realtime.model.errors import NoOrderId, OrderMismatch

FLATTEN_LEG: Final = "F"
CLOSE_LEG: Final = "C"


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True):
    """One order to send. ``leg`` is C for a close, O for an open, A for a change in size."""

    asset: str
    side: str
    quantity: float
    leg: str
    is_reduce_only: bool


class OrderState(StrEnum):
    """Where an order without an end stands.

    INTENDED: decided and on disk; a later leg of a chain waits here for the one before it.
    SENT: handed over, no word yet. ACKNOWLEDGED: the venue has it. PARTLY_FILLED: some of it.
    UNKNOWN: it may or may not be there; counted in full until the venue tells.
    """

    INTENDED = "INTENDED"
    SENT = "SENT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    PARTLY_FILLED = "PARTLY_FILLED"
    UNKNOWN = "UNKNOWN"


class EndKind(StrEnum):
    """How an order ended; each has exactly one end.

    FILLED: wholly. EXPIRED: the venue let the rest go. CANCELED: taken back. REJECTED: refused,
    by the venue or before it, with a code. NEVER_THERE: unknown, and it never arrived.
    DROPPED: a later leg of a chain, never sent, since the leg before it did not fill.
    """

    FILLED = "FILLED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    NEVER_THERE = "NEVER_THERE"
    DROPPED = "DROPPED"


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """An order that has no end yet.

    Attributes:
        filled: Units filled so far.
    """

    client_order_id: str
    order: OrderIntent
    epoch: int
    scan_number: int
    decided_us: int
    state: OrderState = OrderState.INTENDED
    filled: float = 0.0

    @property
    def left(self) -> float:
        """Units not filled yet, positive for BUY."""
        left = self.order.quantity - self.filled
        return left if self.order.side == "BUY" else -left


class Acked(msgspec.Struct, frozen=True):
    """The venue has the order."""

    order_id: str


class Traded(msgspec.Struct, frozen=True):
    """A fill, whole or a part, with an id of its own."""

    order_id: str
    fill_id: str
    quantity: float
    price: float
    fee: float


class Ended(msgspec.Struct, frozen=True):
    """The order's end; ``reason`` is a code, or a code, a colon and what else is known."""

    order_id: str
    kind: EndKind
    reason: str = ""

    @property
    def code(self) -> str:
        """The reason's code, the kind where there is no reason."""
        return self.reason.split(":", maxsplit=1)[0] or self.kind.value


class Unknown(msgspec.Struct, frozen=True):
    """Nobody can say whether the order is at the venue."""

    order_id: str
    why: str


OrderEvent = Acked | Traded | Ended | Unknown


def advanced(order: InFlight, event: OrderEvent, digits: int) -> InFlight | None:
    """Return an order after an event, None once it has ended.

    Args:
        order: As it stood.
        event: Of this order.
        digits: Decimal places of its quantity.

    Raises:
        OrderMismatch: If more filled than was ordered, or FILLED came with something left.
    """
    if isinstance(event, Traded):
        filled = round(order.filled + event.quantity, digits)
        if not event.quantity > 0.0 or filled > order.order.quantity:
            raise OrderMismatch(
                f"{order.client_order_id}: {event.quantity} filled after {order.filled}"
                f" of {order.order.quantity}"
            )
        return msgspec.structs.replace(order, filled=filled, state=OrderState.PARTLY_FILLED)
    if isinstance(event, Ended):
        is_whole = 0.0 < order.filled == order.order.quantity
        if is_whole != (event.kind is EndKind.FILLED):
            raise OrderMismatch(
                f"{order.client_order_id} ended {event.kind} with {order.filled}"
                f" of {order.order.quantity} filled"
            )
        return None
    state = OrderState.ACKNOWLEDGED if isinstance(event, Acked) else OrderState.UNKNOWN
    if order.state is OrderState.PARTLY_FILLED:
        return order
    return msgspec.structs.replace(order, state=state)


def closing(asset: str, held: float, digits: int, leg: str) -> OrderIntent:
    """Return the order that closes a position of ``held`` signed units, reduce-only."""
    return OrderIntent(
        asset=asset,
        side="SELL" if held > 0.0 else "BUY",
        quantity=round(abs(held), digits),
        leg=leg,
        is_reduce_only=True,
    )


def unknown_assets(orders: Iterable[InFlight]) -> frozenset[str]:
    """Return the assets with an order of which nobody knows whether it is at the venue."""
    return frozenset(o.order.asset for o in orders if o.state is OrderState.UNKNOWN)


def chains(orders: Iterable[InFlight]) -> Iterator[list[InFlight]]:
    """Yield orders in chains: a later leg leaves when the one before it has filled.

    An open that follows the close of its asset at the same scan is such a leg.
    """
    key = lambda o: (o.epoch, o.scan_number, o.order.asset)  # noqa: E731
    for _, group in groupby(orders, key=key):
        legs = list(group)
        if legs[0].order.leg == CLOSE_LEG:
            yield legs
        else:
            yield from ([leg] for leg in legs)


_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
LIFE_LENGTH: Final = 4
_EPOCHS: Final = 36**2
SCANS: Final = 36**5
"""Scans that one life of a journal has ids for, in each of its 1,296 epochs."""
ID_LENGTH: Final = 24
"""Binance takes 36 characters, and NautilusTrader's adapter puts 12 of its own before ours."""
_NAME_LENGTH: Final = 7
_QUOTE: Final = "USDT"


def base36(number: int, width: int) -> str:
    """Return a number in base 36, padded to ``width``; longer where it does not fit."""
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(width, "0")


def short_name(asset: str) -> str:
    """Return at most seven characters that tell an asset: its base, else a hash in lower case."""
    base = asset.removesuffix(_QUOTE)
    is_plain = base != asset and base.isascii() and base.isalnum() and base == base.upper()
    if is_plain and 0 < len(base) <= _NAME_LENGTH:
        return base
    digest = hashlib.sha256(asset.encode()).digest()
    return b32encode(digest).decode().lower()[:_NAME_LENGTH]


def order_id(owner: str, epoch: int, scan_number: int, intent: OrderIntent) -> str:
    """Return the client order id: the same order of the same scan always has the same one.

    Args:
        owner: One capital letter of the instance and its journal's life (`owner_of`).
        epoch: The scan's epoch.
        scan_number: The scan's number.
        intent: The order.

    Raises:
        NoOrderId: If the journal's life is used up, or the leg does not fit.
    """
    if not (0 <= epoch < _EPOCHS and 0 <= scan_number < SCANS):
        raise NoOrderId(f"epoch {epoch}, scan {scan_number}: beyond the ids of one journal's life")
    text = (
        f"{owner}{base36(epoch, 2)}{base36(scan_number, 5)}-{short_name(intent.asset)}-{intent.leg}"
    )
    if len(text) > ID_LENGTH:
        raise NoOrderId(f"{text}: longer than {ID_LENGTH} characters")
    return text


def owner_of(instance: str, life: str) -> str:
    """Return what all ids of one journal begin with: the instance's letter and the life."""
    letter = instance[:1].upper()
    return (letter if "A" <= letter <= "Z" else "X") + life
