"""The crash matrix: a trader killed at each step, and at random instants, loses nothing.

Lock-step replay: the next scan is written when the last one is journalled. ``CHAOS_KILLS``
says how many random kills: a few in CI, 50 in ``make chaos``.
"""

import os
import random
import signal
import time

import pytest

from dolphin_realtime.grid import maps
from dolphin_realtime.scans.files import write_scan
from tests.integration.conftest import eventually, make_desk

ID = "substr(client_order_id, 1, 1) || substr(client_order_id, 6)"
"""Two journals have two lives: what their orders' ids differ in, and in nothing else."""
FILLS = f"SELECT {ID}, timestamp_us, asset, side, quantity, price, fee FROM fills ORDER BY rowid"
ORDERS = (
    f"SELECT {ID} AS id, epoch, scan_number, timestamp_us, asset, side, quantity, leg, reduce_only"
    " FROM orders ORDER BY timestamp_us, id"
)
ENDS = f"SELECT {ID} AS id, timestamp_us, state, reason, filled FROM order_events WHERE state <> 'UNKNOWN' ORDER BY timestamp_us, id"
EQUITY = "SELECT scan_number, timestamp_us, cash, realised, unrealised, fees, equity FROM equity ORDER BY rowid"
KILLS = int(os.environ.get("CHAOS_KILLS", "5"))
SCANS = max(60, 6 * KILLS)
CALM = {
    "safety_cool_down_s": 0,
    "stale_cadence_min_s": 600,
    "restart_pause_s": 0.01,
    "start_limit_burst": 1000,
    "safety_limit_scan_stale_min_s": 600,
    "safety_limit_state_stale_s": 600,
    "paper_reject_share": 0.02,
    "paper_partial_share": 0.05,
    "paper_unknown_filled_share": 0.03,
    "paper_unknown_never_share": 0.03,
}
"""A restart may take seconds, and what waited for it must still be traded as in a calm run.
The venue refuses, fills in part, and does not say what became of orders, at each run the same."""
POINTS = ("intent", "order", "fill", "journal", "state")
STEPS = ",".join(f"{point}@{n}=kill" for point, n in zip(POINTS, (4, 7, 15, 9, 11), strict=True))


def start(tmp_path, **settings):
    return make_desk(tmp_path / "home", **{**CALM, **settings})


def settle(desk):
    """Feed one scan and wait until entries are allowed and the health no longer changes."""
    eventually(lambda: desk.posture() is not None)
    desk.feed(1)
    eventually(lambda: desk.posture() == "NORMAL" and desk.cli("health").returncode < 2, 60.0)


def outcome(desk):
    desk.check_journal()
    lists = {"orders": ORDERS, "fills": FILLS, "ends": ENDS, "equity": EQUITY}
    return {name: desk.query(query) for name, query in lists.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    desk = start(tmp_path_factory.mktemp("calm"))
    with desk.stack:
        settle(desk)
        desk.feed(SCANS)
        found = outcome(desk)
        desk.close()
    assert len(found["fills"]) > 40
    return found


def assert_same(desk, undisturbed):
    found = outcome(desk)
    for what, rows in undisturbed.items():
        assert found[what] == rows, what
    handled = desk.query("SELECT count(*), count(DISTINCT timestamp_us) FROM equity")[0]
    assert handled[0] == handled[1]
    state = eventually(lambda: desk.document(maps.state_map("BLUE"), maps.LATEST_STATE))
    assert state["equity"] == pytest.approx(undisturbed["equity"][-1][-1], abs=1e-9)


def back(desk, kills):
    """Wait until the trader runs again after so many kills, and entries are allowed."""

    def is_back():
        trader = desk.stack.service("trader@BLUE")
        return trader.restarts == kills and trader.state == "running"

    eventually(is_back, 60.0, f"the trader after {kills} kills")
    eventually(lambda: desk.posture() == "NORMAL", 30.0, "posture NORMAL")


def test_a_kill_at_each_step_of_a_scan_changes_nothing(tmp_path, undisturbed):
    desk = start(tmp_path, fault_points=STEPS)
    with desk.stack:
        settle(desk)
        run = desk.stack.home / "run"
        for _ in range(SCANS):
            fired = len(list(run.glob("fault_*")))
            scan = desk.feed(1, wait=False)
            desk.wait_journalled(scan, 60.0)
            if len(list(run.glob("fault_*"))) > fired:
                back(desk, fired + 1)
        assert {p.name for p in run.glob("fault_*")} == {f"fault_{point}" for point in POINTS}
        assert desk.stack.service("trader@BLUE").restarts == len(POINTS)
        assert_same(desk, undisturbed)
        desk.close()


@pytest.mark.timeout(120 + 20 * KILLS)
def test_kills_of_the_trader_change_nothing(tmp_path, undisturbed):
    desk = start(tmp_path)
    rng = random.Random(int(os.environ.get("CHAOS_SEED", "4")))
    with desk.stack:
        settle(desk)
        kill_at, kills = set(rng.sample(range(2, SCANS), KILLS)), 0
        for n in range(SCANS):
            scan = desk.next_scan()
            write_scan(desk.scan_dir, scan)
            if n in kill_at:
                time.sleep(rng.uniform(0.0, 0.03))
                os.kill(desk.stack.service("trader@BLUE").pid, signal.SIGKILL)
                kills += 1
                back(desk, kills)
                desk.wait_journalled(scan, 60.0)
            else:
                desk.wait_journalled(scan, 60.0)
        assert desk.stack.service("trader@BLUE").restarts == KILLS
        assert_same(desk, undisturbed)
        desk.close()
