"""The life of our orders at the venue, from what is heard and answered about them. Pure.

A trade belongs to an order by its client id or, where REST tells it without one, by the venue's
number of the order. An order has ended when its state is final *and* its trades add up to what the
venue says was filled. An order that is not found has never been there only when no request can
arrive any more: it is signed with a receive window, and sent once.
"""

from decimal import Decimal
from typing import Final

import msgspec

from dolphin_realtime.model.orders import (
    Acked,
    AtVenue,
    Ended,
    EndKind,
    InFlight,
    OrderEvent,
    Traded,
    Unknown,
)
from dolphin_realtime.venues.binance.documents import FoundOrder, OrderUpdate, Trade

PREFIX: Final = "x-aHRE4BCj-R"
"""What NautilusTrader's adapter puts in front of a client order id."""
FINAL: Final = {
    "FILLED": EndKind.FILLED,
    "CANCELED": EndKind.CANCELED,
    "EXPIRED": EndKind.EXPIRED,
    "EXPIRED_IN_MATCH": EndKind.EXPIRED,
    "REJECTED": EndKind.REJECTED,
}
UNSURE_CODES: Final = frozenset({-1000, -1001, -1006, -1007, -1016})
"""Codes with which the venue may have executed the order all the same: no rejection."""
SILENT_S: Final = 1.0
"""An order without a word for so long is unknown."""
OPEN_S: Final = 3.0
"""A market order that is acknowledged and has not ended after this is asked about."""
PAUSES_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 4.0, 8.0)
RECV_WINDOW_MS: Final = 3000
SLACK_MS: Final = 2000


class OrderLife(msgspec.Struct, kw_only=True):
    """What is known of one order.

    Attributes:
        sent_ms: When it was sent at the latest, by the venue's clock.
        since: When that was, monotonic seconds.
        venue_id: The venue's number of it, None until heard.
        status: Its final state at the venue, empty before.
        filled: What the venue says was filled, None before its end.
        traded: What its trades add up to.
        n_asked: How often it was asked about.
        ask_at: When it is asked about next, monotonic seconds.
    """

    order: InFlight
    sent_ms: int
    since: float
    ask_at: float
    venue_id: int | None = None
    status: str = ""
    filled: Decimal | None = None
    traded: Decimal = Decimal(0)
    n_asked: int = 0
    is_heard: bool = False
    is_unknown: bool = False

    @property
    def symbol(self) -> str:
        """The asset's name at the venue."""
        return self.order.order.asset


class OrderLives:
    """Our orders without an end, by client order id."""

    def __init__(self) -> None:
        self.by_id: dict[str, OrderLife] = {}
        self._by_number: dict[tuple[str, int], str] = {}

    def add(self, order: InFlight, sent_ms: int, now: float, *, is_sure: bool) -> None:
        """Follow an order; ``is_sure`` is False for one that a dead process may have sent."""
        wait_s = SILENT_S if is_sure else 0.0
        self.by_id[order.client_order_id] = OrderLife(
            order=order, sent_ms=sent_ms, since=now, ask_at=now + wait_s,
            traded=Decimal(str(order.filled)),
        )  # fmt: skip

    def drop(self, order_id: str) -> None:
        """Follow an order no more."""
        life = self.by_id.pop(order_id, None)
        if life is not None and life.venue_id is not None:
            self._by_number.pop((life.symbol, life.venue_id), None)

    def of(self, trade: Trade) -> str | None:
        """Return our id of a trade's order, None if it is not one of ours in flight."""
        if trade.client_id is not None:
            order_id = trade.client_id.removeprefix(PREFIX)
            return order_id if order_id in self.by_id else None
        return self._by_number.get((trade.symbol, trade.order_id))

    def heard(self, update: OrderUpdate, now: float) -> list[OrderEvent]:
        """Return what an update of the stream says of an order of ours."""
        life = self.by_id.get(update.client_id.removeprefix(PREFIX))
        if life is None:
            return []
        return self._at_venue(life, update.order_id, update.status, update.filled, now)

    def found(self, order_id: str, found: FoundOrder, now: float) -> list[OrderEvent]:
        """Return what the venue's answer about an order says."""
        life = self.by_id.get(order_id)
        if life is None:
            return []
        return self._at_venue(life, found.order_id, found.status, found.filled, now)

    def traded(self, order_id: str, trade: Trade) -> list[OrderEvent]:
        """Return a trade of an order, and the end that it completes."""
        life = self.by_id[order_id]
        life.traded += trade.quantity
        said = [self._bind(life, trade.order_id), Traded(
            order_id, f"{trade.symbol}:{trade.id}", float(trade.quantity), float(trade.price),
            float(trade.fee), at_venue(trade),
        )]  # fmt: skip
        return [e for e in said if e is not None] + self._end(life)

    def silent(self, now: float) -> list[OrderEvent]:
        """Return the orders that have become unknown by silence."""
        found: list[OrderEvent] = []
        for order_id, life in self.by_id.items():
            if not life.is_heard and not life.is_unknown and life.ask_at <= now:
                life.is_unknown = True
                found.append(Unknown(order_id, f"no word for {now - life.since:.1f} s"))
        return found

    def doubted(self, order_id: str, why: str, now: float) -> list[OrderEvent]:
        """Return that an order is unknown, because an answer does not say what became of it."""
        life = self.by_id.get(order_id)
        if life is None or life.is_heard or life.is_unknown:
            return []
        life.is_unknown, life.ask_at = True, now
        return [Unknown(order_id, why)]

    def due(self, now: float) -> list[OrderLife]:
        """Return the orders that are to be asked about now, longest due first."""
        return sorted((x for x in self.by_id.values() if x.ask_at <= now), key=lambda x: x.ask_at)

    def asked(self, life: OrderLife, now: float) -> None:
        """Note that an order was asked about."""
        life.n_asked += 1
        life.ask_at = now + PAUSES_S[min(life.n_asked, len(PAUSES_S) - 1)]

    def absent(self, order_id: str, venue_ms: int) -> list[OrderEvent]:
        """Return the end of an order that the venue does not have, once it cannot arrive any more."""
        life = self.by_id.get(order_id)
        if life is None or life.is_heard or life.traded:
            return []
        if venue_ms <= life.sent_ms + RECV_WINDOW_MS + SLACK_MS:
            return []
        return [Ended(order_id, EndKind.NEVER_THERE, "NEVER_THERE: not found, and too old to come")]

    def _at_venue(
        self, life: OrderLife, number: int, status: str, filled: Decimal, now: float
    ) -> list[OrderEvent]:
        acked = self._bind(life, number)
        life.ask_at = max(life.ask_at, now + OPEN_S) if acked else life.ask_at
        if status in FINAL:
            life.status, life.filled = status, filled
        return ([acked] if acked else []) + self._end(life)

    def _bind(self, life: OrderLife, number: int) -> OrderEvent | None:
        """Note the venue's number of an order; return its acknowledgement the first time."""
        order_id = life.order.client_order_id
        is_first, life.is_heard, life.is_unknown = not life.is_heard, True, False
        life.venue_id = number
        self._by_number[life.symbol, number] = order_id
        return Acked(order_id) if is_first else None

    def _end(self, life: OrderLife) -> list[OrderEvent]:
        order_id, ordered = life.order.client_order_id, Decimal(str(life.order.order.quantity))
        if life.traded >= ordered:
            return [Ended(order_id, EndKind.FILLED)]
        if not life.status or life.filled != life.traded:
            return []
        kind, reason = FINAL[life.status], f"{life.status}: by the venue"
        if kind is EndKind.FILLED:
            kind, reason = EndKind.EXPIRED, f"LOWERED: the venue lowered it to {life.traded}"
        return [Ended(order_id, kind, reason)]


def at_venue(trade: Trade) -> AtVenue:
    """Return what the venue says of a trade."""
    return AtVenue(
        order_id=trade.order_id, at_us=trade.at_ms * 1000, realised=float(trade.realised),
        fee_asset=trade.fee_asset, fee_paid=float(trade.fee),
    )  # fmt: skip
