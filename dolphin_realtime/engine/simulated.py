"""Orders at a simulated venue: held until they have a quote, in chains, with injected faults.

The common part of paper.py and backtest.py belongs here: when an order is sent, decisions about
an order that has not reached the venue yet, and how it ends. Those two call NautilusTrader.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from dolphin_realtime.engine.recent_ids import RecentIds
from dolphin_realtime.infra import fault_points
from dolphin_realtime.model.errors import EngineError
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.market.paper_faults import Fault
from dolphin_realtime.model.market.venue import Venue
from dolphin_realtime.model.orders import (
    Acked,
    Ended,
    EndKind,
    InFlight,
    OrderEvent,
    Traded,
    Unknown,
    chains,
)
from dolphin_realtime.model.portfolio.fill_rule import Execution
from dolphin_realtime.model.risk.posture import Posture, forbidden
from dolphin_realtime.trading.execution import Outcomes, Start

CANNOT_SEND: Final = "CANNOT_SEND"
"""Code of an order that could not be built or handed over."""


class SimulatedEngine(ABC):
    """Tracks every order from `send` to its end.

    Attributes:
        specs: Rules of the instruments known to the core.
    """

    def __init__(self, venue: Venue, outcomes: Outcomes) -> None:
        self.venue, self._outcomes = venue, outcomes
        self.specs: dict[str, InstrumentSpec] = {}
        self._orders: dict[str, InFlight] = {}
        self._unanswered: set[str] = set()
        self._held: set[str] = set()
        self._later: dict[str, list[InFlight]] = {}
        self._decided: dict[str, Execution | str] = {}
        self._net: dict[str, float] = {}
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

    def resume(self, orders: Sequence[InFlight]) -> None:
        """Send the orders of an earlier process to this venue again, under the same ids."""
        self._check(orders)
        for chain in chains(orders):
            self._take_on(chain)
            self._leave(chain[0])

    def execute(self, execution: Execution) -> None:
        """Execute an order at its quote, at once or when it has reached the venue."""
        self._check(())
        self._decide(execution.order.client_order_id, execution)

    def cancel(self, order_id: str, reason: str) -> None:
        """Cancel an order, at once or when it has reached the venue."""
        self._check(())
        is_later = order_id not in self._unanswered and order_id not in self._held
        if is_later and order_id in self._orders:
            for legs in self._later.values():
                legs[:] = [leg for leg in legs if leg.client_order_id != order_id]
            self._ended(order_id, EndKind.CANCELED, reason)
        else:
            self._decide(order_id, reason)

    def _begin(self, start: Start) -> None:
        """Take over the positions with which the engine starts."""
        self._net.update({asset: quantity for asset, (quantity, _) in start.positions.items()})

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

    @abstractmethod
    def _fill(self, order: InFlight, fill: Traded) -> None:
        """Have the core book a fill; `_traded` is called when it has."""

    @abstractmethod
    def _close(self, order: InFlight, kind: EndKind, reason: str) -> None:
        """Have the core close an order that the venue has; `_ended` is called when it has."""

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

    def _arrived(self, order_id: str) -> None:
        """Note that the venue has an order."""
        order = self._orders.get(order_id)
        if order is None:
            self._failed(f"the venue has {order_id}, which was not sent")
            return
        self._held.add(order_id)
        fault = self._fault_of(order)
        if fault is Fault.REJECT:
            self._close(order, EndKind.REJECTED, "REJECTED: set on purpose")
            return
        self._unanswered.discard(order_id)
        if fault in (Fault.UNKNOWN_FILLED, Fault.UNKNOWN_NEVER):
            self._tell(Unknown(order_id, "set on purpose"))
        else:
            self._tell(Acked(order_id))
        decided = self._decided.pop(order_id, None)
        if decided is not None:
            self._decide(order_id, decided)

    def _fault_of(self, order: InFlight) -> Fault | None:
        if fault_points.reach("venue") == "reject":
            return Fault.REJECT
        return self.venue.faults.of(order)

    def _decide(self, order_id: str, decided: Execution | str) -> None:
        """Execute or cancel an order, or note it until the venue has it; ignore an ended order."""
        order = self._orders.get(order_id)
        if order is None:
            return
        if order_id not in self._held or order_id in self._unanswered:
            self._decided[order_id] = decided
        elif isinstance(decided, str):
            self._close(order, EndKind.CANCELED, decided)
        else:
            self._meet(order, decided)

    def _meet(self, order: InFlight, execution: Execution) -> None:
        fault = self.venue.faults.of(order)
        if fault is Fault.UNKNOWN_NEVER:
            self._close(order, EndKind.NEVER_THERE, "NEVER_THERE: set on purpose")
            return
        quantity = self._fillable(order)
        if quantity <= 0.0:
            self._close(order, EndKind.EXPIRED, "REDUCE_ONLY: nothing is left to reduce")
            return
        if fault is Fault.PARTIAL:
            quantity = self.specs[order.order.asset].floor_quantity(quantity / 2.0) or quantity
        quote = execution.quote
        price = quote.ask if order.order.side == "BUY" else quote.bid
        fee = self.venue.fee(quantity, price)
        fill = Traded(order.client_order_id, f"{order.client_order_id}-1", quantity, price, fee)
        if self._ask(order, lambda: self._fill(order, fill)):
            self._count(order, quantity)
            self._hear()

    def _fillable(self, order: InFlight) -> float:
        """Return how much of an order may fill: a reduce-only order at most closes the position."""
        intent = order.order
        if not intent.is_reduce_only:
            return intent.quantity
        held = self._net.get(intent.asset, 0.0)
        return min(intent.quantity, max(0.0, -held if intent.side == "BUY" else held))

    def _count(self, order: InFlight, quantity: float) -> None:
        asset, signed = order.order.asset, quantity if order.order.side == "BUY" else -quantity
        net = self._net.get(asset, 0.0) + signed
        self._net[asset] = round(net, self.specs[asset].size_precision)

    def _hear(self) -> None:  # noqa: B027 - a running node calls back by itself
        """Process events that the core has queued, if it does not call back by itself."""

    def _traded(self, fill: Traded) -> None:
        """Note that the core has booked a fill."""
        order = self._orders.get(fill.order_id)
        if order is None:
            self._failed(f"a fill of {fill.order_id}, which was not sent or has ended")
            return
        self._tell(_skewed(fill) if fault_points.reach("fill") == "skew" else fill)
        if round(
            fill.quantity - order.order.quantity, self.specs[order.order.asset].size_precision
        ):
            why = "EXPIRED: the rest, by a fault set on purpose or for want of a position to reduce"
            self._close(order, EndKind.EXPIRED, why)
        else:
            self._ended(fill.order_id, EndKind.FILLED, "")

    def _ended(self, order_id: str, kind: EndKind, reason: str) -> None:
        """Report an order's end, then send or drop the next leg of its chain."""
        if self._orders.pop(order_id, None) is None:
            self._failed(f"{order_id} ended {kind}: {reason}, but was not sent or has ended")
            return
        self._recent.add(order_id)
        self._unanswered.discard(order_id)
        self._held.discard(order_id)
        later = self._later.pop(order_id, [])
        self._tell(Ended(order_id, kind, reason))
        if later and kind is EndKind.FILLED:
            self._later[later[0].client_order_id] = later[1:]
            self._leave(later[0])
        else:
            for leg in later:
                self._decided.pop(leg.client_order_id, None)
                dropped = f"DROPPED: the leg before it ended {kind}"
                self._ended(leg.client_order_id, EndKind.DROPPED, dropped)
        self._decided.pop(order_id, None)


def _skewed(fill: Traded) -> Traded:
    """Return a fill with half of its quantity: an injected fault that checks must detect."""
    return msgspec.structs.replace(fill, quantity=fill.quantity / 2.0)
