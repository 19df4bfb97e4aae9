"""Obeying the safety document the moment it comes: what may leave, a halt, a flatten.

What a document asks for between scans belongs here; what it allows at a scan is guard.py's,
carrying it out is the session's.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.services.trader.guard import Guard
from dolphin_realtime.services.trader.scan_processor import ScanProcessor

Act = Callable[[Callable[[], Awaitable[None]]], None]


class PostureWatch:
    """Takes safety documents; ``act`` runs a step between two scans, as soon as may be."""

    def __init__(self, guard: Guard, session: ScanProcessor, act: Act) -> None:
        self._guard, self._session, self._act = guard, session, act

    def on_document(self, value: str) -> None:
        """Take a DOLPHIN_SAFETY document: the entry listener's callback."""
        self._guard.on_safety(value)
        posture = self._guard.posture(datetime.now(UTC))
        self.apply(posture)
        if posture is Posture.HALTED and self._session.portfolio.in_flight:
            self._act(self._session.turn.halt)
        order = self._guard.flatten
        if order is None or posture in (None, Posture.HALTED):
            return
        flatten_id, reason = order.get("id"), order.get("reason", "")
        if flatten_id and flatten_id != self._session.portfolio.flattened_id:
            self._act(lambda: self._session.flatten(flatten_id, reason))

    def apply(self, posture: Posture | None) -> None:
        """Have the engine refuse what the posture forbids: the second fence."""
        self._session.engine.set_posture(posture)
