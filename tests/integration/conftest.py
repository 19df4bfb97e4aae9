"""Real stacks for integration tests: a real member, real services, real files."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hazelcast.errors import HazelcastError

from dolphin_realtime.bench.market import first_scan
from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.grid import connection, maps, wire
from dolphin_realtime.grid.cluster import cluster_here
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.files import write_scan
from tests.journals import rows

LOWERED = {"target_band": 0.02, "signal_s_in": 0.8, "signal_s_out": 0.3}
"""Thresholds under which the sample trades several times a minute of market time."""
FAST = {
    "market_clock": "replay",
    "safety_cool_down_s": 1,
    "mhs_sources": "scan,safety,state",
    "warm_up_days": 1,
    "restart_pause_s": 0.2,
    "start_limit_burst": 50,
}


COMMAND_S = 0.4
"""Between two looks by a command, which is a process of its own."""


def eventually(
    is_so: Callable[[], object],
    timeout_s: float = 30.0,
    what="the condition",
    every_s: float = 0.05,
):
    """Return what ``is_so`` returns once it is true; fail when it is not in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = is_so()
        if found:
            return found
        if time.monotonic() > deadline:
            said = what() if callable(what) else what
            raise AssertionError(f"{said} was not met within {timeout_s:.0f} s")
        time.sleep(every_s)


class Desk:
    """A stack with a hand on its scan folder: writes scans and reads what came of them."""

    def __init__(self, stack: Stack, market: Market, first_us: int) -> None:
        self.stack, self.scan_dir = stack, stack.home / "scans"
        self._rows = iter(market.rows_of(first_us, 2**62))
        self._market, self.first_us = market, first_us
        self.number = 0
        self._client = None

    def next_scan(self) -> Scan:
        scan = next(iter(self._market.scans_at(next(self._rows))))
        self.number += 1
        return msgspec.structs.replace(scan, scan_number=self.number)

    def feed(self, n: int, wait: bool = True) -> Scan:
        """Write the next scans, each after the journal holds the one before."""
        for _ in range(n):
            scan = self.next_scan()
            write_scan(self.scan_dir, scan)
            if wait:
                self.wait_journalled(scan)
        return scan

    def wait_journalled(self, scan: Scan, timeout_s: float = 30.0) -> None:
        eventually(
            lambda: self.query("SELECT 1 FROM equity WHERE timestamp_us = ?", scan.timestamp_us),
            timeout_s,
            f"scan {scan.scan_number} in the journal",
        )

    def query(self, text: str, *values: object) -> list[tuple]:
        return rows(self.stack.home / "journal" / "BLUE", text, *values)

    @property
    def client(self):
        if self._client is None:
            self._client = connection.connect_blocking(
                cluster_here("dolphin", self.stack.port), "test", 20.0
            )
        return self._client

    def document(self, map_name: str, key: str) -> dict | None:
        """Return a document of the grid, None where it is absent or the grid is away."""
        try:
            return wire.decode(self.client.get_map(map_name).blocking().get(key))
        except HazelcastError:
            return None

    def posture(self) -> str | None:
        document = self.document(maps.SAFETY, maps.LATEST)
        return document["posture"] if document else None

    def wait_trading(self) -> None:
        """Feed until the posture is NORMAL."""

        def is_normal() -> bool:
            if self.posture() == "NORMAL":
                return True
            self.feed(1)
            return False

        eventually(is_normal, 60.0, "posture NORMAL")

    def bridge_beat(self) -> dict:
        return self.document(maps.HEARTBEAT, "bridge") or {}

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dolphin_realtime.cli", *words]
        return subprocess.run(
            command, env=self.stack.env, capture_output=True, text=True, timeout=60, check=False
        )

    def check_journal(self) -> None:
        done = self.cli("journal", "check", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["ok"]

    def close(self) -> None:
        if self._client is not None:
            self._client.shutdown()


def sample_market() -> tuple[Market, int]:
    """Return the shipped sample and where its last day begins."""
    market = Market(load_prices(), ReplayParams())
    return market, first_scan(market).timestamp_us // DAY_US * DAY_US + 3 * DAY_US


def make_desk(home: Path, **settings: object) -> Desk:
    """Return a desk over a stack that is not started, its archive ready."""
    market, first_us = sample_market()
    archive_days(market, home / "archive", first_us - DAY_US, first_us)
    stack = Stack(home, "--no-dagster", **{**FAST, **LOWERED, **settings})
    return Desk(stack, market, first_us)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A running stack shared by the tests of a module, trading."""
    desk = make_desk(tmp_path_factory.mktemp("stack") / "home")
    with desk.stack:
        desk.wait_trading()
        yield desk
        desk.close()


def processes_of(home: Path) -> list[int]:
    """Return every process whose environment names this DOLPHIN_HOME."""
    wanted = f"DOLPHIN_HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def state_of(desk, name):
    """Return an instance's STATE document."""
    return desk.document(maps.state_map(name), maps.LATEST_STATE)


def print_table(capsys, head, lines):
    """Print rows of a table past pytest's capture."""
    with capsys.disabled():
        print()
        for line in (head, *lines):
            print(" | ".join(map(str, line)))
