"""The specification's four scenarios, each by name, against real processes."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dolphin_realtime.bench.runs import ask_at_once
from dolphin_realtime.bench.stack import Stack, wait_for
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.services.meta_health.files import history_path, read_history
from tests.integration.conftest import eventually
from tests.recovery import contract
from tests.recovery.conftest import host_of

pytestmark = pytest.mark.timeout(300)
HOUR_TURNS = 720


@pytest.mark.parametrize(
    ("service", "number"),
    [
        ("bridge", signal.SIGKILL),
        ("safety", signal.SIGKILL),
        ("trader@BLUE", signal.SIGKILL),
        ("trader@BLUE", signal.SIGABRT),
    ],
)
def test_scenario_1_process_death(host, service, number):
    contract.killed_it_comes_back(host, service, "hazelcast", number)
    assert host.restarts(service) == 1


def test_scenario_1_process_death_of_meta_health_itself(host):
    contract.killed_it_comes_back(host, "meta-health", bystander="trader@BLUE")
    eventually(lambda: host.health().get("status") == "GREEN", 60, host.health)


def test_scenario_1_process_death_again_and_again(host):
    contract.at_its_limit_it_is_started_again_and_verified(host, "bridge")


class Producers:
    """What lies outside the scan's path: books and factors that go on being made."""

    def __init__(self, desk) -> None:
        self._features = desk.client.get_map(maps.FEATURES).blocking()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._make, daemon=True)

    def _make(self) -> None:
        while True:
            text = wire.encode({"_pushed_at": datetime.now(UTC)})
            for key in (maps.LATEST_BOOKS, maps.LATEST_FACTORS, maps.LATEST_CALENDAR):
                self._features.set(key, text)
            if self._ending.wait(1.0):
                return

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(10)


def test_scenario_2_data_staleness(tmp_path, capsys):
    """A dead scan for an hour's 720 turns: DEGRADED, entries stopped, nothing restarted."""
    sources = "scan=4/8,obf,extf,esof,safety,state"
    host = host_of(
        tmp_path / "home", mhs_sources=sources, mhs_turn_s=0.05, safety_limit_scan_stale_min_s=4
    )
    with host.desk.stack, host, Producers(host.desk):
        host.trades_on()
        eventually(lambda: host.health().get("status") == "GREEN", 60, host.health)
        host.starve()
        eventually(lambda: host.health().get("rm_meta") == 0.625, 60, host.health)
        host.command("restart", "meta-health")  # its hour begins with the scan dead
        pids = host.pids()
        sent = host.desk.query("SELECT count(*) FROM orders")
        path = history_path(host.settings)

        def whole_hour():
            hours = [x for x in read_history(path)[0] if x.kind == "hour"]
            return next((x for x in hours if x.statuses == {"DEGRADED": HOUR_TURNS}), None)

        hour = eventually(whole_hour, 240, lambda: read_history(path)[0][-3:])
        assert hour.actions == 0
        assert host.ledger() == []
        assert host.pids() == pids
        assert all(s.restarts == 0 for s in host.desk.stack.services())
        assert host.desk.posture() == "CLOSE_ONLY"
        assert host.desk.query("SELECT count(*) FROM orders") == sent
        assert host.health()["status"] == "DEGRADED"
        with capsys.disabled():
            print(f"\n{hour.statuses} in one hour line, turns {hour.turn_ms} ms, 0 actions")
        host.feed()
        host.trades_on()


def documents(host) -> dict[str, bool]:
    """Return which documents of the realtime services the grid holds."""
    wanted = {
        "scan": (maps.FEATURES, maps.LATEST_SCAN),
        "safety": (maps.SAFETY, maps.LATEST),
        "state": (maps.state_map("BLUE"), maps.LATEST_STATE),
        "health": (maps.META_HEALTH, maps.LATEST),
        **{f"beat {n}": (maps.HEARTBEAT, n) for n in ("bridge", "safety", "trader@BLUE")},
    }
    return {name: host.desk.document(*where) is not None for name, where in wanted.items()}


def jvm(host) -> int:
    return int(host.desk.document(maps.HEARTBEAT, "hazelcast")["pid"])


def refilled(host) -> None:
    eventually(lambda: all(documents(host).values()), 90, lambda: documents(host))
    host.trades_on()
    eventually(lambda: host.health().get("status") == "GREEN", 60, host.health)


def test_scenario_3_control_plane_failure_by_a_kill(host):
    """Hazelcast killed: its manager restarts it once, meta health never."""
    trader, pid = host.pid("trader@BLUE"), host.pid("hazelcast")
    os.kill(jvm(host), signal.SIGKILL)
    contract.comes_back(host, "hazelcast", pid)
    refilled(host)
    assert host.restarts("hazelcast") == 1
    assert host.ledger() == []
    assert host.pid("trader@BLUE") == trader


def test_scenario_3_control_plane_failure_by_a_hang(host, capsys):
    """Hazelcast stopped by a signal: meta health restarts it, exactly once."""
    trader, pid, stopped = host.pid("trader@BLUE"), host.pid("hazelcast"), jvm(host)
    os.kill(stopped, signal.SIGSTOP)
    contract.comes_back(host, "hazelcast", pid, timeout_s=120)
    refilled(host)
    eventually(lambda: host.events("hazelcast") == ["acts", "cured"], 60, host.ledger)
    assert {line.action.target for line in host.ledger()} == {"hazelcast"}
    assert host.pid("trader@BLUE") == trader
    assert not Path(f"/proc/{stopped}").exists()
    shown = host.desk.cli("health", "history").stdout
    assert re.search(r"acts +restart hazelcast, attempt \d: .*m4_control_plane/hazelcast", shown)
    with capsys.disabled():
        print("\n" + "\n".join(x for x in shown.splitlines() if "restart hazelcast" in x))


ROUNDS = 5
"""Of thirteen indicators: 65 runs requested at once."""
ALL_RUNS = 4
"""Runs of all queues that dagster.yaml allows at once."""
PROCESSES_MAX = 30
"""Of a demo stack with all its services and as many runs as the pools let in."""


def test_scenario_4_the_sixty_process_deadlock(tmp_path, capsys):
    """Sixty runs at once: the pool's limit runs, processes are bounded, the box answers.

    CI looks until three are over; PROVE_RUNS waits for all.
    """
    is_proof = bool(os.environ.get("PROVE_RUNS"))
    with Stack(tmp_path / "home", "--demo") as stack:
        wait_for(lambda: bool(dagster_api.check_states(stack.ui_port)), 120.0, "the first checks")
        trader = stack.service("trader@BLUE").pid
        report = ask_at_once(stack, ROUNDS, enough=None if is_proof else 3)
        asked_at = time.monotonic()
        command = [sys.executable, "-m", "dolphin_realtime.cli", "status", "--json"]
        done = subprocess.run(
            command, env=stack.env, capture_output=True, text=True, check=False, timeout=60
        )
        answered_s = time.monotonic() - asked_at
        assert done.returncode == 0, done.stdout + done.stderr
        assert stack.service("trader@BLUE").pid == trader
        assert report.asked >= 60
        assert report.at_once == 1, report
        assert report.workers <= ALL_RUNS + 1, "a worker outlives its run by a moment"
        assert report.processes <= PROCESSES_MAX, report
        assert not report.unhealthy
        assert not is_proof or report.is_good, report
        with capsys.disabled():
            print(f"\n{report}\ndolphin status answered after {answered_s:.1f} s")
