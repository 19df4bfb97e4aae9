"""Meta health: the scores of five health sensors, their product and its status word.

Scores, bounds, the weights of sources and the wire document belong here. Debouncing is in
debounce.py, probing in services/meta_health/. Ages are seconds. docs/adr/0006 says why the
number is a product and why nothing is ever restarted because of it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

GREEN_ABOVE: Final = 0.8
DEGRADED_ABOVE: Final = 0.5
CRITICAL_ABOVE: Final = 0.2
HEARTBEAT_STALE_S: Final = 30.0
HEARTBEAT_DEAD_S: Final = 60.0


class Status(StrEnum):
    """The status word of rm_meta; a value on a bound gets the worse word."""

    GREEN = "GREEN"
    DEGRADED = "DEGRADED"
    CRITICAL = "CRITICAL"
    DEAD = "DEAD"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One data source: where its timestamp is, its weight, and when it is old.

    Attributes:
        stale_s: Older than this scores 0.5.
        dead_s: Older than this scores 0.
    """

    name: str
    map_name: str
    key: str
    field: str
    weight: float = 1.0
    stale_s: float = 30.0
    dead_s: float = 120.0
    enabled: bool = True


class HealthDocument(msgspec.Struct, kw_only=True):
    """DOLPHIN_META_HEALTH["latest"] on the wire; an unmeasured score is null."""

    rm_meta: float
    status: Status
    m1_proc: float
    m2_heartbeat: float
    m3_data_freshness: float
    m4_control_plane: float
    m5_coherence: float
    subsystem_health: dict[str, dict[str, dict[str, object]]]
    timestamp: datetime


def status_of(rm_meta: float) -> Status:
    """Return the status of rm_meta: > 0.8 GREEN, > 0.5 DEGRADED, > 0.2 CRITICAL, else DEAD."""
    if rm_meta > GREEN_ABOVE:
        return Status.GREEN
    if rm_meta > DEGRADED_ABOVE:
        return Status.DEGRADED
    return Status.CRITICAL if rm_meta > CRITICAL_ABOVE else Status.DEAD


def age_score(age_s: float | None, stale_s: float, dead_s: float) -> float:
    """Return 1 up to ``stale_s``, 0.5 up to ``dead_s``, else 0; a missing age scores 0.

    A timestamp in the future scores like one of the same age: one of the two clocks is wrong.
    """
    if age_s is None or abs(age_s) > dead_s:
        return 0.0
    return 0.5 if abs(age_s) > stale_s else 1.0


def process_score(targets: Mapping[str, float], critical: Collection[str]) -> float:
    """Return the process score: 0 if a critical service is down, else the share that runs."""
    if any(score < 1.0 for name, score in targets.items() if name in critical):
        return 0.0
    return share(targets)


def heartbeat_score(targets: Mapping[str, float], critical: Collection[str]) -> float:
    """Return the worst heartbeat score of the critical services, 1 if none is expected."""
    return min((s for name, s in targets.items() if name in critical), default=1.0)


def freshness_score(targets: Mapping[str, float], sources: Sequence[Source]) -> float:
    """Return M3 data freshness: the weighted mean score of the enabled sources."""
    enabled = [s for s in sources if s.enabled]
    total = sum(s.weight for s in enabled)
    if total == 0.0:
        return 0.0
    return sum(s.weight * targets.get(s.name, 0.0) for s in enabled) / total


def share(targets: Mapping[str, float]) -> float:
    """Return the mean score of the targets (control plane, coherence), 0 without targets."""
    return sum(targets.values()) / len(targets) if targets else 0.0
