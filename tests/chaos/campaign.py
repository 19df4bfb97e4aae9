"""One cell of the kill campaign: a day in a world, its processes killed, and the same day undisturbed.

What a trader is allowed comes by the wall clock (posture, blocks): the journal holds it as an
input, so the undisturbed run is given the same, and what differs then has been lost or doubled.
"""

import os
import random
import signal
import subprocess
import sys
import time

from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.grid import maps
from dolphin_realtime.grid.member.member import is_ready
from dolphin_realtime.journal.check import check
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.replay.worlds.events import ClockStep, World
from dolphin_realtime.replay.worlds.library import WORLDS
from dolphin_realtime.scans.files import write_scan
from tests.chaos.test_kills import CALM, ENDS, FILLS, ORDERS
from tests.integration.conftest import FAST, LOWERED, Desk, eventually, sample_market
from tests.journals import rows

EQUITY = "SELECT timestamp_us, cash, realised, unrealised, fees, funding, equity FROM equity ORDER BY rowid"
LISTS = {"orders": ORDERS, "fills": FILLS, "ends": ENDS, "equity": EQUITY}
SHARES = {"trader": 60, "bridge": 22, "safety": 12, "hazelcast": 6}
"""Of a hundred kills."""
SETTINGS = {
    **CALM,
    "safety_limit_drawdown_reduced_share": 0.005,
    "safety_limit_drawdown_close_only_share": 0.5,
    "safety_limit_drawdown_halted_share": 0.6,
    "safety_limit_daily_loss_share": 0.5,
    "limit_max_daily_loss_share": 0.5,
}
"""The strategy's own drawdown lowers the posture early; nothing but a person would raise HALTED."""


def events_of(world):
    """Return a world's events but those that the bridge refuses: each scan told is awaited."""
    events = WORLDS[world].events() if world else []
    return [e for e in events if not isinstance(e, ClockStep)]


class Cell:
    """A day of the sample (1 to 3) in a world, over a stack of its own."""

    def __init__(self, home, day, world, seed):
        market, last_us = sample_market()
        first_us = last_us - (3 - day) * DAY_US
        archive_days(market, home / "archive", first_us - DAY_US, first_us)
        settings = {**FAST, **LOWERED, **SETTINGS, "warm_up_days": 1}
        self.desk = Desk(Stack(home, "--no-dagster", **settings), market, first_us)
        self.home, self.rng = home, random.Random(seed)
        self.world, self.n = World(events_of(world), f"world {world or 'calm'}"), 0
        self.kills = dict.fromkeys(SHARES, 0)

    def tell(self):
        """Write the next scan, if one comes; return it."""
        scan = self.desk.next_scan()
        told = self.world.feed(self.n, self.world.market(self.n, scan))
        self.n += 1
        if told is not None:
            self.desk.number = told.scan_number
            write_scan(self.desk.scan_dir, told)
        else:
            self.desk.number -= 1
        return told

    def kill(self, who):
        """Kill a process at a random instant of the next moments, and wait until it is back."""
        time.sleep(self.rng.uniform(0.0, 0.04))
        name = "trader@BLUE" if who == "trader" else who
        before = self.desk.stack.service(name)
        pid = before.pid
        if who == "hazelcast":
            beat = eventually(lambda: self.desk.document(maps.HEARTBEAT, "hazelcast"), 60.0)
            pid = int(beat["pid"])
        os.kill(pid, signal.SIGKILL)
        self.kills[who] += 1
        if who == "hazelcast":
            eventually(lambda: not is_ready(self.desk.stack.port, 0.2), 20.0, "the member gone")
            eventually(lambda: is_ready(self.desk.stack.port, 0.2), 90.0, "the member back")
            return

        def is_back():
            now = self.desk.stack.service(name)
            return now.restarts == before.restarts + 1 and now.state == "running"

        eventually(is_back, 60.0, f"{name} back")

    def live(self, n_scans, n_kills):
        """Go through a day with so many kills at random scans."""
        who = self.rng.choices(list(SHARES), list(SHARES.values()), k=n_kills)
        at = sorted(self.rng.sample(range(3, n_scans), n_kills))
        due = dict(zip(at, who, strict=True))
        with self.desk.stack:
            eventually(lambda: self.desk.posture() is not None)
            self.desk.wait_journalled(self.tell())
            eventually(lambda: self.desk.posture() == "NORMAL", 60.0, "posture NORMAL")
            for n in range(1, n_scans):
                told = self.tell()
                if n in due:
                    self.kill(due[n])
                if told is not None:
                    self.desk.wait_journalled(told, 120.0)
            found = {name: self.desk.query(query) for name, query in LISTS.items()}
            postures = dict(
                self.desk.query("SELECT posture, count(*) FROM equity GROUP BY posture")
            )
            handled = self.desk.query("SELECT count(*), count(DISTINCT timestamp_us) FROM equity")[
                0
            ]
            self.desk.close()
        result = check(self.home / "journal" / "BLUE")
        assert result.ok, result.first_break
        assert handled[0] == handled[1]
        return found, postures

    def undisturbed(self):
        """Trade the same scans in one process that nobody kills, under the journalled inputs.

        Its name begins as BLUE does: so do the ids of its orders, and the faults of the venue are theirs.
        """
        env = {**self.desk.stack.env, "DOLPHIN_INSTANCES": "BLUE,BALM"}
        command = [sys.executable, "-m", "dolphin_realtime.cli", "service", "trader", "BALM"]
        command += ["--scans", str(self.desk.scan_dir)]
        command += ["--inputs", str(self.home / "journal" / "BLUE")]
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stderr
        return {name: rows(self.home / "journal" / "BALM", query) for name, query in LISTS.items()}
