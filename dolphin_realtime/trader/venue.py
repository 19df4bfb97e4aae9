"""The paper venue: Nautilus' sandbox, with orders held until the quote they fill at.

The sandbox executes at once and knows no latency; here an order waits for the first quote
of its asset after the venue's latency, in market time (docs/architecture.md, fill rule).
"""

from typing import Any

from nautilus_trader.adapters.sandbox.execution import SandboxExecutionClient
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.model.identifiers import VenueOrderId

from dolphin_realtime import fault_points


class PaperVenue(SandboxExecutionClient):
    """Holds submitted orders; `release` lets one meet the market as it is now quoted."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.held: dict[str, Any] = {}

    def submit_order(self, command: Any) -> None:
        """Take an order and keep it."""
        if fault_points.reach("venue") == "reject":
            self._submitted(command)
            self.generate_order_rejected(**_ids(command), reason="fault", ts_event=self._now())
            return
        self.held[command.order.client_order_id.value] = command

    def release(self, order_id: str) -> None:
        """Let a held order execute at the quote of its asset."""
        super().submit_order(self.held.pop(order_id))

    def drop(self, order_id: str) -> None:
        """Cancel a held order."""
        command = self.held.pop(order_id)
        self._submitted(command)
        venue_id = VenueOrderId(f"DROPPED-{order_id}")
        self.generate_order_accepted(**_ids(command), venue_order_id=venue_id, ts_event=self._now())
        self.generate_order_canceled(**_ids(command), venue_order_id=venue_id, ts_event=self._now())

    def _submitted(self, command: Any) -> None:
        self.generate_order_submitted(**_ids(command), ts_event=self._now())

    def _now(self) -> int:
        now: int = self._clock.timestamp_ns()
        return now


def _ids(command: Any) -> dict[str, Any]:
    return {
        "strategy_id": command.strategy_id,
        "instrument_id": command.instrument_id,
        "client_order_id": command.order.client_order_id,
    }


class SandboxLiveExecClientFactory(LiveExecClientFactory):
    """Builds the paper venue. Nautilus passes the portfolio only to a factory of this name."""

    venue: PaperVenue | None = None

    @classmethod
    def create(cls, name: str, **kwargs: Any) -> PaperVenue:  # noqa: ARG003 - Nautilus' signature
        """Return the venue, and keep it for the session."""
        cls.venue = PaperVenue(**kwargs)
        return cls.venue
