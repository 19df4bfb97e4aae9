"""What an operator types, against a running stack."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import eventually


def test_status_says_everything_and_may_trade(desk):
    desk.feed(1)
    done = desk.cli("status", "--json")
    status = json.loads(done.stdout)
    assert done.returncode == 0, status
    assert set(status) == {
        "services", "scan", "posture", "health", "equity", "positions",
        "not_trading_because", "not_trading_since", "unpriced", "untradable",
        "strangers_kept_out", "postures",
    }  # fmt: skip
    assert {s["state"] for s in status["services"]} == {"running"}
    assert status["scan"]["number"] == desk.number
    assert status["posture"] == "NORMAL"
    assert status["not_trading_because"] is None
    assert "trading" in desk.cli("status").stdout


def test_another_terminal_finds_the_stack_of_its_home(desk, monkeypatch):
    """A shell opened later has the home alone; on the usual port may be somebody else's member."""
    for name in ("DOLPHIN_HAZELCAST_PORT", "DOLPHIN_UI_PORT"):
        monkeypatch.delitem(desk.stack.env, name)
    found = json.loads(desk.cli("status", "--json").stdout)
    assert found["scan"]["number"] == desk.number
    shown = json.loads(desk.cli("scan", "show", "--json").stdout)
    assert shown["scan_number"] == desk.number


def test_health_exit_status_says_the_word(desk):
    def is_green() -> bool:
        desk.feed(1)
        return desk.cli("health").returncode == 0

    eventually(is_green, 40.0, "health GREEN")
    document = json.loads(desk.cli("health", "--json").stdout)
    assert document["status"] == "GREEN"
    assert document["rm_meta"] == 1.0
    assert document["subsystem_health"]["data_sources"]["obf"] == {"state": "disabled"}
    on_disk = json.loads((desk.stack.home / "run_logs" / "meta_health.json").read_text())
    assert set(on_disk) == set(document)


def test_scan_show_and_logs(desk):
    scan = desk.feed(1)
    shown = json.loads(desk.cli("scan", "show", "--json").stdout)
    assert shown["scan_number"] == scan.scan_number
    assert "BTCUSDT" in desk.cli("scan", "show").stdout
    assert "trader.started" in desk.cli("logs", "trader@BLUE").stdout
    wrong = desk.cli("logs", "nobody")
    assert wrong.returncode == 2
    assert "known: bridge" in wrong.stderr


def test_halt_by_hand_stops_orders_and_resume_brings_them_back(desk):
    assert desk.cli("posture", "set", "HALTED", "--reason", "drill").returncode == 0
    eventually(lambda: desk.posture() == "HALTED")
    eventually(
        lambda: desk.document("DOLPHIN_STATE_BLUE", "latest_nautilus")["posture"] == "HALTED"
    )
    before = len(desk.query("SELECT 1 FROM orders"))
    desk.feed(8)
    assert len(desk.query("SELECT 1 FROM orders")) == before
    reasons = {r for (r,) in desk.query("SELECT DISTINCT reason FROM decisions")}
    assert "POSTURE_HALTED" in reasons
    assert desk.cli("status").returncode == 1
    assert json.loads(desk.cli("status", "--json").stdout)["not_trading_because"].startswith(
        "POSTURE_HALTED"
    )
    refused = desk.cli("posture", "set", "RELAXED", "--reason", "x")
    assert refused.returncode == 2
    assert "RELAXED" in refused.stderr
    lower = desk.cli("posture", "set", "NORMAL", "--reason", "x")
    assert (lower.returncode, "dolphin resume" in lower.stderr) == (1, True)
    flatten = desk.cli("flatten", "--reason", "x")
    assert (flatten.returncode, "HALTED" in flatten.stderr) == (1, True)
    assert desk.cli("posture", "resume", "--reason", "drill over").returncode == 0
    desk.wait_trading()
    ledger = (desk.stack.home / "safety" / "ledger.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in ledger] == ["drill", "drill over"]
    desk.check_journal()


def test_a_stopped_service_stays_stopped_until_started(desk):
    assert desk.cli("stop", "bridge").returncode == 0
    status = json.loads(desk.cli("status", "--json").stdout)
    assert status["not_trading_because"].startswith("SERVICE_DOWN: bridge")
    assert desk.stack.service("bridge").state == "stopped"
    assert desk.cli("start", "bridge").returncode == 0
    desk.feed(2)


def test_a_second_trader_of_the_same_instance_is_refused(desk):
    done = desk.cli("service", "trader", "BLUE")
    assert done.returncode == 1
    assert "in use by another trader" in done.stderr


def test_a_second_stack_of_the_same_home_is_refused(desk):
    done = desk.cli("up", "--no-dagster")
    assert done.returncode == 3
    assert "already runs" in done.stderr


@pytest.mark.parametrize("words", [("posture",), ("posture", "show", "--json")])
def test_posture_is_shown(desk, words):
    desk.wait_trading()
    done = desk.cli(*words)
    assert done.returncode == 0
    assert "NORMAL" in done.stdout


def test_a_module_in_the_folder_where_a_stack_is_started_is_not_imported(desk, tmp_path):
    (tmp_path / "msgspec.py").write_text("raise SystemExit('planted')")
    command = [sys.executable, "-m", "dolphin_realtime.services.bridge.reader", "scans", "ledger"]
    for safe, says in (("1", ""), ("", "planted")):
        env = {**desk.stack.env, "PYTHONSAFEPATH": safe}
        done = subprocess.run(
            command, cwd=tmp_path, env=env, input="", capture_output=True, text=True, check=False
        )
        assert (says in done.stderr) if says else (done.returncode == 0), done.stderr
    runner = Path(f"/proc/{desk.stack.service('bridge').pid}/environ").read_bytes()
    assert b"PYTHONSAFEPATH=1" in runner.split(b"\0")
