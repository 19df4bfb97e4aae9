"""Recovery by cause: what a fault calls for, and whether it may be done now.

Pure. The table of remedies, their order, back-off, budget and circuit belong here; carrying a
remedy out does not (meta_health/healer.py), nor does the number: no rule here sees rm_meta
(docs/adr/0006). Instants are wall time, because they outlive the process in the ledger.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

BACK_OFF: Final = timedelta(seconds=30)
LONGEST_BACK_OFF: Final = timedelta(minutes=15)
HEALTHY_FOR_RESET: Final = timedelta(minutes=10)
BUDGET: Final = 6
BUDGET_WINDOW: Final = timedelta(hours=1)
UNCURED_TO_OPEN: Final = 3
CIRCUIT_OPEN: Final = timedelta(minutes=30)
OBSERVER: Final = "meta-health"
"""It never acts on itself: its manager's watchdog does."""
HAZELCAST: Final = "hazelcast"
WEBSERVER: Final = "dagster-webserver"


class Kind(StrEnum):
    """What can be done, in the order of doing: restart, start again, launch a Dagster run."""

    RESTART = "restart"
    START = "start"
    LAUNCH = "launch"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service as its manager tells it.

    Attributes:
        state: running, starting, waiting, backoff, failed or stopped.
        is_wanted: Whether it is meant to run: an operator's stop says no.
        age_s: Seconds since its state changed.
    """

    name: str
    state: str
    is_wanted: bool
    age_s: float


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A target that is known and settled bad; unknown is no fault.

    Attributes:
        is_dead: It settled at 0, not merely below 1.
    """

    sensor: str
    target: str
    is_dead: bool = True


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a remedy depends on besides its fault.

    Attributes:
        grace_s: A service whose state is younger than this is left to come up.
        hazelcast_is_good: Everything read through the grid is worth nothing without it.
        dagster_answers: Runs can be launched.
        failing_upstream: Dagster-made data sources whose own source is the cause.
        spells: What the staleness of a data source is known by: the stamp it stopped at.
    """

    services: Mapping[str, Service]
    grace_s: float
    hazelcast_is_good: bool
    dagster_answers: bool
    failing_upstream: Mapping[str, str] = {}
    spells: Mapping[str, str] = {}


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault calls for; with ``inhibited`` it is not done, and that says why."""

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
    if service is None or service.state != "running" or not service.is_wanted:
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
"""In the order of acting: control plane, processes, Dagster runs."""
LAUNCHED: Final = {"extf": "indicators", "esof": "calendar_factors_job"}
"""Dagster-made data sources, and the job that makes each."""


class TargetMemory(msgspec.Struct, kw_only=True):
    """What is remembered of the actions on one target.

    Attributes:
        attempts: Actions since it was last healthy for ten minutes: the back-off's exponent.
        uncured: Actions in a row that brought no cure.
        last_at: When the last one was.
        opened_at: When the circuit opened; None while it is closed.
        healthy_since: Since when it has been well.
        spell: The spell that a Dagster run was launched for: there is one run a spell.
    """

    attempts: int = 0
    uncured: int = 0
    last_at: datetime | None = None
    opened_at: datetime | None = None
    healthy_since: datetime | None = None
    spell: str | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do, or done; a launch carries the spell it is for."""

    kind: Kind
    sensor: str
    target: str
    attempt: int
    spell: str | None = None


class Memory(msgspec.Struct):
    """The memory of all actions, as the ledger holds it.

    Attributes:
        pending: The action whose cure is awaited: one at a time.
        pending_since: When it began.
    """

    targets: dict[str, TargetMemory] = {}
    acted_at: list[datetime] = []
    pending: Action | None = None
    pending_since: datetime | None = None

    def of(self, target: str) -> TargetMemory:
        """Return what is remembered of a target."""
        return self.targets.setdefault(target, TargetMemory())

    def not_after(self, now: datetime) -> None:
        """Take instants after now for now: the clock that wrote them was set back."""
        self.acted_at = [min(at, now) for at in self.acted_at]
        if self.pending_since is not None:
            self.pending_since = min(self.pending_since, now)
        for one in self.targets.values():
            for name in ("last_at", "opened_at", "healthy_since"):
                at = getattr(one, name)
                setattr(one, name, None if at is None else min(at, now))

    def why_not(self, target: str, now: datetime, kind: Kind = Kind.RESTART) -> str | None:
        """Return why nothing may be done to a target now, None where it may.

        A Dagster run that is awaited bars other runs, not what must come before them.
        """
        pending = self.pending
        if pending is not None and (kind is Kind.LAUNCH or pending.kind is not Kind.LAUNCH):
            return f"one at a time: {pending.kind} of {pending.target} is awaited"
        recent = [at for at in self.acted_at if now - at < BUDGET_WINDOW]
        if len(recent) >= BUDGET:
            return f"budget: {BUDGET} actions in the last hour"
        one = self.of(target)
        if one.opened_at is not None and now - one.opened_at < CIRCUIT_OPEN:
            return f"circuit open since {one.opened_at:%H:%M:%S}: {one.uncured} actions, no cure"
        if one.last_at is not None and now - one.last_at < back_off(one.attempts):
            return f"back-off until {one.last_at + back_off(one.attempts):%H:%M:%S}"
        return None

    def acted(self, action: Action, now: datetime) -> None:
        """Note that an action begins."""
        one = self.of(action.target)
        one.attempts, one.last_at, one.healthy_since = action.attempt, now, None
        one.spell = action.spell
        self.acted_at = [at for at in self.acted_at if now - at < BUDGET_WINDOW] + [now]
        self.pending, self.pending_since = action, now

    def ended(self, target: str, now: datetime, *, is_cured: bool) -> bool:
        """Note how an action on a target ended; return whether the circuit opens by it."""
        if self.pending is not None and self.pending.target == target:
            self.pending = self.pending_since = None
        one = self.of(target)
        if is_cured:
            one.uncured, one.opened_at = 0, None
            return False
        one.uncured += 1
        if one.uncured < UNCURED_TO_OPEN:
            return False
        one.opened_at = now
        return True

    def saw(self, target: str, now: datetime, *, is_well: bool) -> None:
        """Note how a target is: ten healthy minutes make its slate clean."""
        one = self.targets.get(target)
        if one is None:
            return
        if not is_well:
            one.healthy_since = None
        elif one.healthy_since is None:
            one.healthy_since = now
        elif now - one.healthy_since >= HEALTHY_FOR_RESET:
            del self.targets[target]


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after the nth action: 30 s · 2^(n-1), 15 min at the most."""
    doublings = min(max(attempts - 1, 0), 16)
    return min(BACK_OFF * (1 << doublings), LONGEST_BACK_OFF)


class Plan(msgspec.Struct, frozen=True):
    """At most one action, and every fault that gets none, with the reason."""

    action: Action | None
    held: dict[str, str]


def plan(
    faults: Sequence[Fault], world: World, memory: Memory, now: datetime, barred: str | None
) -> Plan:
    """Return what is done this turn: control plane first, then processes, then Dagster runs.

    ``barred`` says why nothing at all may be done: maintenance, or a suspect observer.
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
            spell=world.spells.get(fault.target) if remedy.kind is Kind.LAUNCH else None,
        )
    return Plan(chosen, held)


def _spent(remedy: Remedy, world: World, memory: Memory) -> str | None:
    """Return why a run is not launched again: it was, for this spell."""
    if remedy.kind is not Kind.LAUNCH:
        return None
    one = memory.targets.get(remedy.fault.target)
    if one is not None and one.spell == world.spells.get(remedy.fault.target, ""):
        return "its job was launched once in this spell"
    return None
