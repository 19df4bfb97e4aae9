"""The health evaluator: from a turn's readings to settled scores, faults and the document.

Keeping a debouncer for each sensor and target belongs here; debouncing is in
model/health/debounce.py, the remedy of a fault in model/health/recovery.py.
"""

from datetime import datetime

from dolphin_realtime.model.health.debounce import GOOD, Debouncer
from dolphin_realtime.model.health.recovery import OBSERVER, Fault
from dolphin_realtime.model.health.scores import (
    HealthDocument,
    Source,
    freshness_score,
    heartbeat_score,
    process_score,
    share,
    status_of,
)
from dolphin_realtime.model.health.self_check import Seen
from dolphin_realtime.services.meta_health.reading import Reading

SENSORS = ("m1_proc", "m2_heartbeat", "m3_data_freshness", "m4_control_plane", "m5_coherence")
AGED = ("m2_heartbeat", "m3_data_freshness")
"""The sensors that judge by wall-clock timestamps."""


class HealthEvaluator:
    """The debouncers of one stack; `update` is one turn."""

    def __init__(self, sources: list[Source], critical: list[str]) -> None:
        self._sources, self._critical = sources, critical
        self.tracks: dict[tuple[str, str], Debouncer] = {}
        self._readings: dict[str, Reading] = {}

    def update(self, readings: dict[str, Reading], now_s: float) -> Seen:
        """Add a turn's readings and return its counts; targets without a reading are forgotten."""
        was_bad = {key for key, track in self.tracks.items() if _is_bad(track)}
        self._readings = readings
        wanted = {(sensor, name) for sensor, r in readings.items() for name in r.scores}
        self.tracks = {key: self.tracks.get(key) or Debouncer() for key in sorted(wanted)}
        for (sensor, name), track in self.tracks.items():
            track.update(readings[sensor].scores[name], now_s)
        known = {key: track for key, track in self.tracks.items() if track.raw is not None}
        bad = {key for key, track in known.items() if _is_bad(track)}
        return Seen(
            known=len(known),
            bad=len(bad),
            newly_bad=len(bad - was_bad),
            aged=sum(1 for sensor, _ in known if sensor in AGED),
            aged_bad=sum(1 for sensor, _ in bad if sensor in AGED),
        )

    def forget_streaks(self) -> None:
        """Reset all counts of consecutive turns."""
        for track in self.tracks.values():
            track.forget_streak()

    def faults(self) -> list[Fault]:
        """Return the confirmed faults; an unknown score is not a fault."""
        return [
            Fault(sensor=sensor, target=name, is_dead=track.is_known_dead)
            for (sensor, name), track in self.tracks.items()
            if track.is_known_bad
        ]

    def is_well(self, target: str) -> bool:
        """Return whether a target is good, settled and now, in every sensor that sees it."""
        own = [t for (_, name), t in self.tracks.items() if name == target]
        return bool(own) and all(t.settled == GOOD and t.raw == GOOD for t in own)

    def was_seen_well(self, names: list[str]) -> bool:
        """Return whether `is_well` holds for each name."""
        return all(self.is_well(name) for name in names)

    def words(self) -> dict[str, str]:
        """Return the debouncer's word for each target, by sensor and target."""
        return {f"{sensor}/{name}": t.word for (sensor, name), t in self.tracks.items()}

    def scores(self, now_s: float, *, is_young: bool) -> dict[str, float]:
        """Return the five scores; while ``is_young``, never-known targets are left out."""
        by_sensor: dict[str, dict[str, float]] = {sensor: {} for sensor in SENSORS}
        for (sensor, name), track in self.tracks.items():
            if track.settled is not None or not is_young:
                by_sensor[sensor][name] = track.score(now_s)
        sources = [s for s in self._sources if s.name in by_sensor["m3_data_freshness"]]
        return {
            "m1_proc": process_score(by_sensor["m1_proc"], self._critical),
            "m2_heartbeat": heartbeat_score(by_sensor["m2_heartbeat"], self._critical),
            "m3_data_freshness": freshness_score(by_sensor["m3_data_freshness"], sources),
            "m4_control_plane": share(by_sensor["m4_control_plane"]),
            "m5_coherence": share(by_sensor["m5_coherence"] or {"nothing": GOOD}),
        }

    def document(
        self, now: datetime, now_s: float, held: dict[str, str], *, is_young: bool
    ) -> HealthDocument:
        """Return the document; ``held`` gives, by sensor and target, why no action is taken."""
        scores = self.scores(now_s, is_young=is_young)
        product = 1.0
        for score in scores.values():
            product *= score
        groups: dict[str, dict[str, dict[str, object]]] = {"processes": {}, "data_sources": {}}
        for sensor, reading in self._readings.items():
            is_data = sensor in ("m3_data_freshness", "m5_coherence")
            group = groups["data_sources" if is_data else "processes"]
            for name, facts in reading.facts.items():
                group.setdefault(name, {}).update(facts)
                track = self.tracks.get((sensor, name))
                if sensor == "m3_data_freshness" and track is not None:
                    group[name]["score"] = track.score(now_s)
                why = held.get(f"{sensor}/{name}")
                if why is not None and name != OBSERVER:
                    group[name]["not_repaired"] = why
        return HealthDocument(
            rm_meta=product,
            status=status_of(product),
            **scores,
            subsystem_health=groups,
            timestamp=now,
        )


def _is_bad(track: Debouncer) -> bool:
    return track.raw is not None and track.raw < GOOD
