"""Kills: what died comes back, and nothing is lost, doubled or orphaned."""

import json
import os
import signal

import pytest

from dolphin_realtime.grid import maps
from dolphin_realtime.scans.files import write_scan
from tests.integration.conftest import eventually, make_desk, processes_of


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def test_a_killed_member_comes_back_refilled_and_the_newest_scan_is_traded_once(tmp_path):
    desk = make_desk(tmp_path / "home")
    with desk.stack:
        desk.wait_trading()
        desk.feed(5)
        trader = desk.stack.service("trader@BLUE").pid
        for _ in range(2):
            jvm = int(desk.document(maps.HEARTBEAT, "hazelcast")["pid"])
            newest = desk.feed(1)
            kill(jvm)
            unseen = desk.next_scan()
            write_scan(desk.scan_dir, unseen)
            desk.wait_journalled(unseen, 60.0)
            document = eventually(
                lambda: desk.document(maps.FEATURES, maps.LATEST_SCAN), 60.0, "a refilled map"
            )
            assert document["scan_number"] == unseen.scan_number
            eventually(lambda: desk.document(maps.state_map("BLUE"), maps.LATEST_STATE), 30.0)
            ring = desk.client.get_ringbuffer(maps.SCAN_RING).blocking()
            assert ring.size() >= newest.scan_number
            eventually(lambda: desk.document(maps.HEARTBEAT, "hazelcast"), 30.0)
        assert desk.stack.service("trader@BLUE").pid == trader
        handled = desk.query("SELECT count(*), count(DISTINCT timestamp_us) FROM equity")[0]
        assert handled[0] == handled[1]
        desk.wait_trading()
        desk.feed(3)
        desk.check_journal()
        positions = desk.query(
            "SELECT asset, sum(CASE side WHEN 'BUY' THEN quantity ELSE -quantity END) FROM fills GROUP BY asset"
        )
        journal = {a: q for a, q in positions if abs(q) > 1e-9}
        state = desk.document(maps.state_map("BLUE"), maps.LATEST_STATE)
        assert {p["asset"]: pytest.approx(p["quantity"]) for p in state["positions"]} == journal
        desk.close()


def test_a_killed_runner_leaves_no_process_and_the_next_start_works(tmp_path):
    desk = make_desk(tmp_path / "home")
    with desk.stack:
        desk.wait_trading()
        desk.feed(3)
        assert len(processes_of(desk.stack.home)) > 5
        kill(desk.stack.pid)
        eventually(lambda: not processes_of(desk.stack.home), 20.0, "no process left")
    again = make_desk(tmp_path / "home")
    again.number = desk.number
    again._rows = desk._rows
    with again.stack:
        again.wait_trading()
        again.feed(2)
        again.check_journal()
        again.close()


def test_what_crashes_at_once_is_started_only_so_often(tmp_path):
    desk = make_desk(tmp_path / "home", start_limit_burst=3, start_limit_interval_s=60)
    with desk.stack:
        eventually(lambda: desk.stack.service("bridge").state == "running")
        for _ in range(3):
            pid = eventually(lambda: desk.stack.service("bridge").pid)
            kill(pid)
            eventually(lambda pid=pid: desk.stack.service("bridge").pid != pid)
        found = eventually(
            lambda: desk.stack.service("bridge").state == "failed" and desk.stack.service("bridge")
        )
        assert "start limit: 3 starts in 60 s" in found.detail
        status = json.loads(desk.cli("status", "--json").stdout)
        assert status["not_trading_because"].startswith("SERVICE_DOWN: bridge")
        assert desk.cli("start", "bridge").returncode == 0
        desk.wait_trading()
        desk.close()


def test_a_service_that_hangs_is_restarted_by_the_watchdog(tmp_path):
    desk = make_desk(tmp_path / "home", watchdog_s=8)
    with desk.stack:
        desk.wait_trading()
        pid = desk.stack.service("safety").pid
        os.kill(pid, signal.SIGSTOP)
        found = eventually(
            lambda: (
                desk.stack.service("safety").pid not in (pid, None) and desk.stack.service("safety")
            ),
            60.0,
            "a new safety process",
        )
        assert found.restarts == 1
        desk.wait_trading()
        desk.close()
