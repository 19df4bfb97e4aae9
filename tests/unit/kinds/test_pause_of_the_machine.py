"""Also seen: a watchdog counts a pause of the machine and kills everything when it wakes."""

import asyncio
from types import SimpleNamespace

import pytest

from dolphin_realtime.ops.runner import managed
from dolphin_realtime.ops.runner.managed import Managed


class Machine:
    """A clock that goes on with each sleep, and by ``pauses`` more where it stood still."""

    def __init__(self, pauses):
        self.now, self.pauses, self.slept = 0.0, list(pauses), 0

    async def sleep(self, seconds):
        pause = self.pauses.pop(0) if self.pauses else None
        if pause is None:
            raise asyncio.CancelledError
        self.now += seconds + pause
        self.slept += 1


def watched(monkeypatch, pauses, pings=()):
    """Return after how many looks a service is killed, None where it is not."""
    machine, killed = Machine(pauses), []
    service = object.__new__(Managed)
    service.spec = SimpleNamespace(start_timeout_s=1.0, watchdog_s=5.0, ready="notify")
    service.ready, service._last_ping, service.detail = asyncio.Event(), 0.0, ""
    service.ready.set()
    service._kill_group = lambda pid: killed.append(machine.slept)

    async def sleep(seconds):
        await machine.sleep(seconds)
        if machine.slept in pings:
            service._last_ping = machine.now

    monkeypatch.setattr(managed.time, "monotonic", lambda: machine.now)
    monkeypatch.setattr(managed.asyncio, "sleep", sleep)

    async def run():
        try:
            await service._watch(SimpleNamespace(pid=1))
        except asyncio.CancelledError:
            return

    with asyncio.Runner() as runner:
        runner.run(run())
    return killed[0] if killed else None


def test_a_service_that_is_silent_is_killed(monkeypatch):
    assert watched(monkeypatch, [0.0] * 10) == 6


@pytest.mark.parametrize("pause", [5.0, 60.0, 86_400.0])
def test_a_pause_of_the_machine_is_no_silence(monkeypatch, pause):
    pauses = [0.0, 0.0, pause, 0.0, 0.0, pause, 0.0]
    assert watched(monkeypatch, pauses, pings={1, 4, 7}) is None


def test_one_that_is_silent_after_a_pause_is_killed_all_the_same(monkeypatch):
    assert watched(monkeypatch, [0.0, 600.0, *[0.0] * 10]) == 7
