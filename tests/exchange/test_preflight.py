"""`dolphin live check`: each rule by itself, the whole command on the loopback venue, nothing changed."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import msgspec
import pytest

from dolphin_realtime.config.live import (
    LiveSettings,
    addresses_of,
    check_caps,
    read_key,
    refuse_foreign,
)
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.venues.binance.preflight import (
    Configured,
    Facts,
    Listed,
    Rights,
    Wanted,
    judge,
)
from tests.exchange.conftest import KEY, READ_KEY, READ_SECRET, SECRET
from tests.exchange.test_faults import ask

TRADE = Rights(ip_bound=True, reads=True, trades=True, withdraws=False)
READ = msgspec.structs.replace(TRADE, trades=False)
WANTED = Wanted(names=["BTCUSDT"], leverage=20, max_order_usd=100.0, max_gross_usd=500.0)
BTC = Configured(symbol="BTCUSDT", margin="CROSSED", leverage=20, most_usd=Decimal(1000))
LISTED = Listed(symbol="BTCUSDT", status="TRADING", margin_asset="USDT")
GOOD = Facts(
    offset_ms=400.0, uncertain_ms=1.0, trade_rights=TRADE, read_rights=READ,
    is_same_account=True, may_trade=True, is_hedged=False,
    is_multi=False, burns_bnb=False, listed={"BTCUSDT": LISTED}, configured={"BTCUSDT": BTC},
    open_orders=[], used_weight=100, now_ms=1000,
)  # fmt: skip


def replaced(one, **fields):
    return msgspec.structs.replace(one, **fields)


def broken(facts, wanted=WANTED):
    """Return the rules that do not hold, with what is said."""
    return {one.rule: one.says for one in judge(facts, wanted) if not one.ok}


def test_a_good_account_breaks_no_rule_and_every_rule_says_something():
    assert broken(GOOD) == {}
    assert all(one.says for one in judge(GOOD, WANTED))
    assert broken(replaced(GOOD, trade_rights=None, read_rights=None)) == {}


@pytest.mark.parametrize(("fields", "rule", "says"), [
    ({"offset_ms": 502.0}, "clock", "502 ms off"),
    ({"offset_ms": -502.0}, "clock", "502 ms off"),
    ({"is_hedged": True}, "one_way", "NOT: positions are one-way"),
    ({"is_same_account": False}, "one_account", "NOT: both keys see the same"),
    ({"may_trade": False}, "may_trade", "NOT"),
    ({"is_multi": True}, "single_asset", "NOT"),
    ({"trade_rights": replaced(TRADE, trades=False)}, "trade_key", "NOT: the trading key may trade"),
    ({"trade_rights": replaced(TRADE, withdraws=True)}, "withdrawals", "NOT: no key may move money away"),
    ({"trade_rights": replaced(TRADE, transfers=True)}, "withdrawals", "NOT"),
    ({"read_rights": replaced(READ, transfers_widely=True)}, "withdrawals", "NOT"),
    ({"read_rights": replaced(READ, withdraws=True)}, "withdrawals", "NOT"),
    ({"trade_rights": replaced(TRADE, ip_bound=False)}, "ip_bound", "NOT"),
    ({"trade_rights": replaced(TRADE, ends_ms=999)}, "trade_key_lives", "NOT"),
    ({"read_rights": TRADE}, "read_key", "NOT: the reading key may read and not trade"),
    ({"listed": {}}, "BTCUSDT", "not listed"),
    ({"configured": {}}, "BTCUSDT", "not listed"),
    ({"listed": {"BTCUSDT": replaced(LISTED, status="SETTLING")}}, "BTCUSDT", "SETTLING"),
    ({"listed": {"BTCUSDT": replaced(LISTED, margin_asset="BNFCR")}}, "BTCUSDT", "margin in BNFCR"),
    ({"configured": {"BTCUSDT": replaced(BTC, margin="ISOLATED")}}, "BTCUSDT", "ISOLATED"),
    ({"configured": {"BTCUSDT": replaced(BTC, leverage=10)}}, "BTCUSDT", "leverage 10, the settings say 20"),
    ({"configured": {"BTCUSDT": replaced(BTC, most_usd=Decimal(499))}}, "BTCUSDT", "up to 499"),
    ({"open_orders": ["ETHUSDT"]}, "open_orders", "rest at the venue: ETHUSDT"),
    ({"used_weight": 1201}, "weight", "1201"),
])  # fmt: skip
def test_each_rule_by_itself(fields, rule, says):
    found = broken(replaced(GOOD, **fields))
    assert list(found) == [rule]
    assert says in found[rule]


@pytest.mark.parametrize("fields", [
    {"offset_ms": 501.0}, {"trade_rights": replaced(TRADE, ends_ms=1001)}, {"used_weight": 1200},
    {"configured": {"BTCUSDT": replaced(BTC, most_usd=Decimal(500))}}, {"burns_bnb": True},
])  # fmt: skip
def test_at_its_bound_a_rule_holds(fields):
    assert broken(replaced(GOOD, **fields)) == {}


def test_an_order_may_not_be_larger_than_everything():
    assert "caps" in broken(GOOD, replaced(WANTED, max_order_usd=501.0))


@pytest.fixture
def environment(served, tmp_path):
    """The environment of an operator who means the loopback venue."""
    files = {}
    for name, pair in (("trade", (KEY, SECRET)), ("read", (READ_KEY, READ_SECRET))):
        files[name] = tmp_path / name
        files[name].write_text("\n".join(pair) + "\n")
        files[name].chmod(0o600)
    mine = {
        "VENUE": "loopback", "LOOPBACK": served.url, "TRADE_KEY_FILE": str(files["trade"]),
        "READ_KEY_FILE": str(files["read"]), "ALLOW": "BTCUSDT,ETHUSDT", "MAX_ORDER_USD": "100",
        "MAX_GROSS_USD": "500", "MAX_DAILY_LOSS_USD": "50", "MAX_ORDERS_PER_MINUTE": "60", "LEVERAGE": "20",
    }  # fmt: skip
    return {f"DOLPHIN_LIVE_{name}": value for name, value in mine.items()}


def check(environment, **more):
    env = {**os.environ, **environment, **more}
    command = [sys.executable, "-m", "dolphin_realtime.cli", "live", "check", "--json"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_the_command_says_every_rule_and_asks_nothing_that_changes(served, environment):
    done = check(environment)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = [one["rule"] for one in json.loads(done.stdout)]
    assert rules[:2] == ["clock", "trade_key"]
    assert {"BTCUSDT", "ETHUSDT", "one_way", "read_key", "open_orders"} <= set(rules)
    assert {method for _, method, _, _ in served.venue.asked} == {"GET"}
    for secret in (SECRET, READ_SECRET):
        assert secret not in done.stdout + done.stderr


def test_what_is_wrong_at_the_venue_is_exit_1(served, environment):
    served.ctl("mode", account="one", is_hedged=True)
    ask(served, "POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage="3")
    done = check(environment)
    wrong = {one["rule"] for one in json.loads(done.stdout) if not one["ok"]}
    assert (done.returncode, wrong) == (1, {"one_way", "ETHUSDT"})


def test_keys_of_two_accounts_and_an_order_that_rests_are_seen(served, environment):
    served.venue.exchange.open_account("two", Decimal(500))
    served.ctl("key", key=READ_KEY, account="two", secret=READ_SECRET, may_trade=False)
    ask(served, type="LIMIT", price="50000", timeInForce="GTC")
    wrong = {one["rule"] for one in json.loads(check(environment).stdout) if not one["ok"]}
    assert wrong == {"one_account", "open_orders"}


def test_an_answer_that_is_none_is_exit_3(served, environment):
    served.ctl("fault", path="/fapi/v1/symbolConfig", kind="status", status=200, body="<html>")
    done = check(environment)
    assert (done.returncode, done.stdout) == (3, "")
    assert "not what was agreed" in done.stderr


@pytest.mark.parametrize(("more", "status", "says"), [
    ({"DOLPHIN_LIVE_VENUE": "demo"}, 2, "live, testnet or loopback"),
    ({"DOLPHIN_LIVE_VENUE": "live"}, 2, "LOOPBACK is set"),
    ({"DOLPHIN_LIVE_MAX_GROSS_USD": "0"}, 2, "MAX_GROSS_USD: not set"),
    ({"DOLPHIN_LIVE_ALLOW": " , "}, 2, "ALLOW"),
    ({"DOLPHIN_LIVE_TRADE_KEY_FILE": "/none"}, 2, "cannot be read"),
    ({"DOLPHIN_LIVE_LEVERAGES": "3"}, 2, "DOLPHIN_LIVE_"),
    ({"BINANCE_API_KEY": "secret-value"}, 2, "BINANCE_API_KEY in the environment"),
    ({"DOLPHIN_LIVE_LOOPBACK": "http://127.0.0.1:9"}, 3, "ConnectError"),
    ({"DOLPHIN_LIVE_LOOPBACK": "http://example.com"}, 2, "127.0.0.1"),
    ({"DOLPHIN_LIVE_LOOPBACK": "http://127.0.0.1:9@example.com"}, 2, "127.0.0.1"),
])  # fmt: skip
def test_what_is_refused_is_one_sentence(environment, more, status, says):
    done = check(environment, **more)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert "secret-value" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_keys_that_others_may_read_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "key"
    path.write_text("abcd1234\nsecret\nmore\n")
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="others may read"):
        read_key("K", str(path))
    path.chmod(0o600)
    found = read_key("K", str(path))
    assert (found.key, found.secret, repr(found)) == ("abcd1234", "secret\nmore", "KeyPair(…1234)")
    path.chmod(0o640)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_key("K", str(path)) == found, "systemd hands files over with an access list"
    path.write_text("abcd1234\n")
    with pytest.raises(SettingsError, match="no key on its first line"):
        read_key("K", str(path))


def test_sets_of_addresses_are_never_mixed():
    live = addresses_of(LiveSettings(venue="live"))
    assert live.rest.startswith("https://fapi.")
    assert addresses_of(LiveSettings(venue="testnet")).rights is None
    with pytest.raises(SettingsError):
        addresses_of(LiveSettings(venue="testnet", loopback="http://127.0.0.1:1"))
    check_caps(LiveSettings(
        trade_key_file="a", read_key_file="b", allow="A", max_order_usd=1.0, max_gross_usd=1.0,
        max_daily_loss_usd=1.0, max_orders_per_minute=9, leverage=1,
    ))  # fmt: skip
    with pytest.raises(SettingsError, match="51 names"):
        check_caps(LiveSettings(
            trade_key_file="a", read_key_file="b", allow=",".join(map(str, range(51))),
            max_order_usd=1.0, max_gross_usd=1.0, max_daily_loss_usd=1.0, max_orders_per_minute=9, leverage=1,
        ))  # fmt: skip
    refuse_foreign({"PATH": "x"})
