"""What is told of the posture, and by meta health of Dagster: each once, over restarts and full disks."""

import os
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.health.recovery import Fault
from dolphin_realtime.model.health.recovery_memory import Action, Kind
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.runtime.alert_log import LOOKED, note_look
from dolphin_realtime.services.meta_health.notifier import ServiceNotifier
from dolphin_realtime.services.meta_health.recovery_runner import RecoveryRunner
from dolphin_realtime.services.safety.notifier import PostureNotifier

NORMAL, REDUCED, CLOSE_ONLY, HALTED = Posture


class FakeContext:
    """A service context that keeps what is told; `is_full` is a disk that refuses."""

    def __init__(self, home):
        self.told, self.is_full = [], False
        self.settings = Settings(home=home)

    def alert(self, asset, check, state, facts, runbook):
        if not self.is_full:
            self.told.append((state, facts.get("posture") or asset))
        return not self.is_full

    def count_rejection(self, reason, **facts):
        self.told.append((reason, ""))


@pytest.fixture
def context(tmp_path):
    return FakeContext(tmp_path)


async def goes(context, *postures):
    notifier = PostureNotifier(context, context.settings.home / "told", "safety")
    for posture in postures:
        notifier.report(posture, ["why"])
        await notifier.close()
    return [(state, word) for state, word in context.told]


async def test_each_fall_is_told_and_the_way_back_once(context):
    found = await goes(context, NORMAL, CLOSE_ONLY, CLOSE_ONLY, REDUCED, NORMAL, NORMAL)
    assert found == [("red", "CLOSE_ONLY"), ("recovered", "NORMAL")]


async def test_a_second_halt_is_told(context):
    found = await goes(context, HALTED, REDUCED, HALTED)
    assert found == [("red", "HALTED"), ("red", "HALTED")]


async def test_a_restart_repeats_nothing_and_forgets_nothing(context):
    await goes(context, CLOSE_ONLY)
    await goes(context, CLOSE_ONLY)
    assert await goes(context, NORMAL) == [("red", "CLOSE_ONLY"), ("recovered", "NORMAL")]


async def test_what_a_full_disk_refused_is_told_later(context):
    notifier = PostureNotifier(context, context.settings.home / "told", "safety")
    context.is_full = True
    notifier.report(HALTED, [])
    await notifier.close()
    context.is_full = False
    notifier.report(HALTED, [])
    await notifier.close()
    assert context.told == [("red", "HALTED")]


def services(**states):
    return [SimpleNamespace(name=name, state=state) for name, state in states.items()]


def told(context, *turns):
    notifier = ServiceNotifier(context)
    for is_bad, is_well, found in turns:
        faults = [Fault(sensor="m1_proc", target="dagster-daemon")] if is_bad else []
        notifier.report(faults, SimpleNamespace(is_well=lambda _, w=is_well: w), found, 0.0)
    return context.told


RUNS = services(**{"dagster-daemon": "running"})
STARTS = services(**{"dagster-daemon": "starting"})


def test_dagsters_daemon_is_told_once_each_way_and_not_while_it_starts(context):
    bad, starting, well = (True, False, STARTS), (False, True, STARTS), (False, True, RUNS)
    assert told(context, bad, bad, starting, well, well) == [
        ("red", "dagster-daemon"),
        ("recovered", "dagster-daemon"),
    ]


def test_a_manager_that_is_silent_makes_nothing_well(context):
    assert told(context, (True, False, RUNS), (False, True, None)) == [("red", "dagster-daemon")]


def test_a_service_that_is_gone_for_good_is_no_longer_red(context):
    found = told(context, (True, False, RUNS), (False, False, services(bridge="running")))
    assert found[-1] == ("recovered", "dagster-daemon")


def test_a_daemon_that_runs_and_looks_at_nothing_is_told_once_each_way(context):
    notifier, is_well = ServiceNotifier(context), SimpleNamespace(is_well=lambda _: True)
    path = context.settings.home / LOOKED

    def turn(now_s, found=RUNS):
        notifier.report([], is_well, found, now_s)
        return [state for state, _ in context.told]

    note_look(context.settings.home)
    assert turn(0.0) == turn(110.0) == []
    os.utime(path, ns=(1, 1))  # a clock that was set back is no silence
    assert turn(120.0) == turn(230.0) == []
    assert turn(250.0, STARTS) == turn(260.0) == turn(370.0) == []
    assert turn(381.0) == turn(500.0) == ["red"]
    note_look(context.settings.home)
    assert turn(505.0) == ["red", "recovered"]


def test_a_daemon_that_never_looked_is_told(context):
    notifier, is_well = ServiceNotifier(context), SimpleNamespace(is_well=lambda _: True)
    for now_s in (0.0, 121.0):
        notifier.report([], is_well, RUNS, now_s)
    assert context.told == [("red", "dagster-daemon")]


def test_a_stack_without_dagster_is_not_watched(context):
    notifier, is_well = ServiceNotifier(context), SimpleNamespace(is_well=lambda _: True)
    for now_s in (0.0, 500.0):
        notifier.report([], is_well, services(bridge="running"), now_s)
    assert context.told == []


def test_a_circuit_that_opens_is_told_and_its_cure_once(tmp_path):
    """Three actions without a cure, each through the recovery_runner's own ledger, then one that cures."""
    context = FakeContext(tmp_path)
    context.log = SimpleNamespace(error=lambda *_, **__: None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    recovery_runner = RecoveryRunner(context, SimpleNamespace(name="local"), now)
    for attempt in range(1, 5):
        action = Action(kind=Kind.RESTART, sensor="m1_proc", target="bridge", attempt=attempt)
        recovery_runner.memory.acted(action, now)
        recovery_runner._end(action, now, is_cured=attempt == 4)
    recovery_runner._ledger.close()
    assert [state for state, _ in context.told] == ["red", "recovered"]
