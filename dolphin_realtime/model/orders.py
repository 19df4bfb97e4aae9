"""The life of an order, from the intent to its one end. Pure.

What an order is, its states and the transitions between them belong here. Orders are chosen in
portfolio/decision.py, sent by an engine, and their fills are booked in trading/booking.py.
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
    """The state of an order that has no end yet.

    INTENDED: decided, not sent yet; a later leg of a chain waits here for the leg before it.
    SENT: handed over, no answer yet. ACKNOWLEDGED: the venue has it. PARTLY_FILLED: a part filled.
    UNKNOWN: it may or may not be at the venue; it counts in full until the venue answers.
    """

    INTENDED = "INTENDED"
    SENT = "SENT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    PARTLY_FILLED = "PARTLY_FILLED"
    UNKNOWN = "UNKNOWN"


class EndKind(StrEnum):
    """How an order ended; each has exactly one end.

    FILLED: filled in full. EXPIRED: the rest expired at the venue. CANCELED: cancelled. REJECTED:
    refused by the venue or before it, with a code. NEVER_THERE: it was unknown and never arrived.
    DROPPED: a later leg of a chain, never sent because the leg before it did not fill.
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


class AtVenue(msgspec.Struct, frozen=True, kw_only=True):
    """What a real venue says of one trade.

    Attributes:
        order_id: Its number of the order.
        at_us: When it traded, by the venue's clock.
        realised: Profit that it realised, before fees, USDT.
        fee_paid: The fee in units of ``fee_asset``.
    """

    order_id: int
    at_us: int
    realised: float
    fee_asset: str
    fee_paid: float


class Traded(msgspec.Struct, frozen=True):
    """A full or partial fill, with an id of its own; ``venue`` is None where it is simulated."""

    order_id: str
    fill_id: str
    quantity: float
    price: float
    fee: float
    venue: AtVenue | None = None


class Ended(msgspec.Struct, frozen=True):
    """The order's end; ``reason`` is a code, or a code, a colon and the details."""

    order_id: str
    kind: EndKind
    reason: str = ""

    @property
    def code(self) -> str:
        """The code of the reason; the kind if there is no reason."""
        return self.reason.split(":", maxsplit=1)[0] or self.kind.value


class Unknown(msgspec.Struct, frozen=True):
    """It is unknown whether the order is at the venue."""

    order_id: str
    why: str


OrderEvent = Acked | Traded | Ended | Unknown


def advanced(order: InFlight, event: OrderEvent, digits: int) -> InFlight | None:
    """Return an order after an event, None once it has ended.

    Args:
        order: The order before the event.
        event: An event of this order.
        digits: Decimal places of its quantity.

    Raises:
        OrderMismatch: If more filled than was ordered, or its end contradicts its fills.
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
    """Return the assets with an order in state UNKNOWN."""
    return frozenset(o.order.asset for o in orders if o.state is OrderState.UNKNOWN)


def chains(orders: Iterable[InFlight]) -> Iterator[list[InFlight]]:
    """Yield orders grouped into chains: a later leg is sent when the leg before it has filled.

    The close and the open of one asset at the same scan form a chain; any other order is alone.
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
"""Scan numbers for which a journal has order ids, in each of 1,296 epochs."""
ID_LENGTH: Final = 24
"""Binance accepts 36 characters, of which NautilusTrader's adapter uses 12 for its prefix."""
_NAME_LENGTH: Final = 7
_QUOTE: Final = "USDT"


def base36(number: int, width: int) -> str:
    """Return a number in base 36, padded to ``width``; longer if it does not fit."""
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(width, "0")


def short_name(asset: str) -> str:
    """Return at most seven characters that identify an asset: its base, else a lower-case hash."""
    base = asset.removesuffix(_QUOTE)
    is_plain = base != asset and base.isascii() and base.isalnum() and base == base.upper()
    if is_plain and 0 < len(base) <= _NAME_LENGTH:
        return base
    digest = hashlib.sha256(asset.encode()).digest()
    return b32encode(digest).decode().lower()[:_NAME_LENGTH]


def order_id(owner: str, epoch: int, scan_number: int, intent: OrderIntent) -> str:
    """Return the client order id: the same order of the same scan always has the same one.

    Args:
        owner: The instance's letter and its journal's life (`owner_of`).
        epoch: The scan's epoch.
        scan_number: The scan's number.
        intent: The order.

    Raises:
        NoOrderId: If the epoch or the scan number is out of range, or the id is too long.
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
    """Return the prefix of all order ids of one journal: the instance's letter and the life."""
    letter = instance[:1].upper()
    return (letter if "A" <= letter <= "Z" else "X") + life
