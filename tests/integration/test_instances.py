"""BLUE and GREEN on the same scans, each with its own settings, journal and documents.

And what both are fed besides scans: external factors through the grid.
"""

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from dolphin_realtime.grid import maps
from dolphin_realtime.model.instant import HOUR_US, from_us
from tests.integration.conftest import eventually, make_desk
from tests.journals import rows


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = make_desk(
        tmp_path_factory.mktemp("pair") / "home",
        instances="BLUE,GREEN",
        green__target_asset_cap=0.025,
        green__cost_start_cash_usd=50_000,
        stale_cadence_min_s=600,
        safety_cool_down_s=0,
    )
    with desk.stack:
        desk.wait_trading()
        yield desk
        desk.close()


def state(desk, instance):
    return desk.document(maps.state_map(instance), maps.LATEST_STATE)


def test_the_two_trade_the_same_scans_with_their_own_money(desk):
    last = desk.feed(40)
    eventually(lambda: state(desk, "GREEN")["scan_number"] == last.scan_number)
    blue, green = state(desk, "BLUE"), state(desk, "GREEN")
    assert blue["equity"] > 95_000 > 52_500 > green["equity"] > 47_500
    assert desk.cli("journal", "check", "--instance", "GREEN").returncode == 0
    day = from_us(last.timestamp_us).date().isoformat()
    assert desk.document(maps.pnl_map("GREEN"), day)["equity"] == pytest.approx(green["equity"])


def test_compare_says_what_differs(desk):
    done = desk.cli("compare", "BLUE", "GREEN", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["scans_in_common"] > 40
    assert found["only_first"] + found["only_second"] + found["same_but_size"] > 0
    assert found["settings"] == {
        "target.asset_cap": ["0.05", "0.025"], "costs.start_cash_usd": ["100000.0", "50000.0"],
    }  # fmt: skip
    for figures in found["figures"].values():
        parts = figures["gross"] - figures["slippage"] - figures["fees"] - figures["funding"]
        assert parts == pytest.approx(figures["net"], abs=1e-6)
    text = desk.cli("compare", "BLUE", "GREEN").stdout
    assert "scans:" in text
    assert "target.asset_cap: BLUE 0.05, GREEN 0.025" in text


def test_the_export_holds_every_row_of_the_journal(desk, tmp_path):
    done = desk.cli("journal", "export", "--instance", "BLUE", "--out", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    fills = pd.read_parquet(tmp_path / "fills.parquet")
    equity = pd.read_parquet(tmp_path / "equity.parquet")
    assert list(fills.columns[:10]) == [
        "timestamp", "instance", "asset", "side", "quantity", "price", "fee", "client_order_id",
        "scan_number", "epoch"]  # fmt: skip
    assert str(fills["timestamp"].dtype) == "datetime64[us, UTC]"
    assert len(fills) == rows["fills"] == desk.query("SELECT count(*) FROM fills")[0][0]
    assert (fills["fee"] >= 0).all()
    fold = equity.iloc[-1]
    assert fold["equity"] == pytest.approx(fold["cash"] + fold["unrealised"])
    signed = fills["quantity"].where(fills["side"] == "BUY", -fills["quantity"])
    held = signed.groupby(fills["asset"]).sum()
    shown = {p["asset"]: p["quantity"] for p in state(desk, "BLUE")["positions"]}
    assert {a: pytest.approx(q) for a, q in held.items() if abs(q) > 1e-9} == shown
    assert (
        desk.cli("journal", "export", "--instance", "NONE", "--out", str(tmp_path)).returncode == 1
    )


def test_factors_gate_and_charge_what_is_held_and_missing_ones_are_counted(desk):
    assert state(desk, "BLUE")["last_signal"]["missing"]["funding"] == 16
    eventually(lambda: desk.feed(1) and state(desk, "BLUE")["positions"], 60.0, "a position")
    scan = desk.feed(1)
    at = from_us(scan.timestamp_us).isoformat()
    reading = {
        "value": 0.001,
        "interval_h": 1,
        "fetch_time": at,
        "event_time": at,
        "lifetime_s": 86_400,
    }
    document = {"readings": {"funding": dict.fromkeys(scan.assets, reading)}, "_pushed_at": at}
    desk.client.get_map(maps.FEATURES).blocking().put(maps.LATEST_FACTORS, json.dumps(document))

    def is_read():
        desk.feed(1)
        return state(desk, "BLUE")["last_signal"]["missing"].get("funding") is None

    eventually(is_read, 30.0, "the factors read")
    eventually(
        lambda: desk.feed(1) and desk.query("SELECT 1 FROM funding WHERE rate = 0.001"), 60.0
    )
    settled = desk.query("SELECT settlement_us, quantity, rate, amount FROM funding WHERE rate > 0")
    assert all(at_us % HOUR_US == 0 for at_us, *_ in settled)
    assert all((amount > 0) == (quantity > 0) for _, quantity, _, amount in settled)
    assert state(desk, "BLUE")["fees"] > 0
    desk.check_journal()
    bad = {"readings": {"funding": "none"}, "_pushed_at": datetime.now(UTC).isoformat()}
    desk.client.get_map(maps.FEATURES).blocking().put(maps.LATEST_FACTORS, json.dumps(bad))
    eventually(
        lambda: desk.feed(1) and state(desk, "BLUE")["last_signal"]["missing"].get("funding") == 16
    )


def test_a_setting_of_an_instance_that_does_not_run_is_refused(desk):
    env = {**desk.stack.env, "DOLPHIN_RED__SIGNAL_S_IN": "1.0"}
    desk.stack.env, before = env, desk.stack.env
    done = desk.cli("journal", "check")
    desk.stack.env = before
    assert done.returncode == 2
    assert "no instance 'RED'" in done.stderr


def last_row(desk, instance):
    """Return posture, entry block and scan of a trader's last turn."""
    found = "SELECT posture, entry_block, scan_number FROM equity ORDER BY rowid DESC LIMIT 1"
    return rows(desk.stack.home / "journal" / instance, found)[0]


def both_trade(desk):
    desk.feed(1)
    return all(last_row(desk, name)[:2] == ("NORMAL", None) for name in ("BLUE", "GREEN"))


def test_one_trader_is_halted_and_resumed_alone(desk):
    eventually(lambda: both_trade(desk), 60.0, "both trade")
    assert (
        desk.cli("posture", "set", "HALTED", "--instance", "RED", "--reason", "t").returncode == 1
    )
    done = desk.cli("posture", "set", "HALTED", "--instance", "GREEN", "--reason", "a test")
    assert done.returncode == 0, done.stderr

    def is_apart():
        desk.feed(1)
        return last_row(desk, "GREEN")[0] == "HALTED" and last_row(desk, "BLUE")[0] == "NORMAL"

    eventually(is_apart, 30.0, lambda: str([last_row(desk, n) for n in ("BLUE", "GREEN")]))
    for _ in range(5):
        desk.feed(1)
        assert is_apart()
    shown = desk.cli("posture")
    assert shown.returncode == 1
    assert shown.stdout.startswith("HALTED since"), "the strictest of all"
    assert "BLUE: NORMAL since" in shown.stdout
    assert "GREEN: HALTED since" in shown.stdout
    assert "GREEN alone" in shown.stdout
    alerts = [a for a in desk.cli("alerts", "--json").stdout.splitlines() if "posture" in a]
    assert "trader_GREEN" in "".join(alerts)
    status = json.loads(desk.cli("status", "--json").stdout)
    assert status["not_trading_because"].startswith("POSTURE_HALTED: GREEN: MANUAL: a test")
    assert status["postures"] == {"BLUE": "NORMAL", "GREEN": "HALTED"}
    refused = desk.cli("flatten", "--instance", "GREEN", "--reason", "t")
    assert refused.returncode == 1
    assert "sends no order at all" in refused.stderr
    for_all = desk.cli("posture", "set", "REDUCED", "--reason", "t")
    assert "GREEN is HALTED and does nothing of it" in for_all.stdout
    resumed = desk.cli("resume", "--instance", "GREEN", "--reason", "over")
    assert "REDUCED stands" in resumed.stdout
    assert desk.cli("posture", "set", "NORMAL", "--reason", "over").returncode == 0
    eventually(lambda: both_trade(desk), 60.0, "both trade again")


def test_one_trader_is_flattened_alone(desk):
    eventually(lambda: desk.feed(1) and state(desk, "GREEN")["positions"], 60.0, "a position")
    eventually(lambda: desk.feed(1) and state(desk, "BLUE")["positions"], 60.0, "a position")
    assert desk.cli("flatten", "--instance", "GREEN", "--reason", "t").returncode == 0
    eventually(lambda: desk.feed(1) and not state(desk, "GREEN")["positions"], 30.0, "GREEN flat")
    assert state(desk, "BLUE")["positions"]
    assert last_row(desk, "BLUE")[0] == "NORMAL"
    assert "flatten of GREEN ordered by" in desk.cli("posture").stdout
    assert desk.cli("resume", "--reason", "over").returncode == 0
    eventually(lambda: both_trade(desk), 60.0, "both trade again")
    desk.check_journal()
