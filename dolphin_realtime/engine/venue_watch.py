"""What is heard of the venue, and what is asked about orders that the stream is silent about.

Trades are told to the order that they belong to; one that belongs to none is asked about by the
venue's number of its order, which tells its client id. Questions are bounded: at most ABREAST at a
time, on the pauses of order_life.py, none while the venue says to wait.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from dolphin_realtime.infra import log
from dolphin_realtime.model.errors import VenueRefused
from dolphin_realtime.model.orders import OrderEvent
from dolphin_realtime.model.portfolio.venue_account import Cause, Outside, Paid
from dolphin_realtime.venues.binance.documents import Income, OrderUpdate, Trade
from dolphin_realtime.venues.binance.order_life import (
    PAUSES_S,
    PREFIX,
    OrderLife,
    OrderLives,
    at_venue,
)
from dolphin_realtime.venues.binance.queries import UNKNOWN_ORDER, find_order, order_trades
from dolphin_realtime.venues.binance.reader import Heard, Reader
from dolphin_realtime.venues.binance.rest import Rest
from dolphin_realtime.venues.binance.stream import ANSWER_FAULTS, said

TURN_S: Final = 0.1
ABREAST: Final = 4
NUMBER_S: Final = 10.0
"""An order that the venue does not find by its own number for so long is somebody else's."""
NODE_LATE_S: Final = 2.0
"""A trade that only one of node and reader has after this counts as a difference."""
CAUSES: Final = {
    "adl_autoclose": Cause.ADL,
    "autoclose-": Cause.LIQUIDATION,
    "settlement_autoclose-": Cause.SETTLEMENT,
    "delivery_autoclose-": Cause.SETTLEMENT,
}


class VenueWatch:
    """Follows orders from what the reader hears and the venue answers.

    Attributes:
        lives: Our orders without an end.
        n_node_apart: Trades that only one of node and reader had in time.
    """

    def __init__(
        self,
        owner: str,
        reader: Reader,
        rest: Rest,
        apply: Callable[[list[OrderEvent]], None],
        outside: Callable[[Outside | Paid, str | None], None],
    ) -> None:
        self._owner, self._reader, self._rest = owner, reader, rest
        self._apply, self._outside = apply, outside
        self.lives = OrderLives()
        self._numbers: dict[tuple[str, int], list[Trade]] = {}
        self._asked_number: dict[tuple[str, int], tuple[float, float, int]] = {}
        self._of_node: dict[tuple[str, str], float] = {}
        self._of_reader: dict[tuple[str, str], float] = {}
        self.n_node_apart = 0

    def take(self, row: Heard) -> None:
        """Take a trade, a payment, or an update of an order."""
        if isinstance(row, OrderUpdate):
            self._apply(self.lives.heard(row, time.monotonic()))
        elif isinstance(row, Trade):
            self._take_trade(row)
        else:
            self._outside(_paid(row), None)

    def node_saw(self, order_id: str, trade_id: str) -> None:
        """Note a trade of the node's; those of other orders are not compared."""
        if order_id.startswith(self._owner):
            self._seen((order_id, trade_id), self._of_node, self._of_reader)

    @property
    def unknown(self) -> list[OrderLife]:
        """The orders of which it is not known whether they are at the venue."""
        return [life for life in self.lives.by_id.values() if life.is_unknown]

    def unplaced_s(self, now: float) -> float:
        """Return for how long the order of some trade has been sought, 0 if none is."""
        return max((now - self._asked_number.get(n, (now, now, 0))[0] for n in self._numbers),
                   default=0.0)  # fmt: skip

    @property
    def is_placing(self) -> bool:
        """Whether a trade is heard of and its order is not known yet."""
        return bool(self._numbers)

    @property
    def is_asking(self) -> bool:
        """Whether the end of an order, or the order of a trade, is still sought."""
        return bool(self.lives.by_id or self._numbers)

    def node_lacks(self, now: float) -> tuple[int, int]:
        """Return how many trades only the reader and only the node had in time; count them once."""
        found = []
        for seen in (self._of_reader, self._of_node):
            late = [key for key, at in seen.items() if now - at > NODE_LATE_S]
            for key in late:
                del seen[key]
            found.append(len(late))
        self.n_node_apart += sum(found)
        return found[0], found[1]

    async def run(self) -> None:
        """Ask about orders, for ever."""
        while True:
            await self.turn()
            await asyncio.sleep(TURN_S)

    async def turn(self) -> None:
        """Ask about what is due now."""
        now = time.monotonic()
        self._apply(self.lives.silent(now))
        if self._rest.blocked_s:
            return
        due = self.lives.due(now)[:ABREAST]
        for life in due:
            self.lives.asked(life, now)
        numbers = self._due_numbers(now, ABREAST - len(due))
        await asyncio.gather(*map(self._ask_life, due), *map(self._ask_number, numbers))

    async def _ask_life(self, life: OrderLife) -> None:
        order_id = life.order.client_order_id
        try:
            found = await find_order(self._rest, life.symbol, PREFIX + order_id)
            missing = found.filled > life.traded
            trades = await order_trades(self._rest, life.symbol, found.order_id) if missing else []
        except VenueRefused as e:
            if e.code == UNKNOWN_ORDER:
                self._apply(self.lives.absent(order_id, self._rest.now_ms()))
            else:
                log.get().warning("venue.order_not_asked", order=order_id, why=said(e))
        except ANSWER_FAULTS as e:
            log.get().warning("venue.order_not_asked", order=order_id, why=said(e))
        else:
            self._apply(self.lives.found(order_id, found, time.monotonic()))
            for trade in trades:
                self._reader.take(trade)

    async def _ask_number(self, number: tuple[str, int]) -> None:
        """Ask whose order it is that a trade was told of without a client id."""
        try:
            found = await find_order(self._rest, *number)
        except ANSWER_FAULTS as e:
            is_gone = isinstance(e, VenueRefused) and e.code == UNKNOWN_ORDER
            if not is_gone or not self._is_nobodys(number):
                log.get().warning("venue.number_not_asked", number=number[1], why=said(e))
                return
            client_id = ""
        else:
            client_id = found.client_id
        self._asked_number.pop(number, None)
        for trade in self._numbers.pop(number, []):
            self._place(trade, client_id)

    def _due_numbers(self, now: float, most: int) -> list[tuple[str, int]]:
        """Return the numbers that are to be asked about now, and note that they are."""
        due: list[tuple[str, int]] = []
        for number in self._numbers:
            if len(due) == most:
                break
            since, next_at, n_asked = self._asked_number.get(number, (now, now, 0))
            if next_at <= now:
                pause_s = PAUSES_S[min(n_asked + 1, len(PAUSES_S) - 1)]
                self._asked_number[number] = (since, now + pause_s, n_asked + 1)
                due.append(number)
        return due

    def _is_nobodys(self, number: tuple[str, int]) -> bool:
        """Return whether no order of ours can be the one with a number that is not found."""
        since = self._asked_number[number][0]
        is_ours_open = any(
            life.symbol == number[0] and not life.is_heard for life in self.lives.by_id.values()
        )
        return not is_ours_open and time.monotonic() - since > NUMBER_S

    def _take_trade(self, trade: Trade) -> None:
        order_id = self.lives.of(trade)
        if order_id is not None:
            self._tell(order_id, trade)
        elif trade.client_id is not None:
            self._place(trade, trade.client_id)
        else:
            self._numbers.setdefault((trade.symbol, trade.order_id), []).append(trade)

    def _place(self, trade: Trade, client_id: str) -> None:
        """Tell a trade to the order that its client id names, or as one from outside."""
        order_id = client_id.removeprefix(PREFIX)
        if order_id in self.lives.by_id:
            self._tell(order_id, trade)
            return
        is_ours = client_id.startswith(PREFIX + self._owner)
        cause = Cause.LATE if is_ours else _cause(client_id)
        why = f"{order_id} traded, but is not in flight" if is_ours else None
        self._outside(_outside(trade, cause, client_id), why)

    def _tell(self, order_id: str, trade: Trade) -> None:
        self._seen((order_id, str(trade.id)), self._of_reader, self._of_node)
        self._apply(self.lives.traded(order_id, trade))

    def _seen(self, key: tuple[str, str], mine: dict[Any, float], other: dict[Any, float]) -> None:
        if other.pop(key, None) is None:
            mine[key] = time.monotonic()


def _cause(client_id: str) -> Cause:
    return next((c for start, c in CAUSES.items() if client_id.startswith(start)), Cause.FOREIGN)


def _outside(trade: Trade, cause: Cause, client_id: str) -> Outside:
    return Outside(
        asset=trade.symbol, fill_id=f"{trade.symbol}:{trade.id}",
        side="BUY" if trade.is_buy else "SELL", quantity=float(trade.quantity),
        price=float(trade.price), fee=float(trade.fee), cause=cause, client_id=client_id,
        venue=at_venue(trade),
    )  # fmt: skip


def _paid(row: Income) -> Paid:
    return Paid(
        kind=row.kind, tran_id=row.tran_id, symbol=row.symbol, asset=row.asset,
        amount=float(row.amount), at_us=row.at_ms * 1000,
    )  # fmt: skip
