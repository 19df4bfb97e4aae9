"""Recovery by cause: the action that a fault calls for, and whether it may be taken now.

Pure. The table of remedies and their order belong here. Back-off, budget and circuit breaker are
in recovery_memory.py; services/meta_health/recovery_runner.py carries a remedy out. No rule here
uses rm_meta (docs/adr/0006).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from dolphin_realtime.model.health.recovery_memory import Action, Kind, Memory

OBSERVER: Final = "meta-health"
"""Meta health itself: it never restarts itself, its service manager's watchdog does."""
HAZELCAST: Final = "hazelcast"
WEBSERVER: Final = "dagster-webserver"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service as its manager reports it.

    Attributes:
        state: running, starting, waiting, backoff, failed or stopped.
        is_wanted: Whether it is meant to run; False after an operator stopped it.
        age_s: Seconds since its state changed.
    """

    name: str
    state: str
    is_wanted: bool
    age_s: float


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A confirmed fault of one target; an unknown score is not a fault.

    Attributes:
        is_dead: Whether it settled at 0, not merely below 1.
    """

    sensor: str
    target: str
    is_dead: bool = True


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a remedy depends on besides its fault.

    Attributes:
        grace_s: A service whose state is younger than this gets time to start.
        hazelcast_is_good: Whether Hazelcast answers; without it nothing read from the grid counts.
        dagster_answers: Whether Dagster runs can be launched.
        failing_upstream: Data sources made by Dagster whose upstream source fails, with the reason.
        episodes: Id of each data source's stale episode: the timestamp at which it stopped.
        has_had_chance: Whether Dagster has answered long enough to have made each source once.
    """

    services: Mapping[str, Service]
    grace_s: float
    hazelcast_is_good: bool
    dagster_answers: bool
    failing_upstream: Mapping[str, str] = {}
    episodes: Mapping[str, str] = {}
    has_had_chance: bool = True


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """The action that a fault calls for; ``inhibited`` is the reason not to take it, if any."""

    fault: Fault
    kind: Kind | None = None
    inhibited: str | None = None


def remedy_of(fault: Fault, world: World) -> Remedy:
    """Return what a fault calls for, by its sensor and target."""
    if fault.target == OBSERVER:
        return Remedy(fault=fault, inhibited="its own manager's watchdog restarts it")
    rule = _RULES.get(fault.sensor)
    return rule(fault, world) if rule else Remedy(fault=fault, inhibited="no action is known")


def _control_plane(fault: Fault, world: World) -> Remedy:
    service = world.services.get(fault.target)
    if service is None:
        return Remedy(fault=fault, inhibited="no service to restart: a person must look")
    if service.state != "running" or not service.is_wanted:
        return Remedy(fault=fault, inhibited="its process comes first")
    if service.age_s < world.grace_s:
        return Remedy(fault=fault, inhibited=f"up for {service.age_s:.0f} s only")
    return Remedy(fault=fault, kind=Kind.RESTART)


def _process(fault: Fault, world: World) -> Remedy:
    service = world.services.get(fault.target)
    if service is None or not service.is_wanted:
        return Remedy(fault=fault, inhibited="an operator stopped it")
    if service.state != "failed":
        return Remedy(fault=fault, inhibited=f"its manager has it in hand: {service.state}")
    return Remedy(fault=fault, kind=Kind.START)


def _heartbeat(fault: Fault, world: World) -> Remedy:
    if not world.hazelcast_is_good or fault.target == HAZELCAST:
        return Remedy(fault=fault, inhibited="heartbeats travel through Hazelcast")
    if not fault.is_dead:
        return Remedy(fault=fault, inhibited="late, not yet dead")
    return _control_plane(fault, world)


def _data(fault: Fault, world: World) -> Remedy:
    if fault.target not in LAUNCHED:
        return Remedy(fault=fault, inhibited="made outside Dagster: a restart brings no data")
    cause = world.failing_upstream.get(fault.target)
    if cause is not None:
        return Remedy(fault=fault, inhibited=f"its source is the cause: {cause}")
    if not world.dagster_answers:
        return Remedy(fault=fault, inhibited="Dagster does not answer")
    if is_absent(world.episodes.get(fault.target, "")) and not world.has_had_chance:
        return Remedy(fault=fault, inhibited="its first making may be on its way")
    return Remedy(fault=fault, kind=Kind.LAUNCH)


def _coherence(fault: Fault, world: World) -> Remedy:  # noqa: ARG001 - a rule like the others
    return Remedy(fault=fault, inhibited="incoherent: entries are blocked, a person must look")


_RULES: Final[dict[str, Callable[[Fault, World], Remedy]]] = {
    "m4_control_plane": _control_plane,
    "m1_proc": _process,
    "m2_heartbeat": _heartbeat,
    "m3_data_freshness": _data,
    "m5_coherence": _coherence,
}
"""In the order of priority: control plane, processes, heartbeats, Dagster runs, coherence."""
LAUNCHED: Final = {"extf": "indicators", "esof": "calendar_factors_job"}
"""Data sources made by Dagster, and the job that makes each."""


ABSENT: Final = "absent-"
"""Prefix of the episode id of a source whose document is absent."""


def is_absent(episode: str) -> bool:
    """Return whether an episode is that of a source whose document is absent."""
    return episode.startswith(ABSENT)


class Plan(msgspec.Struct, frozen=True):
    """At most one action, and each fault without an action, with the reason."""

    action: Action | None
    held: dict[str, str]


def plan(
    faults: Sequence[Fault], world: World, memory: Memory, now: datetime, barred: str | None
) -> Plan:
    """Return this turn's action: control plane first, then processes, then Dagster runs.

    ``barred`` is the reason why no action may be taken at all, e.g. maintenance or a failed
    self-check; None if there is no such reason.
    """
    order = list(_RULES)
    held: dict[str, str] = {}
    chosen: Action | None = None
    for fault in sorted(faults, key=lambda f: (order.index(f.sensor), f.target)):
        remedy = remedy_of(fault, world)
        why = remedy.inhibited or barred or _spent(remedy, world, memory)
        why = why or memory.why_not(fault.target, now, remedy.kind or Kind.RESTART)
        if why is None and chosen is not None:
            why = f"one at a time: {chosen.target} first"
        if why is not None or remedy.kind is None:
            held[f"{fault.sensor}/{fault.target}"] = why or "no action is known"
            continue
        chosen = Action(
            kind=remedy.kind,
            sensor=fault.sensor,
            target=fault.target,
            attempt=memory.of(fault.target).attempts + 1,
            episode=world.episodes.get(fault.target) if remedy.kind is Kind.LAUNCH else None,
        )
    return Plan(chosen, held)


def _spent(remedy: Remedy, world: World, memory: Memory) -> str | None:
    """Return why a run is not launched: it was launched once in this episode; else None."""
    if remedy.kind is not Kind.LAUNCH:
        return None
    one = memory.targets.get(remedy.fault.target)
    if one is not None and one.episode == world.episodes.get(remedy.fault.target, ""):
        return "its job was launched once in this episode"
    return None
