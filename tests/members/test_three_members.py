"""Three members on three machines under kills and splits: what each trader did, and what it missed.

The stack with BLUE and the bridge is on machine 1, GREEN beside a member on machine 2, a member alone on
machine 3. MEMBER_KILLS and MEMBER_SPLITS set how many of each.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.grid import connection, maps
from dolphin_realtime.grid.cluster import Cluster
from dolphin_realtime.infra.process import die_with_parent
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.files import write_scan
from tests.integration.conftest import FAST, LOWERED, Desk, eventually, print_table, sample_market
from tests.journals import rows
from tests.members.network import PORT, Network

KILLS, SPLITS = int(os.environ.get("MEMBER_KILLS", "3")), int(os.environ.get("MEMBER_SPLITS", "3"))
EVERY_S = 0.25
HOME = {1: "BLUE", 2: "GREEN"}
pytestmark = pytest.mark.timeout(300 + 40 * (KILLS + SPLITS))


class Program:
    """A process on a machine that is started again when it ends, as its manager would."""

    def __init__(self, network, machine, home, env, *words):
        self.home = home
        self._command = [
            *network.within(machine),
            sys.executable,
            "-m",
            "dolphin_realtime.cli",
            *words,
        ]
        self._env, self._is_wanted = env, True
        home.mkdir(parents=True, exist_ok=True)
        self._log = (home / f"{words[1]}.log").open("ab")
        self._process = None
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self):
        while self._is_wanted:
            self._process = subprocess.Popen(
                self._command, env=self._env, stdin=subprocess.DEVNULL, stdout=self._log,
                stderr=self._log, preexec_fn=die_with_parent,
            )  # fmt: skip
            self._process.wait()
            time.sleep(0.5)

    def stop(self):
        self._is_wanted = False
        self._process.terminate()
        self._thread.join(40)
        self._log.close()


class Cell:
    """The three machines, the stack on them, and a hand that writes scans."""

    def __init__(self, network, root):
        self.network, self.root = network, root
        self.addresses = tuple(f"{network.address(m)}:{PORT}" for m in network.machines)
        market, first_us = sample_market()
        self.homes = {m: root / f"home{m}" for m in network.machines}
        archive_days(market, self.homes[1] / "archive", first_us - 86_400_000_000, first_us)
        self.stack = Stack(self.homes[1], "--no-dagster", **self._settings(1))
        self.stack.within = network.within(1)
        self.desk = Desk(self.stack, market, first_us)
        self.client, self.fed, self.programs = None, [], []

    def _settings(self, machine):
        return {
            **FAST, **LOWERED, "instances": "BLUE,GREEN", "firewall": "off",
            "hazelcast_port": PORT, "grid_members": ",".join(self.addresses),
            "grid_bind": self.network.address(machine),
        }  # fmt: skip

    def _environment(self, machine):
        given = {f"DOLPHIN_{k.upper()}": str(v) for k, v in self._settings(machine).items()}
        return {**self.stack.env, **given, "DOLPHIN_HOME": str(self.homes[machine])}

    def start(self):
        self.homes[2].mkdir()
        (self.homes[2] / "archive").symlink_to(self.homes[1] / "archive")
        for machine in (2, 3):
            words = ("service", "hazelcast")
            env = self._environment(machine)
            self.programs.append(Program(self.network, machine, self.homes[machine], env, *words))
        self.stack.start()
        self.stack.request(do="stop", name="trader@GREEN")  # it runs on machine 2
        self.client = connection.connect_blocking(Cluster("dolphin", self.addresses), "test", 60.0)
        eventually(lambda: self.n_members() == 3, 60, "three members")
        words, env = ("service", "trader", "GREEN"), self._environment(2)
        self.programs.append(Program(self.network, 2, self.homes[2], env, *words))

    def stop(self):
        if self.client is not None:
            self.client.shutdown()
        for program in reversed(self.programs):
            program.stop()
        self.stack.stop()

    def n_members(self):
        return len(self.client.cluster_service.get_members())

    def jvm(self, machine):
        """Return the process of a machine's member, None while there is none."""
        config = f"-Dhazelcast.config={self.homes[machine] / 'run' / 'hazelcast.yaml'}".encode()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if config in entry.read_bytes():
                    return int(entry.parent.name)
        return None

    def query(self, machine, text):
        return rows(self.homes[machine] / "journal" / HOME[machine], text)

    def handled(self, machine):
        return {n for (n,) in self.query(machine, "SELECT scan_number FROM equity")}

    def feed_one(self):
        scan = self.desk.next_scan()
        write_scan(self.desk.scan_dir, scan)
        self.fed.append(scan.scan_number)

    @contextmanager
    def feeding(self):
        """Write a scan every EVERY_S meanwhile."""
        ended = threading.Event()

        def feed():
            while not ended.wait(EVERY_S):
                self.feed_one()

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def all_handle(self, timeout_s=60):
        """Return once both traders have handled the newest scan."""
        for machine in HOME:
            newest = self.fed[-1]
            eventually(lambda m=machine, n=newest: max(self.handled(m), default=0) >= n, timeout_s,
                       f"scan {newest} at {HOME[machine]}")  # fmt: skip

    def blocks(self, machine, since):
        text = f"SELECT entry_block, is_acted_on FROM equity WHERE scan_number > {since}"
        rows = self.query(machine, text)
        acted = sum(1 for block, is_acted in rows if is_acted and block is None)
        divided = sum(1 for block, _ in rows if block == "GRID_DIVIDED")
        followed = sum(1 for _, is_acted in rows if not is_acted)
        return acted, divided, followed


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    with Network(3) as network:
        cell = Cell(network, tmp_path_factory.mktemp("cell"))
        try:
            cell.start()
            with cell.feeding():
                eventually(lambda: len(cell.handled(1)) > 5 and len(cell.handled(2)) > 5, 90,
                           lambda: (cell.homes[2] / "trader.log").read_text()[-1500:])  # fmt: skip
                eventually(lambda: any(cell.blocks(m, 0)[0] for m in HOME), 60, "a scan acted on")
            yield cell
        finally:
            cell.stop()


def one_event(cell, chance, kind):
    """Kill a member or cut a machine off while scans come; return a row of the table."""
    since = cell.fed[-1]
    victim = chance.choice(cell.network.machines)
    with cell.feeding():
        time.sleep(chance.uniform(0.0, 1.0))
        if kind == "kill":
            os.kill(cell.jvm(victim), signal.SIGKILL)
            eventually(lambda: cell.n_members() < 3, 30, "the member's end is seen")
        else:
            cell.network.cut(victim)
            time.sleep(chance.uniform(8.0, 12.0))
            cell.network.heal(victim)
        eventually(
            lambda: is_whole(cell), 120, lambda: f"{kind} {victim}: {cell.n_members()} members"
        )
        time.sleep(1.0)
    cell.feed_one()
    cell.all_handle()
    row = [kind, f"machine {victim}", len([n for n in cell.fed if n > since])]
    for machine in HOME:
        acted, divided, followed = cell.blocks(machine, since)
        lost = sorted({n for n in cell.fed if n > since} - cell.handled(machine))
        row += [acted, divided, followed, lost]
    return row


def is_whole(cell):
    """Return whether every member's JVM runs and each of them sees three."""
    if cell.n_members() < 3 or any(cell.jvm(m) is None for m in cell.network.machines):
        return False
    try:
        for address in cell.addresses:
            client = connection.connect_blocking(Cluster("dolphin", (address,)), "look", 2.0)
            seen = len(client.cluster_service.get_members())
            client.shutdown()
            if seen < 3:
                return False
    except GridError:
        return False
    return True


def test_kills_and_splits_lose_no_newest_scan_and_nothing_is_acted_on_twice(cell, capsys):
    chance = random.Random(22)
    kinds = ["kill"] * KILLS + ["split"] * SPLITS
    chance.shuffle(kinds)
    rows = [one_event(cell, chance, kind) for kind in kinds]
    head = ("event", "at", "scans", *(f"{name}: {what}" for name in HOME.values()
            for what in ("acted on", "blocked: divided", "caught up", "never seen")))  # fmt: skip
    print_table(capsys, head, rows)
    for machine in HOME:
        twice = "SELECT timestamp_us FROM {} GROUP BY {} HAVING count(*) > 1"
        assert cell.query(machine, twice.format("equity", "timestamp_us")) == []
        assert cell.query(machine, twice.format("orders", "timestamp_us, asset, leg")) == []
        assert cell.query(machine, "SELECT 1 FROM orders LIMIT 1"), f"{HOME[machine]} trades"
    lost = {tuple(row[:2]): (row[6], row[10]) for row in rows if row[6] or row[10]}
    assert not lost, lost


def test_the_scan_ring_has_a_copy_on_another_member(cell):
    text = (cell.homes[1] / "run" / "hazelcast.yaml").read_text()
    assert text.count("backup-count: 1") == 2
    ring = cell.client.get_ringbuffer(maps.SCAN_RING).blocking()
    before = ring.tail_sequence()
    os.kill(cell.jvm(2), signal.SIGKILL)
    eventually(lambda: cell.n_members() == 2, 30, "two members")
    assert ring.tail_sequence() >= before
    eventually(lambda: is_whole(cell), 120, "three members again")


def test_a_trader_alone_with_its_member_opens_nothing(cell):
    since = cell.fed[-1]
    cell.network.cut(1)
    try:
        with cell.feeding():
            eventually(lambda: cell.blocks(1, since)[1] > 3, 60, lambda: str(cell.blocks(1, since)))
            divided = "SELECT max(scan_number) FROM equity WHERE entry_block = 'GRID_DIVIDED'"
            ((last,),) = cell.query(1, divided)
        opened = cell.query(1, f"""SELECT o.asset FROM orders o JOIN equity e USING (timestamp_us)
            WHERE e.entry_block = 'GRID_DIVIDED' AND NOT o.reduce_only AND e.scan_number <= {last}""")  # fmt: skip
        assert opened == []
    finally:
        cell.network.heal(1)
    with cell.feeding():
        eventually(lambda: is_whole(cell), 120, "three members again")
        mended = cell.fed[-1]
        eventually(lambda: cell.blocks(1, mended)[0] > 0, 60, "BLUE acts again")
        eventually(lambda: cell.blocks(2, mended)[0] > 0, 60, "GREEN acts again")
