"""A full disk under the journal: trading stops with a reason, exits go on, nothing is corrupt."""

import json
import os
import subprocess

import pytest

from dolphin_realtime.grid import maps
from dolphin_realtime.journal.check import check
from tests.integration.conftest import eventually, make_desk

SIZE = "24m"


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs at the journal's folder, unmounted at the end."""
    folder = tmp_path / "home" / "journal"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Take every free byte of the disk."""
    with (folder / "filler").open("wb", buffering=0) as f:
        try:
            while True:
                f.write(b"\0" * 65536)
        except OSError:
            pass
        free = os.statvfs(folder)
        for _ in range(free.f_bavail):
            try:
                f.write(b"\0" * free.f_frsize)
            except OSError:
                return


def test_a_full_disk_stops_entries_and_room_brings_them_back(tmp_path, small_disk):
    desk = make_desk(tmp_path / "home", stale_cadence_min_s=600, safety_cool_down_s=0)

    def state():
        return desk.document(maps.state_map("BLUE"), maps.LATEST_STATE) or {}

    def trouble():
        return (state().get("journal") or {}).get("trouble")

    with desk.stack:
        desk.wait_trading()
        desk.feed(20)
        assert state()["positions"]
        fill(small_disk)

        def is_full():
            desk.feed(1, wait=False)
            return trouble()

        assert eventually(is_full, 60.0) in ("JOURNAL_FULL", "JOURNAL_FAILED")
        status = json.loads(desk.cli("status", "--json").stdout)
        assert status["not_trading_because"].startswith("JOURNAL_")
        stopped_at = desk.query("SELECT max(timestamp_us) FROM equity")[0][0]
        for _ in range(25):
            last = desk.feed(1, wait=False)
            eventually(lambda s=last: (state().get("scan_number") or 0) >= s.scan_number)
        opened = "SELECT count(*) FROM orders WHERE reduce_only = 0 AND timestamp_us > ?"
        closed = "SELECT count(*) FROM orders WHERE reduce_only = 1 AND timestamp_us > ?"
        (small_disk / "filler").unlink()
        desk.wait_journalled(last)
        eventually(lambda: trouble() is None, 30.0, "the reserve is back")
        blocked_until = last.timestamp_us
        assert desk.query(closed, stopped_at)[0][0] > 0
        after_stop = desk.query(opened + " AND timestamp_us <= ?", stopped_at, blocked_until)[0][0]
        reasons = {r for (r,) in desk.query("SELECT DISTINCT reason FROM decisions")}
        assert reasons & {"JOURNAL_FULL", "JOURNAL_FAILED"}
        assert after_stop == 0
        desk.wait_trading()
        desk.feed(30)
        assert desk.query(opened, blocked_until)[0][0] > 0
        desk.check_journal()
        desk.close()
    assert check(small_disk / "BLUE").ok
