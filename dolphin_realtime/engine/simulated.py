"""Orders at a simulated venue: held until they have a quote, in chains, with injected faults.

The common part of paper.py and backtest.py belongs here: decisions about an order that has not
reached the venue yet, and how it ends there. Those two call NautilusTrader; chains are in
sending.py.
"""

from abc import abstractmethod
from collections.abc import Sequence

import msgspec

from dolphin_realtime.engine.sending import SendingEngine
from dolphin_realtime.infra import fault_points
from dolphin_realtime.model.market.paper_faults import Fault
from dolphin_realtime.model.market.venue import Venue
from dolphin_realtime.model.orders import Acked, EndKind, InFlight, Traded, Unknown, chains
from dolphin_realtime.model.portfolio.fill_rule import Execution
from dolphin_realtime.trading.execution import Outcomes, Start


class SimulatedEngine(SendingEngine):
    """An engine whose venue holds an order until the fill rule has found its quote."""

    def __init__(self, venue: Venue, outcomes: Outcomes) -> None:
        super().__init__(venue, outcomes)
        self._held: set[str] = set()
        self._decided: dict[str, Execution | str] = {}
        self._net: dict[str, float] = {}

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
            self._cancel_later(order_id, reason)
        else:
            self._decide(order_id, reason)

    def _begin(self, start: Start) -> None:
        """Take over the positions with which the engine starts."""
        self._net.update({asset: quantity for asset, (quantity, _) in start.positions.items()})

    @abstractmethod
    def _fill(self, order: InFlight, fill: Traded) -> None:
        """Have the core book a fill; `_traded` is called when it has."""

    @abstractmethod
    def _close(self, order: InFlight, kind: EndKind, reason: str) -> None:
        """Have the core close an order that the venue has; `_ended` is called when it has."""

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

    def _hear(self) -> None:
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

    def _forget(self, order_id: str) -> None:
        self._held.discard(order_id)
        self._decided.pop(order_id, None)


def _skewed(fill: Traded) -> Traded:
    """Return a fill with half of its quantity: an injected fault that checks must detect."""
    return msgspec.structs.replace(fill, quantity=fill.quantity / 2.0)
