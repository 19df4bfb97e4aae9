"""Heartbeat freshness (`m2_heartbeat`): the age of each service's last heartbeat."""

from collections.abc import Iterable
from datetime import datetime

from dolphin_realtime.model.health.scores import HEARTBEAT_DEAD_S, HEARTBEAT_STALE_S, age_score
from dolphin_realtime.services.meta_health.reading import Reading, Snapshot


def read_heartbeats(
    snapshot: Snapshot, expected: Iterable[str], now: datetime, *, is_young: bool = False
) -> Reading:
    """Return the heartbeat score of each expected service.

    If the grid came up just now (``is_young``), an absent heartbeat is unknown, not missing.
    """
    scores: dict[str, float | None] = {}
    facts: dict[str, dict[str, object]] = {}
    for name in expected:
        document = snapshot.heartbeats.get(name)
        age_s = None if document is None else (now - document.ts).total_seconds()
        score = age_score(age_s, HEARTBEAT_STALE_S, HEARTBEAT_DEAD_S)
        scores[name] = None if document is None and is_young else score
        facts[name] = {"heartbeat_age_s": age_s}
    return Reading(scores=scores, facts=facts)
