"""The trading permission at a scan: the posture, and the trader's own entry blocks.

Checking freshness by wall time belongs here; the safety service sets the posture, the portfolio
does the sizing. If a posture is unknown, missing, stale or unreadable, only exits are allowed.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from dolphin_realtime.model.freshness import POSTURE_S
from dolphin_realtime.model.instant import from_us, to_us
from dolphin_realtime.model.market.cadence import LATE_CADENCES, Cadence
from dolphin_realtime.model.market.scan import Scan, refuse_implausible
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import InstancePosture, Posture, SafetyDocument

CLOCK_SKEW_S: Final = 60.0
_decoder = msgspec.json.Decoder(SafetyDocument)


class Guard:
    """Wall-clock facts about the feed and the posture.

    Args:
        instance: The trader whose posture applies.
        is_replay: Whether market time is not wall time; then the skew is not checked.
        cadence_min_s: Least cadence by which the age of a scan is checked.
        trouble: Returns why nothing may be opened (journal, reconciliation), or None.

    Attributes:
        block: The entry block of the last scan, or None.
        blocked_since: Wall time of the first scan in a row with that block.
        venue_block: Returns why a real venue's state lets nothing be opened, or None.
    """

    def __init__(
        self, instance: str, *, is_replay: bool, cadence_min_s: float,
        trouble: Callable[[], str | None],
    ) -> None:  # fmt: skip
        self._instance, self._is_replay, self._trouble = instance, is_replay, trouble
        self._cadence_min_s = cadence_min_s
        self._safety: SafetyDocument | None = None
        self._own: InstancePosture | None = None
        self._cadence = Cadence()
        self.cadence_s = cadence_min_s
        self.block: str | None = None
        self.blocked_since: datetime | None = None
        self.venue_block: Callable[[], str | None] = lambda: None

    def on_safety(self, value: str) -> None:
        """Store a DOLPHIN_SAFETY document; if it is unreadable the posture is unknown."""
        try:
            self._safety = _decoder.decode(value)
            self._own = self._safety.of(self._instance)  # None: unknown
        except (msgspec.DecodeError, ValueError):
            self._safety = self._own = None

    @property
    def flatten(self) -> dict[str, str] | None:
        """The flatten command for this trader in the newest document, or None."""
        return self._own.flatten if self._own is not None else None

    def refuse_implausible(self, scan: Scan, last_us: int) -> None:
        """Raise if a scan's instant is implausibly late.

        Raises:
            ScanOutOfOrder: With by how much.
        """
        now_us = to_us(datetime.now(UTC))
        refuse_implausible(scan.timestamp_us, last_us, now_us, is_replay=self._is_replay)

    def saw_scan(self, scan: Scan) -> None:
        """Add a new scan's bridge time to the cadence."""
        if scan.bridge_ts is not None:
            self._cadence.note(scan.bridge_ts.timestamp())

    def measure_cadence(self) -> None:
        """Set the cadence to the median wall interval of the last scans, or the minimum if larger.

        Called after a scan, for the check of the next one.
        """
        self.cadence_s = max(self._cadence_min_s, self._cadence.seconds or 0.0)

    def posture(self, now: datetime) -> Posture | None:
        """Return the posture in force, None if it is unknown, missing or stale."""
        safety, own = self._safety, self._own
        if safety is None or own is None or safety.ts.tzinfo is None:
            return None
        age_s = (now - safety.ts).total_seconds()
        return own.posture if -POSTURE_S <= age_s <= POSTURE_S else None

    def limits(self, scan: Scan, now: datetime) -> TradingPermission:
        """Return the trading permission at a scan; `note` stores its entry block."""
        posture = self.posture(now)
        block = self._block(scan, now) if posture is not None else "POSTURE_UNKNOWN"
        return TradingPermission(posture=posture or Posture.NORMAL, entry_block=block)

    def note(self, limits: TradingPermission, now: datetime) -> None:
        """Store the entry block, and since when it holds."""
        if limits.entry_block != self.block:
            self.block = limits.entry_block
            self.blocked_since = now if self.block else None

    def _block(self, scan: Scan, now: datetime) -> str | None:
        if scan.bridge_ts is None:
            return "STALE_SCAN"
        age_s = (now - scan.bridge_ts).total_seconds()
        if age_s > LATE_CADENCES * self.cadence_s:
            return "STALE_SCAN"
        if not self._is_replay:
            skew_s = abs((scan.bridge_ts - from_us(scan.timestamp_us)).total_seconds())
            if skew_s > CLOCK_SKEW_S:
                return "CLOCK_SKEW"
        return self._trouble() or self.venue_block()
