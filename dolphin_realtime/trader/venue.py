"""The paper venue: Nautilus' sandbox, with orders held until the quote they fill at.

The sandbox executes at once and knows no latency; here an order waits for the first quote
of its asset after the venue's latency, in market time (docs/architecture.md, fill rule).
"""

from typing import Any

from nautilus_trader.adapters.sandbox.execution import SandboxExecutionClient
from nautilus_trader.live.factories import LiveExecClientFactory


class PaperVenue(SandboxExecutionClient):
    """Holds submitted orders; `release` lets one meet the market as it is now quoted."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.held: dict[str, Any] = {}

    def submit_order(self, command: Any) -> None:
        """Take an order and keep it."""
        self.held[command.order.client_order_id.value] = command

    def release(self, order_id: str) -> None:
        """Let a held order execute at the quote of its asset."""
        super().submit_order(self.held.pop(order_id))

    def drop(self, order_id: str, reason: str) -> None:
        """Refuse a held order, e.g. because no quote came in time."""
        command = self.held.pop(order_id)
        self.generate_order_submitted(
            strategy_id=command.strategy_id,
            instrument_id=command.instrument_id,
            client_order_id=command.order.client_order_id,
            ts_event=self._clock.timestamp_ns(),
        )
        self.generate_order_rejected(
            strategy_id=command.strategy_id,
            instrument_id=command.instrument_id,
            client_order_id=command.order.client_order_id,
            reason=reason,
            ts_event=self._clock.timestamp_ns(),
        )


class SandboxLiveExecClientFactory(LiveExecClientFactory):
    """Builds the paper venue. Nautilus passes the portfolio only to a factory of this name."""

    venue: PaperVenue | None = None

    @classmethod
    def create(cls, name: str, **kwargs: Any) -> PaperVenue:  # noqa: ARG003 - Nautilus' signature
        """Return the venue, and keep it for the session."""
        cls.venue = PaperVenue(**kwargs)
        return cls.venue
