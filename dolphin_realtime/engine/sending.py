"""Orders on their way: each sent once, in chains, and followed from `send` to its one end.

The common part of all engines belongs here: who may call, ids in use, what a posture forbids, and
that a later leg leaves when the leg before it has filled. What a simulated venue does with an order
is in simulated.py.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from dolphin_realtime.engine.recent_ids import RecentIds
from dolphin_realtime.model.errors import EngineError
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.market.venue import Venue
from dolphin_realtime.model.orders import Ended, EndKind, InFlight, OrderEvent, chains
from dolphin_realtime.model.risk.posture import Posture, forbidden
from dolphin_realtime.trading.execution import Outcomes

CANNOT_SEND: Final = "CANNOT_SEND"
"""Code of an order that could not be built or handed over."""


class SendingEngine(ABC):
    """Tracks every order from `send` to its end.

    Attributes:
        specs: Rules of the instruments known to the core.
    """

    def __init__(self, venue: Venue, outcomes: Outcomes) -> None:
        self.venue, self._outcomes = venue, outcomes
        self.specs: dict[str, InstrumentSpec] = {}
        self._orders: dict[str, InFlight] = {}
        self._unanswered: set[str] = set()
        self._later: dict[str, list[InFlight]] = {}
        self._recent = RecentIds()
        self._posture: Posture | None = Posture.NORMAL
        self._thread = threading.get_ident()

    @property
    def unanswered(self) -> Collection[str]:
        """Orders that were handed over and have no answer yet."""
        return self._unanswered

    def set_posture(self, posture: Posture | None) -> None:
        """Refuse from now on what a posture forbids."""
        self._posture = posture

    def send(self, orders: Sequence[InFlight]) -> tuple[int, int]:
        """Hand orders over, first legs first; see `Engine.send`."""
        self._check(orders)
        first_ns = 0
        for chain in chains(orders):
            self._take_on(chain)
            refusal = forbidden(self._posture, is_reduce_only=chain[0].order.is_reduce_only)
            if refusal is None:
                self._leave(chain[0])
            else:
                self._ended(chain[0].client_order_id, EndKind.REJECTED, f"FENCED: {refusal}")
            first_ns = first_ns or time.monotonic_ns()
        return first_ns, time.monotonic_ns()

    def _cancel_later(self, order_id: str, reason: str) -> None:
        """Cancel a later leg of a chain, which was not sent yet."""
        for legs in self._later.values():
            legs[:] = [leg for leg in legs if leg.client_order_id != order_id]
        self._ended(order_id, EndKind.CANCELED, reason)

    @abstractmethod
    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds; see `Engine.until`."""

    @abstractmethod
    async def add_instruments(self, specs: Mapping[str, InstrumentSpec]) -> None:
        """Add the instruments that are not known yet."""

    @abstractmethod
    def position(self, asset: str) -> float:
        """Return the core's own view of a position."""

    @abstractmethod
    def purge(self) -> None:
        """Drop closed orders and positions."""

    @abstractmethod
    def _hand_over(self, order: InFlight) -> None:
        """Submit an order to the core; `_arrived` is called when the venue has it."""

    def _tell(self, event: OrderEvent) -> None:
        self._outcomes.book(event)

    def _failed(self, why: str) -> None:
        self._outcomes.failed(why)

    def _check(self, orders: Sequence[InFlight]) -> None:
        """Raise on misuse, for which the core would abort, disconnect or silently skip an order.

        Raises:
            EngineError: If called from another thread than the engine's, or an id is in use.
        """
        if threading.get_ident() != self._thread:
            raise EngineError("a trading engine is used on the thread that made it, no other")
        seen: set[str] = set()
        for order in orders:
            order_id = order.client_order_id
            if order_id in seen or order_id in self._orders or order_id in self._recent:
                raise EngineError(f"{order_id} is in use: an order is sent once")
            seen.add(order_id)

    def _take_on(self, chain: list[InFlight]) -> None:
        for order in chain:
            self._orders[order.client_order_id] = order
        self._later[chain[0].client_order_id] = chain[1:]

    def _leave(self, order: InFlight) -> None:
        """Hand one order over; if it cannot be built, only this order ends, with the cause."""
        order_id, why = order.client_order_id, self._unsendable(order)
        if why is not None:
            self._ended(order_id, EndKind.REJECTED, f"{CANNOT_SEND}: {why}")
            return
        self._unanswered.add(order_id)
        self._ask(order, lambda: self._hand_over(order))

    def _ask(self, order: InFlight, core: Callable[[], None]) -> bool:
        """Call the core for an order; if it raises, only this order ends. Return success."""
        try:
            core()
        except Exception as e:  # noqa: BLE001 - one order must not stop the others
            why = f"{CANNOT_SEND}: {type(e).__name__}: {e}"
            self._ended(order.client_order_id, EndKind.REJECTED, why)
            return False
        return True

    def _unsendable(self, order: InFlight) -> str | None:
        asset, quantity = order.order.asset, order.order.quantity
        if asset not in self.specs:
            return f"{self.venue.name} has no instrument {asset}"
        if not round(quantity, self.specs[asset].size_precision) > 0.0:
            return f"a quantity of {quantity} is no whole step"
        return None

    def _ended(self, order_id: str, kind: EndKind, reason: str) -> None:
        """Report an order's end, then send or drop the next leg of its chain."""
        if self._orders.pop(order_id, None) is None:
            self._failed(f"{order_id} ended {kind}: {reason}, but was not sent or has ended")
            return
        self._recent.add(order_id)
        self._unanswered.discard(order_id)
        self._forget(order_id)
        later = self._later.pop(order_id, [])
        self._tell(Ended(order_id, kind, reason))
        if later and kind is EndKind.FILLED:
            self._later[later[0].client_order_id] = later[1:]
            self._leave(later[0])
        else:
            for leg in later:
                dropped = f"DROPPED: the leg before it ended {kind}"
                self._ended(leg.client_order_id, EndKind.DROPPED, dropped)

    def _forget(self, order_id: str) -> None:  # noqa: B027 - not every engine keeps more
        """Drop what the engine keeps of an order beside the order itself."""
