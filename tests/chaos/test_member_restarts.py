"""Hazelcast killed again and again under replay: no newest scan is missed or doubled.

``CHAOS_MEMBER_KILLS`` says how often: 2 in CI, 10 in ``make chaos``. How long after the
member's readiness the newest scan is acted on is printed, not asserted.
"""

import os
import signal
import threading
import time

import pytest

from dolphin_realtime.grid import maps
from dolphin_realtime.grid.member.member import is_ready
from dolphin_realtime.scans.files import write_scan
from tests.integration.conftest import eventually, make_desk

ACTED_ON = "SELECT is_acted_on FROM equity WHERE timestamp_us = ?"
KILLS = int(os.environ.get("CHAOS_MEMBER_KILLS", "2"))


def ready_at(port, deadline_s=90.0):
    """Return the monotonic instant at which the member answers as ready."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        if is_ready(port, 0.2):
            return time.monotonic()
        time.sleep(0.02)
    raise AssertionError("the member did not come back")


@pytest.mark.timeout(120 + 60 * KILLS)
def test_a_member_killed_again_and_again_loses_no_newest_scan(tmp_path, capsys):
    desk = make_desk(
        tmp_path / "home", safety_cool_down_s=0, stale_cadence_min_s=600, start_limit_burst=1000
    )
    took = []
    with desk.stack:
        desk.wait_trading()
        desk.feed(5)
        trader = desk.stack.service("trader@BLUE").pid
        for _ in range(KILLS):
            jvm = eventually(lambda: desk.document(maps.HEARTBEAT, "hazelcast"), 60.0)["pid"]
            os.kill(int(jvm), signal.SIGKILL)
            eventually(lambda: not is_ready(desk.stack.port, 0.2), 20.0)
            newest = [desk.next_scan() for _ in range(3)]
            for scan in newest:
                write_scan(desk.scan_dir, scan)
            found = {}
            watcher = threading.Thread(
                target=lambda f=found: f.update(at=ready_at(desk.stack.port))
            )
            watcher.start()
            rows = eventually(lambda s=newest[-1]: desk.query(ACTED_ON, s.timestamp_us), 90.0)
            journalled = time.monotonic()
            watcher.join()
            took.append(journalled - found["at"])
            assert rows == [(1,)]
            eventually(lambda: desk.posture() == "NORMAL", 60.0, "posture NORMAL")
            desk.feed(2)
        assert desk.stack.service("trader@BLUE").pid == trader
        handled = desk.query("SELECT count(*), count(DISTINCT timestamp_us) FROM equity")[0]
        assert handled[0] == handled[1] == desk.number
        desk.check_journal()
        desk.close()
    with capsys.disabled():
        print(f"\nreadiness to newest scan journalled, s: {sorted(round(t, 2) for t in took)}")
