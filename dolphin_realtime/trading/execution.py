"""The engine interface: what a turn asks of a trading engine, and what the engine reports.

The protocols belong here; the engines are in engine/, the only folder that uses NautilusTrader.
The interface has no types of NautilusTrader: ids are text, quantities units, prices and fees USDT,
instants microseconds of market time. An engine is created, used and dropped on one thread.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.orders import InFlight, OrderEvent
from dolphin_realtime.model.portfolio.fill_rule import Execution
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.posture import Posture


class Start(msgspec.Struct, frozen=True):
    """The state with which an engine starts.

    Attributes:
        owner: Name of the instance whose engine it is.
        cash: USDT.
        positions: By asset: signed units and average entry price.
        specs: Instruments known from the start.
    """

    owner: str
    cash: float
    positions: Mapping[str, tuple[float, float]]
    specs: Mapping[str, InstrumentSpec]

    @classmethod
    def of(cls, portfolio: Portfolio) -> "Start":
        """Return the start state of a portfolio's engine."""
        positions = {
            asset: (p.quantity, p.average_price)
            for asset, p in portfolio.account.positions.items()
            if p.quantity != 0.0
        }
        return cls(
            portfolio.instance, portfolio.account.cash, positions, dict(portfolio.instruments)
        )


class Outcomes(Protocol):
    """The receiver of order events; called on the engine's thread."""

    def book(self, event: OrderEvent) -> None:
        """Receive one event; each order sent gets exactly one `Ended`."""

    def failed(self, why: str) -> None:
        """Note that the engine cannot be trusted any more: nothing may be opened."""


class Engine(Protocol):
    """A trading engine, running."""

    @property
    def unanswered(self) -> Collection[str]:
        """Orders that were handed over and have no answer yet."""

    def send(self, orders: Sequence[InFlight]) -> tuple[int, int]:
        """Hand orders over; return when the first and the last had been sent, monotonic ns.

        A later leg of a chain is sent when the leg before it has filled; if that leg does not fill,
        the later one ends DROPPED. An order that cannot be built ends REJECTED; the others go on.

        Raises:
            EngineError: If called from another thread, or an id is in use; nothing was sent.
        """

    def resume(self, orders: Sequence[InFlight]) -> None:
        """Take over the orders that an earlier process had sent, whatever the posture.

        A simulated venue ended with that process and gets them again; a real venue is queried.
        """

    def execute(self, execution: Execution) -> None:
        """Execute an order at the quote that the fill rule found for it."""

    def cancel(self, order_id: str, reason: str) -> None:
        """Cancel an order; it ends CANCELED with this reason."""

    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds, checked after each event; return False on timeout."""

    async def add_instruments(self, specs: Mapping[str, InstrumentSpec]) -> None:
        """Add the instruments that are not known yet; afterwards their orders may be sent."""

    def position(self, asset: str) -> float:
        """Return the engine's own view of a position, signed units."""

    def adjust(self, asset: str, quantity: float, price: float) -> None:
        """Set the engine's own view of a position; no order event is reported for it.

        Args:
            asset: The asset; it has no order in flight.
            quantity: The signed units that the portfolio now holds.
            price: The price that the engine books; the engine's own profits are not used.
        """

    def set_posture(self, posture: Posture | None) -> None:
        """Refuse from now on what a posture forbids; None (unknown) forbids orders that open."""

    def purge(self) -> None:
        """Drop closed orders and positions, so that memory does not grow with the orders."""
