"""Applying a safety document as soon as it comes: the engine's posture, a halt, a flatten.

The actions between scans belong here; the permission at a scan is in guard.py, the scan processor
carries the actions out.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.services.trader.guard import Guard
from dolphin_realtime.services.trader.scan_processor import ScanProcessor

Act = Callable[[Callable[[], Awaitable[None]]], None]


class PostureWatch:
    """Receives safety documents; ``act`` runs a step between two scans, as soon as possible."""

    def __init__(self, guard: Guard, session: ScanProcessor, act: Act) -> None:
        self._guard, self._session, self._act = guard, session, act

    def on_document(self, value: str) -> None:
        """Apply a DOLPHIN_SAFETY document: the entry listener's callback."""
        self._guard.on_safety(value)
        posture = self._guard.posture(datetime.now(UTC))
        self.apply(posture)
        if posture is Posture.HALTED and self._session.portfolio.in_flight:
            self._act(self._session.turn.halt)
        order = self._guard.flatten
        if order is None or posture in (None, Posture.HALTED):
            return
        flatten_id, reason = order.get("id"), order.get("reason", "")
        if flatten_id and self._session.turn.needs_flatten(flatten_id):
            self._act(lambda: self._session.flatten(flatten_id, reason))

    def apply(self, posture: Posture | None) -> None:
        """Set the posture in the engine, which refuses what it forbids (its own check)."""
        self._session.engine.set_posture(posture)
