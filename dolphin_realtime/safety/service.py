"""`dolphin service safety`: judge the posture every second and publish it.

Reading the inputs from the grid belongs here; the rules are model/posture.py's.
"""

from collections import deque
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

import msgspec

from dolphin_realtime import grid
from dolphin_realtime.model.posture import (
    Ladder,
    ManualOrder,
    Posture,
    SafetyDocument,
    SafetyInputs,
    judge,
    scan_age_limit_s,
)
from dolphin_realtime.safety.orders import OrderLedger, serve_orders
from dolphin_realtime.service import GRID_FAULTS, Frame, pause

TURN_S: Final = 1.0
HEALTH_STALE_S: Final = 30.0
HEALTH_GRACE_S: Final = 30.0
"""Meta health starts after this service: its absence counts only after this long."""
CADENCE_WINDOW: Final = 20


class Safety:
    """The posture of one stack; `step` is one unit of work."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        now = datetime.now(UTC)
        self._started = now
        self._ledger = OrderLedger(frame.settings.home / "safety" / "ledger.jsonl")
        standing = self._ledger.standing
        first = Posture.CLOSE_ONLY if standing is None else standing.posture
        self._ladder = Ladder(max(first, Posture.CLOSE_ONLY, key=lambda p: p.rank), now)
        self._was_fresh = False
        self._intervals: deque[float] = deque(maxlen=CADENCE_WINDOW)
        self._last_bridge_ts: datetime | None = None
        self._last_reasons: list[str] = []

    async def run(self) -> None:
        """Judge and publish until the service stops."""
        self._features = await self._frame.client.get_map(grid.FEATURES)
        self._health = await self._frame.client.get_map(grid.META_HEALTH)
        self._safety = await self._frame.client.get_map(grid.SAFETY)
        server = await serve_orders(self._frame.settings.run_dir, self._ledger, self._on_order)
        is_ready = False
        async with server:
            while not self._frame.stopping.is_set():
                try:
                    await self.step()
                except GRID_FAULTS:
                    self._frame.say("grid_away")
                else:
                    if not is_ready:
                        self._frame.ready()
                        is_ready = True
                    self._frame.say("ready")
                self._frame.turn()
                await pause(self._frame.stopping, TURN_S)

    def _on_order(self, order: ManualOrder) -> None:
        self._frame.log.info(
            "safety.ordered",
            action=order.action,
            posture=order.posture.value,
            reason=order.reason,
            who=order.who,
        )
        if order.action == "resume" and self._ladder.posture is Posture.HALTED:
            self._ladder = Ladder(Posture.CLOSE_ONLY, datetime.now(UTC))

    async def step(self) -> None:
        """Read the inputs, judge, publish."""
        now = datetime.now(UTC)
        scan = grid.decode(await self._features.get(grid.LATEST_SCAN))
        health = grid.decode(await self._health.get(grid.LATEST))
        inputs = SafetyInputs(
            scan_age_s=self._scan_age_s(scan, now),
            cadence_s=median(self._intervals) if self._intervals else 0.0,
            health=self._health_status(health, now),
            manual=self._ledger.standing,
        )
        wanted, reasons = judge(inputs)
        self._move(wanted, reasons, now)
        document = SafetyDocument(
            posture=self._ladder.posture,
            size_multiplier=self._ladder.posture.size_multiplier,
            reasons=reasons,
            limits={"scan_age_s": scan_age_limit_s(inputs.cadence_s)},
            since=self._ladder.since,
            ts=now,
        )
        await self._safety.set(grid.LATEST, msgspec.json.encode(document).decode())
        self._frame.detail = f"{document.posture} since {document.since:%H:%M:%S}"

    def _move(self, wanted: Posture, reasons: list[str], now: datetime) -> None:
        """Step the ladder; the very first fresh scan lifts the starting posture at once."""
        is_first = not self._was_fresh and wanted is Posture.NORMAL
        cool_down_s = 0.0 if is_first else self._frame.settings.safety_cool_down_s
        if self._ladder.posture is Posture.HALTED and wanted is not Posture.HALTED:
            changed = False
        else:
            changed = self._ladder.move(wanted, now, cool_down_s)
            while is_first and changed and self._ladder.posture is not Posture.NORMAL:
                self._ladder.move(wanted, now, cool_down_s)
        self._was_fresh = self._was_fresh or wanted is Posture.NORMAL
        if changed:
            self._frame.log.info(
                "safety.posture", posture=self._ladder.posture.value, reasons=reasons
            )

    def _scan_age_s(self, scan: dict[str, Any] | None, now: datetime) -> float | None:
        age = None if scan is None else grid.age_s(scan.get("bridge_ts"), now)
        if scan is None or age is None:
            return None
        bridged = datetime.fromisoformat(scan["bridge_ts"])
        last = self._last_bridge_ts
        if last is not None and bridged > last:
            self._intervals.append((bridged - last).total_seconds())
        self._last_bridge_ts = bridged
        return age

    def _health_status(self, health: dict[str, Any] | None, now: datetime) -> str | None:
        age = None if health is None else grid.age_s(health.get("timestamp"), now)
        if health is not None and age is not None and age <= HEALTH_STALE_S:
            return str(health.get("status"))
        is_young = (now - self._started).total_seconds() < HEALTH_GRACE_S
        return "STARTING" if is_young else None


async def run(frame: Frame) -> None:
    """Run the safety service in its frame."""
    await Safety(frame).run()
