"""Meta health: five health sensors, one number, four words.

Scores, bounds, the weights of sources and the wire document belong here; probing does not
(meta_health/). Ages are seconds. docs/adr/0006 says why the number is a product and why
nothing is ever restarted because of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

GREEN_ABOVE: Final = 0.8
DEGRADED_ABOVE: Final = 0.5
CRITICAL_ABOVE: Final = 0.2
HEARTBEAT_STALE_S: Final = 30.0
HEARTBEAT_DEAD_S: Final = 60.0
UNKNOWN_TTL_S: Final = 30.0
CRITICAL_SERVICES: Final = frozenset({"hazelcast", "bridge", "trader@BLUE", "safety"})


class Status(StrEnum):
    """What rm_meta is called; each bound belongs to the worse word."""

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
    """Return the word of a product: > 0.8 GREEN, > 0.5 DEGRADED, > 0.2 CRITICAL, else DEAD."""
    if rm_meta > GREEN_ABOVE:
        return Status.GREEN
    if rm_meta > DEGRADED_ABOVE:
        return Status.DEGRADED
    return Status.CRITICAL if rm_meta > CRITICAL_ABOVE else Status.DEAD


def age_score(age_s: float | None, stale_s: float, dead_s: float) -> float:
    """Return 1 up to ``stale_s``, 0.5 up to ``dead_s``, else 0; a missing age scores 0."""
    if age_s is None or age_s > dead_s:
        return 0.0
    return 0.5 if age_s > stale_s else 1.0


def process_score(is_running: Mapping[str, bool]) -> float:
    """Return M1: 0 when a critical service is missing, else the share that runs."""
    if not is_running:
        return 0.0
    if any(not up for name, up in is_running.items() if name in CRITICAL_SERVICES):
        return 0.0
    return sum(is_running.values()) / len(is_running)


def heartbeat_score(ages_s: Mapping[str, float | None]) -> float:
    """Return M2: the worst critical service's heartbeat score, 1 where none should beat."""
    scores = (
        age_score(age, HEARTBEAT_STALE_S, HEARTBEAT_DEAD_S)
        for name, age in ages_s.items()
        if name in CRITICAL_SERVICES
    )
    return min(scores, default=1.0)


def freshness_score(ages_s: Mapping[str, float | None], sources: Sequence[Source]) -> float:
    """Return M3: the weighted mean score of the enabled sources."""
    enabled = [s for s in sources if s.enabled]
    total = sum(s.weight for s in enabled)
    if total == 0.0:
        return 0.0
    scored = sum(s.weight * age_score(ages_s.get(s.name), s.stale_s, s.dead_s) for s in enabled)
    return scored / total


def share(results: Mapping[str, bool]) -> float:
    """Return the share of true results (M4, M5); nothing to judge scores 0."""
    return sum(results.values()) / len(results) if results else 0.0


class LastKnown(msgspec.Struct):
    """A health sensor's score that survives a failed probe for UNKNOWN_TTL_S."""

    score: float = 0.0
    at: datetime | None = None

    def take(self, score: float | None, now: datetime) -> float:
        """Return ``score``, or the last one while it is young, else 0 (fail safe)."""
        if score is not None:
            self.score, self.at = score, now
            return score
        is_young = self.at is not None and (now - self.at).total_seconds() <= UNKNOWN_TTL_S
        return self.score if is_young else 0.0
