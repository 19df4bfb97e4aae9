"""M2, heartbeat freshness: how long ago each service last said that it lives."""

from datetime import datetime

from dolphin_realtime import grid
from dolphin_realtime.meta_health.reading import Reading, Snapshot
from dolphin_realtime.model.health import heartbeat_score


def read_heartbeats(snapshot: Snapshot, expected: list[str], now: datetime) -> Reading:
    """Return M2 over the services that are meant to beat."""
    ages = {name: _age_s(snapshot, name, now) for name in expected}
    subsystems: dict[str, dict[str, object]] = {
        name: {"heartbeat_age_s": age} for name, age in ages.items()
    }
    return Reading(score=heartbeat_score(ages), subsystems=subsystems)


def _age_s(snapshot: Snapshot, name: str, now: datetime) -> float | None:
    document = snapshot.heartbeats.get(name)
    return None if document is None else grid.age_s(document.get("ts"), now)
