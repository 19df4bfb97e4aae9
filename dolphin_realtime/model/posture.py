"""The safety posture: how much the trader may do, and the pure rules that choose it.

The ladder, its wire document and what each rung allows belong here; reading the inputs
and publishing do not (safety/). Ages are seconds of wall time.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec

POSTURE_STALE_S: Final = 10.0
"""A posture document older than this is no posture: exits only."""
SCAN_STALE_MIN_S: Final = 30.0
SCAN_STALE_CADENCES: Final = 3.0


class Posture(StrEnum):
    """The rungs, from free to stopped."""

    NORMAL = "NORMAL"
    REDUCED = "REDUCED"
    CLOSE_ONLY = "CLOSE_ONLY"
    HALTED = "HALTED"

    @property
    def rank(self) -> int:
        """0 for NORMAL, growing with restriction."""
        return list(Posture).index(self)

    @property
    def size_multiplier(self) -> float:
        """What target weights are multiplied by."""
        return {Posture.NORMAL: 1.0, Posture.REDUCED: 0.5}.get(self, 0.0)


class SafetyDocument(msgspec.Struct, kw_only=True):
    """DOLPHIN_SAFETY["latest"] on the wire."""

    posture: Posture
    size_multiplier: Annotated[float, msgspec.Meta(ge=0, le=1)]
    reasons: list[str]
    limits: dict[str, float]
    since: datetime
    ts: datetime
    flatten: dict[str, str] | None = None


class ManualOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the safety ledger: a person's HALT, floor or resume."""

    action: str
    posture: Posture
    reason: str
    who: str
    at: datetime


class SafetyInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What the posture is judged from; None means unknown.

    Attributes:
        scan_age_s: Since the newest scan was bridged; None before the first.
        cadence_s: Median wall interval of the last scans.
        health: Status of the meta health document; None if missing or stale.
        manual: The posture a person ordered and has not taken back.
    """

    scan_age_s: float | None
    cadence_s: float
    health: str | None
    manual: ManualOrder | None = None


def scan_age_limit_s(cadence_s: float) -> float:
    """Return the scan age above which only exits are allowed: max(3 cadences, 30 s)."""
    return max(SCAN_STALE_CADENCES * cadence_s, SCAN_STALE_MIN_S)


def judge(inputs: SafetyInputs) -> tuple[Posture, list[str]]:
    """Return the posture the inputs call for, worst wins, and every reason for it."""
    found: list[tuple[Posture, str]] = []
    limit_s = scan_age_limit_s(inputs.cadence_s)
    if inputs.scan_age_s is None:
        found.append((Posture.CLOSE_ONLY, "NO_SCAN: no scan has been seen"))
    elif inputs.scan_age_s > limit_s:
        detail = f"{inputs.scan_age_s:.1f} s old, limit {limit_s:.0f} s"
        found.append((Posture.CLOSE_ONLY, f"STALE_SCAN: the newest scan is {detail}"))
    if inputs.health == "CRITICAL":
        found.append((Posture.REDUCED, "HEALTH_CRITICAL: meta health is CRITICAL"))
    elif inputs.health == "DEAD":
        found.append((Posture.CLOSE_ONLY, "HEALTH_DEAD: meta health is DEAD"))
    elif inputs.health is None:
        found.append((Posture.CLOSE_ONLY, "HEALTH_UNKNOWN: meta health is missing or old"))
    manual = inputs.manual
    if manual is not None and manual.posture is not Posture.NORMAL:
        found.append((manual.posture, f"MANUAL: {manual.reason} ({manual.who})"))
    worst = max((p for p, _ in found), key=lambda p: p.rank, default=Posture.NORMAL)
    return worst, [reason for _, reason in found]


class Ladder(msgspec.Struct):
    """Where the posture stands: down at once, up one step after a cool-down."""

    posture: Posture
    since: datetime
    calm_since: datetime | None = None

    def move(self, wanted: Posture, now: datetime, cool_down_s: float) -> bool:
        """Move towards ``wanted``; return whether the posture changed.

        HALTED is left only for what `released` sets: an automatic up-move never leaves it.
        """
        if wanted.rank >= self.posture.rank:
            self.calm_since = None
            if wanted is self.posture:
                return False
            self._set(wanted, now)
            return True
        if self.calm_since is None:
            self.calm_since = now
        if (now - self.calm_since).total_seconds() < cool_down_s:
            return False
        self._set(list(Posture)[self.posture.rank - 1], now)
        self.calm_since = now
        return True

    def _set(self, posture: Posture, now: datetime) -> None:
        self.posture, self.since, self.calm_since = posture, now, None
