"""Faults of the observer itself: nothing is repaired, and a person is told."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from dolphin_realtime.runtime.alert_log import read_alerts
from dolphin_realtime.runtime.service_context import ServiceContext, connect_or_refuse
from dolphin_realtime.services.meta_health.clock import Clock
from dolphin_realtime.services.meta_health.service import MetaHealth
from tests.integration.conftest import eventually
from tests.recovery import cut_off

pytestmark = pytest.mark.timeout(240)
AWAY_S = 8.0
"""Less than the watchdog's time here, more than what counts as a sleep."""


class SteppedClock(Clock):
    """A wall clock that somebody sets."""

    step = timedelta(0)

    def wall(self):
        return super().wall() + self.step


async def turns(health, n):
    for _ in range(n):
        await health.turn()
        await health._clock.pause(health._context.stopping, 0.1)


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_steps_by_an_hour_repairs_nothing(host, hours):
    host.command("stop", "meta-health")
    pids, clock = host.pids(), SteppedClock()
    before = len(read_alerts(host.desk.stack.home))
    client = await connect_or_refuse(host.settings, "observer-test")
    context = ServiceContext("meta-health", host.settings, client)
    health = MetaHealth(context, clock=clock)
    try:
        await health._probes.start()
        health._health = await client.get_map("observer-test")
        health._path.parent.mkdir(parents=True, exist_ok=True)
        await turns(health, 5)
        assert health._observer.suspicion is None
        clock.step = timedelta(hours=hours)
        await turns(health, 40)
        assert "leapt" in health._observer.suspicion
        assert health.evaluator.faults(), "everything looks old: there was something to resist"
    finally:
        await health.recovery_runner.close()
        await client.shutdown()
    assert host.ledger() == []
    assert host.pids() == pids
    told = read_alerts(host.desk.stack.home)[before:]
    told = [alert for alert in told if alert.asset == "meta_health"]
    assert [(a.check, a.state) for a in told] == [("observer", "red")]


def test_a_meta_health_that_was_stopped_for_long_repairs_nothing(host):
    pids, pid = host.pids(), host.pid("meta-health")
    os.kill(pid, signal.SIGSTOP)
    time.sleep(AWAY_S)
    os.kill(pid, signal.SIGCONT)
    host.turns(12)
    assert host.pids() == pids, "shorter than the watchdog's time: it is the same process"
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: host.pid("meta-health") not in (0, pid), 60, "the watchdog")
    host.turns(12)
    assert host.ledger() == []
    assert {**host.pids(), "meta-health": 0} == {**pids, "meta-health": 0}


class Door:
    """A unix socket that leads to Hazelcast's port until it is shut."""

    def __init__(self, path: str, port: int) -> None:
        self._port, self._open = port, []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        threading.Thread(
            target=cut_off.forward, args=(self._listening, self._connect), daemon=True
        ).start()

    def _connect(self):
        s = socket.create_connection(("127.0.0.1", self._port))
        self._open.append(s)
        return s

    def shut(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for s in self._open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def test_hazelcast_out_of_meta_healths_reach_only_is_not_restarted(host):
    host.command("stop", "meta-health")
    pids = host.pids()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "door")
        door = Door(path, host.desk.stack.port)
        service = [sys.executable, "-m", "dolphin_realtime.cli", "service", "meta-health"]
        wrapped = [sys.executable, cut_off.__file__, str(host.desk.stack.port), path, *service]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                ["unshare", "-n", *wrapped], env=host.desk.stack.env, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            host.turns(4)
            door.shut()
            document = host.settings.run_logs / "meta_health.json"
            eventually(lambda: b"does not" in document.read_bytes(), 60, document.read_text)
            eventually(lambda: b'"status":"DEAD"' in document.read_bytes(), 60, document.read_text)
            before = document.read_bytes()
            eventually(lambda: document.read_bytes() != before, 30, "a turn")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert host.ledger() == []
    assert host.pids() == pids
