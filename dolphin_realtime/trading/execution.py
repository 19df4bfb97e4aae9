"""The seam: what a turn asks of a trading engine, and what the engine tells back.

The protocol belongs here; the engines are engine/'s, the one folder that knows NautilusTrader.
No type of NautilusTrader crosses: ids are text, quantities units, prices and fees USDT,
instants microseconds of market time. An engine is made, used and dropped on one thread.
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
    """What an engine begins with.

    Attributes:
        owner: Name of the instance whose engine it is.
        cash: USDT.
        positions: By asset: signed units and average entry price.
        specs: Instruments to know from the first moment.
    """

    owner: str
    cash: float
    positions: Mapping[str, tuple[float, float]]
    specs: Mapping[str, InstrumentSpec]

    @classmethod
    def of(cls, portfolio: Portfolio) -> "Start":
        """Return what the engine of a portfolio begins with."""
        positions = {
            asset: (p.quantity, p.average_price)
            for asset, p in portfolio.account.positions.items()
            if p.quantity != 0.0
        }
        return cls(
            portfolio.instance, portfolio.account.cash, positions, dict(portfolio.instruments)
        )


class Outcomes(Protocol):
    """Who hears what becomes of orders; called on the engine's thread."""

    def book(self, event: OrderEvent) -> None:
        """Take one event; exactly one `Ended` comes for each order sent."""

    def failed(self, why: str) -> None:
        """Take that the engine cannot be trusted any more: nothing may be opened."""


class Engine(Protocol):
    """A trading engine, running."""

    @property
    def unanswered(self) -> Collection[str]:
        """Orders that were handed over and of which nothing was heard yet."""

    def send(self, orders: Sequence[InFlight]) -> tuple[int, int]:
        """Hand orders over; return when the first and the last had left, monotonic ns.

        A later leg of a chain leaves when the leg before it has filled; if that ends otherwise,
        it ends DROPPED. An order that cannot be built ends REJECTED, the others go.

        Raises:
            EngineError: From another thread, or if an id is in use; then nothing was sent.
        """

    def resume(self, orders: Sequence[InFlight]) -> None:
        """Take over the orders that a process before this one had sent, whatever the posture.

        A simulated venue died with that process and gets them again; a real one is asked.
        """

    def execute(self, execution: Execution) -> None:
        """Let an order meet the quote that the fill rule found for it."""

    def cancel(self, order_id: str, reason: str) -> None:
        """Take an order back; it ends CANCELED for this reason."""

    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something is so, looking after each event; return False when it is not in time."""

    async def add_instruments(self, specs: Mapping[str, InstrumentSpec]) -> None:
        """Make those of the instruments known that are not; orders of them may leave afterwards."""

    def position(self, asset: str) -> float:
        """Return the engine's own view of a position, signed units."""

    def adjust(self, asset: str, quantity: float, price: float) -> None:
        """Bring the engine's own view of a position to signed units; no outcome is told of it.

        Args:
            asset: Of which nothing is in flight.
            quantity: What the portfolio now holds.
            price: One that the engine may note; its own profits are not used.
        """

    def set_posture(self, posture: Posture | None) -> None:
        """Refuse from now on what a posture forbids; None, unknown, forbids to open."""

    def purge(self) -> None:
        """Forget what is closed, so that memory does not grow with the number of orders."""
