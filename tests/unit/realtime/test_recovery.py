"""Recovery by cause: the table, its inhibitions, the bounds that no plan exceeds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin_realtime.model.health.recovery import Fault, Service, World, plan, remedy_of
from dolphin_realtime.model.health.recovery_memory import (
    BUDGET,
    BUDGET_WINDOW,
    CIRCUIT_OPEN,
    Action,
    Kind,
    Memory,
    back_off,
)
from dolphin_realtime.services.meta_health.files import (
    Ledger,
    LedgerLine,
    Maintenance,
    keep_maintenance,
    maintenance,
    read_ledger,
    remembered,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("hazelcast", "bridge", "safety", "trader@BLUE", "dagster-webserver", "meta-health")


def world(state="running", age_s=100.0, is_wanted=True, grid=True, dagster=True, **more):
    services = {n: Service(name=n, state=state, is_wanted=is_wanted, age_s=age_s) for n in NAMES}
    return World(
        services=services, grace_s=45.0, hazelcast_is_good=grid, dagster_answers=dagster, **more
    )  # fmt: skip


def fault(sensor, target, is_dead=True):
    return Fault(sensor=sensor, target=target, is_dead=is_dead)


PORT = fault("m4_control_plane", "hazelcast")
FAILED = fault("m1_proc", "trader@BLUE")
OLD_BEAT = fault("m2_heartbeat", "bridge")


@pytest.mark.parametrize(
    ("one", "where", "kind"),
    [
        (PORT, world(), Kind.RESTART),
        (PORT, world(age_s=44.9), None),
        (PORT, world(age_s=45.0), Kind.RESTART),
        (PORT, world("backoff"), None),
        (fault("m4_control_plane", "dagster-webserver"), world(), Kind.RESTART),
        (FAILED, world("failed"), Kind.START),
        (FAILED, world("backoff"), None),
        (FAILED, world("starting"), None),
        (FAILED, world("stopped", is_wanted=False), None),
        (FAILED, world("failed", is_wanted=False), None),
        (OLD_BEAT, world(), Kind.RESTART),
        (OLD_BEAT, world(grid=False), None),
        (OLD_BEAT, world(age_s=10), None),
        (fault("m2_heartbeat", "bridge", is_dead=False), world(), None),
        (fault("m2_heartbeat", "hazelcast"), world(), None),
        (fault("m3_data_freshness", "scan"), world(), None),
        (fault("m3_data_freshness", "obf"), world(), None),
        (fault("m3_data_freshness", "safety"), world(), None),
        (fault("m3_data_freshness", "extf"), world(), Kind.LAUNCH),
        (fault("m3_data_freshness", "esof"), world(), Kind.LAUNCH),
        (fault("m3_data_freshness", "extf"), world(dagster=False), None),
        (fault("m3_data_freshness", "extf"), world(failing_upstream={"extf": "all fail"}), None),
        (fault("m5_coherence", "scan"), world(), None),
        (fault("m5_coherence", "state_BLUE"), world("failed"), None),
        (fault("m1_proc", "meta-health"), world("failed"), None),
        (fault("m2_heartbeat", "meta-health"), world(), None),
        (fault("m1_proc", "unheard-of"), world("failed"), None),
    ],
)
def test_the_table_of_remedies(one, where, kind):
    found = remedy_of(one, where)
    assert found.kind == kind
    assert (found.inhibited is None) == (kind is not None)


def test_an_hour_of_a_stale_scan_restarts_nothing():
    memory = Memory()
    stale = [fault("m3_data_freshness", "scan"), fault("m3_data_freshness", "obf")]
    for turn in range(720):
        found = plan(stale, world(), memory, NOW + timedelta(seconds=5 * turn), None)
        assert found.action is None
    assert memory.acted_at == []


def test_the_control_plane_comes_before_processes_and_processes_before_runs():
    faults = [fault("m3_data_freshness", "extf"), OLD_BEAT, PORT]
    where = world()
    found = plan(faults, where, Memory(), NOW, None)
    assert found.action.target == "hazelcast"
    assert found.held["m2_heartbeat/bridge"] == "one at a time: hazelcast first"
    assert plan(faults[:2], where, Memory(), NOW, None).action.target == "bridge"


def test_what_bars_everything_bars_everything():
    found = plan([PORT, FAILED], world(), Memory(), NOW, "maintenance until 12:00")
    assert found.action is None
    assert found.held["m4_control_plane/hazelcast"] == "maintenance until 12:00"


def test_a_job_is_launched_once_in_a_spell():
    memory, stale = Memory(), [fault("m3_data_freshness", "extf")]
    where = world(episodes={"extf": "12:00:00"})
    action = plan(stale, where, memory, NOW, None).action
    assert (action.kind, action.episode) == (Kind.LAUNCH, "12:00:00")
    memory.acted(action, NOW)
    memory.ended("extf", NOW, is_cured=False)
    later = NOW + timedelta(hours=2)
    held = plan(stale, where, memory, later, None)
    assert held.action is None
    assert "once in this episode" in held.held["m3_data_freshness/extf"]
    assert plan(stale, world(episodes={"extf": "14:00:00"}), memory, later, None).action is not None


@pytest.mark.parametrize(
    ("n", "seconds"), [(1, 30), (2, 60), (3, 120), (5, 480), (6, 900), (40, 900)]
)
def test_the_back_off_doubles_up_to_a_quarter_of_an_hour(n, seconds):
    assert back_off(n) == timedelta(seconds=seconds)


def simulate(is_cured, hours=3, faults=(PORT,)):
    """Return when actions began while the faults stand for hours, verified after 120 s."""
    memory, acts, opened, began = Memory(), [], [], None
    for second in range(0, hours * 3600, 5):
        now = NOW + timedelta(seconds=second)
        is_due = memory.pending is not None and now - began >= timedelta(seconds=120)
        if is_due and memory.ended(memory.pending.target, now, is_cured=is_cured):
            opened.append(now)
        found = plan(list(faults), world(), memory, now, None)
        if found.action is not None:
            memory.acted(found.action, now)
            acts.append(now)
            began = now
    return acts, opened


def test_an_incurable_port_is_given_three_actions_then_one_each_half_hour():
    acts, opened = simulate(is_cured=False)
    assert [(at - NOW).total_seconds() for at in acts[:3]] == [0, 120, 240]
    assert opened[0] - NOW == timedelta(seconds=360)
    for before, after in zip(opened, acts[3:], strict=False):
        assert after - before == CIRCUIT_OPEN


def test_ten_healthy_minutes_make_the_slate_clean():
    memory = Memory()
    memory.acted(Action(kind=Kind.RESTART, sensor="s", target="bridge", attempt=3), NOW)
    memory.ended("bridge", NOW, is_cured=True)
    for minute in range(11):
        memory.saw("bridge", NOW + timedelta(minutes=minute), is_well=minute != 0)
    assert memory.of("bridge").attempts == 3
    memory.saw("bridge", NOW + timedelta(minutes=11), is_well=True)
    assert "bridge" not in memory.targets


FAULTS = st.lists(
    st.builds(
        fault,
        st.sampled_from(["m1_proc", "m2_heartbeat", "m3_data_freshness", "m4_control_plane"]),
        st.sampled_from([*NAMES, "scan", "extf"]),
    ),
    max_size=8,
)
STEPS = st.lists(st.tuples(FAULTS, st.integers(1, 400), st.booleans()), min_size=20, max_size=80)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from(["running", "failed", "backoff"]))
def test_no_plan_exceeds_its_budget_or_acts_twice_at_once(steps, state):
    memory, now, acts = Memory(), NOW, []
    for faults, seconds, is_cured in steps:
        now += timedelta(seconds=seconds)
        if memory.pending is not None and is_cured:
            memory.ended(memory.pending.target, now, is_cured=True)
        pending = memory.pending
        found = plan(faults, world(state, episodes={"extf": str(now)}), memory, now, None)
        if found.action is not None:
            is_first = pending is None or pending.kind is Kind.LAUNCH
            assert is_first
            assert pending is None or found.action.kind is not Kind.LAUNCH
            assert found.action.target != "meta-health"
            memory.acted(found.action, now)
            acts.append(now)
        assert sum(1 for at in acts if now - at < BUDGET_WINDOW) <= BUDGET


def action(target, attempt=1):
    return Action(kind=Kind.RESTART, sensor="m4_control_plane", target=target, attempt=attempt)


def test_the_ledger_is_read_again_at_start_and_holds_what_it_held(tmp_path):
    path = tmp_path / "health" / "ledger.jsonl"
    ledger = Ledger(path)
    for minute, event in enumerate(["acts", "not_cured", "acts", "not_cured", "acts", "not_cured"]):
        at = NOW + timedelta(minutes=minute)
        ledger.add(LedgerLine(at=at, event=event, action=action("bridge", minute // 2 + 1)))
    ledger.close()
    memory = remembered(*read_ledger(path), NOW + timedelta(minutes=10))
    assert "circuit open" in memory.why_not("bridge", NOW + timedelta(minutes=10))
    assert memory.why_not("safety", NOW + timedelta(minutes=10)) is None
    assert len(memory.acted_at) == 3
    assert remembered(*read_ledger(path), NOW + timedelta(hours=2)).acted_at == []


def test_an_action_that_was_begun_is_awaited_after_a_restart(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.add(LedgerLine(at=NOW, event="acts", action=action("hazelcast")))
    ledger.close()
    memory = remembered(*read_ledger(path), NOW)
    assert memory.pending == action("hazelcast")
    assert "one at a time" in memory.why_not("bridge", NOW)


def uncured(path, minutes, dry_run=False):
    ledger = Ledger(path)
    for n, minute in enumerate(minutes):
        at = NOW + timedelta(minutes=minute)
        for event, more in (("acts", 0), ("not_cured", 1)):
            at += timedelta(minutes=more)
            ledger.add(
                LedgerLine(at=at, event=event, action=action("bridge", n + 1), dry_run=dry_run)
            )
    ledger.close()
    return read_ledger(path)


def test_an_open_circuit_outlives_a_restart_hours_later(tmp_path):
    lines = uncured(tmp_path / "ledger.jsonl", [0, 2, 4, 36, 68, 100, 132])
    later = NOW + timedelta(minutes=140)
    assert "circuit open" in remembered(*lines, later).why_not("bridge", later)


def test_a_dry_run_is_no_deed(tmp_path):
    lines = uncured(tmp_path / "ledger.jsonl", [0, 2, 4], dry_run=True)
    later = NOW + timedelta(minutes=6)
    assert remembered(*lines, later).why_not("bridge", later) is None
    assert "circuit" in remembered(*lines, later, is_dry=True).why_not("bridge", later)


def test_a_clock_that_was_set_back_bars_no_longer_than_it_would_have(tmp_path):
    lines = uncured(tmp_path / "ledger.jsonl", [60 * 24])
    memory = remembered(*lines, NOW)
    assert "back-off" in memory.why_not("bridge", NOW)
    assert memory.why_not("bridge", NOW + timedelta(seconds=31)) is None
    live = Memory()
    live.acted(action("bridge"), NOW + timedelta(days=365))
    live.not_after(NOW)
    assert (live.pending_since, live.acted_at) == (NOW, [NOW])


def test_a_run_that_is_awaited_does_not_bar_the_control_plane():
    memory = Memory()
    launch = Action(kind=Kind.LAUNCH, sensor="m3_data_freshness", target="extf", attempt=1)
    memory.acted(launch, NOW)
    stale = [fault("m3_data_freshness", "esof"), PORT]
    found = plan(stale, world(), memory, NOW, None)
    assert found.action.target == "hazelcast"
    assert "one at a time" in found.held["m3_data_freshness/esof"]


def test_an_order_without_an_offset_cannot_be_read_and_stands(tmp_path):
    path = tmp_path / "maintenance.json"
    path.write_text(
        '{"until":"2026-01-01T00:30:00","reason":"r","who":"w","at":"2026-01-01T00:00:00"}'
    )
    assert "cannot be read" in maintenance(path, NOW)


def test_a_line_that_cannot_be_read_counts_as_an_action(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"at":"20' + b"\n{}\n" * BUDGET)
    memory = remembered(*read_ledger(path), NOW)
    assert "budget" in memory.why_not("bridge", NOW)
    uncured(path, [-600])
    assert remembered(*read_ledger(path), NOW).acted_at == [], "torn long ago"


def test_maintenance_has_a_reason_and_ends_by_itself(tmp_path):
    path = tmp_path / "health" / "maintenance.json"
    assert maintenance(path, NOW) is None
    until = NOW + timedelta(minutes=30)
    keep_maintenance(path, Maintenance(until=until, reason="new disk", who="op", at=NOW))
    assert maintenance(path, NOW) == "maintenance until 00:30:00 by op: new disk"
    assert maintenance(path, until) is None
    path.write_text("{")
    assert "cannot be read" in maintenance(path, NOW)
    keep_maintenance(path, None)
    assert maintenance(path, NOW) is None
