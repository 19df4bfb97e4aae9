"""Recovery by hand: budget, circuit and back-off at their bounds, and a clock that was set back."""

import pytest

from dolphin_realtime.model.health.recovery import Fault, Kind, Service, World, remedy_of
from dolphin_realtime.model.health.recovery_memory import (
    BUDGET,
    BUDGET_WINDOW,
    CIRCUIT_OPEN,
    HEALTHY_FOR_RESET,
    Action,
    Memory,
)
from tests.unit.realtime.test_bounds import HOUR, NOW, SECOND


def action(target="bridge", kind=Kind.RESTART):
    return Action(kind=kind, sensor="m1_proc", target=target, attempt=1)


def test_a_clock_that_was_set_back_leaves_nothing_of_the_time_to_come():
    memory = Memory()
    memory.acted(action(), NOW + HOUR)
    for _ in range(3):
        memory.ended("bridge", NOW + HOUR, is_cured=False)
    memory.saw("bridge", NOW + HOUR, is_well=True)
    memory.acted(action("safety"), NOW - HOUR)
    memory.not_after(NOW)
    late, early = memory.of("bridge"), memory.of("safety")
    assert (late.last_at, late.opened_at, late.healthy_since) == (NOW, NOW, NOW)
    assert (early.last_at, early.opened_at, early.healthy_since) == (NOW - HOUR, None, None)
    assert memory.acted_at == [NOW, NOW - HOUR]
    assert memory.pending_since == NOW - HOUR


def test_budget_and_circuit_at_their_bounds():
    memory = Memory(acted_at=[NOW] * BUDGET)
    assert memory.why_not("bridge", NOW + BUDGET_WINDOW - SECOND).startswith("budget: 6 actions")
    assert memory.why_not("bridge", NOW + BUDGET_WINDOW) is None
    memory = Memory()
    memory.of("bridge").opened_at, memory.of("bridge").uncured = NOW, 3
    why = memory.why_not("bridge", NOW + CIRCUIT_OPEN - SECOND)
    assert why == "circuit open since 12:00:00: 3 actions, no cure"
    assert memory.why_not("bridge", NOW + CIRCUIT_OPEN) is None
    memory.acted(action(), NOW)
    assert "awaited" in memory.why_not("safety", NOW)
    memory.ended("bridge", NOW, is_cured=True)
    assert memory.why_not("bridge", NOW + 29 * SECOND) == "back-off until 12:00:30"
    assert memory.why_not("bridge", NOW + 30 * SECOND) is None
    memory.saw("bridge", NOW, is_well=True)
    memory.saw("bridge", NOW + HEALTHY_FOR_RESET - SECOND, is_well=True)
    assert "bridge" in memory.targets
    memory.saw("bridge", NOW + HEALTHY_FOR_RESET, is_well=True)
    assert "bridge" not in memory.targets


def world(**fields):
    usual = {"services": {}, "grace_s": 45.0, "hazelcast_is_good": True, "dagster_answers": True}
    return World(**{**usual, **fields})


@pytest.mark.parametrize(("service", "kind", "why"), [
    (None, None, "a person must look"),
    ({"state": "failed"}, None, "its process comes first"),
    ({"is_wanted": False}, None, "its process comes first"),
    ({"age_s": 44.9}, None, "up for 45 s only"),
    ({"age_s": 45.0}, Kind.RESTART, None),
])  # fmt: skip
def test_what_the_control_plane_calls_for(service, kind, why):
    fault = Fault(sensor="m4_control_plane", target="hazelcast", is_dead=True)
    own = {"name": "hazelcast", "state": "running", "is_wanted": True, "age_s": 100.0}
    services = {} if service is None else {"hazelcast": Service(**{**own, **service})}
    found = remedy_of(fault, world(services=services))
    assert (found.fault, found.kind) == (fault, kind)
    assert found.inhibited is None if why is None else why in found.inhibited
