"""NautilusTrader's own Binance USD-M client as the judge of the loopback venue."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest

ORDERS = [
    ["BTCUSDT", "BUY", "0.8", "a", False],
    ["ETHUSDT", "SELL", "3", "b", False],
    ["BTCUSDT", "SELL", "0.8", "c", True],
    ["XRPUSDT", "BUY", "100", "d", False],
]
PREFIX = "x-aHRE4BCj-R"
"""Nautilus puts it before every client order id of at most 24 characters."""


def judge(served, orders):
    """Run the client over some orders; return its events."""
    command = [
        sys.executable,
        "-m",
        "tests.exchange.nautilus_client",
        str(served.port),
        json.dumps(orders),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def of(events, kind):
    return [one for one in events if one["event"] == kind]


def test_what_it_sees_is_what_is_true(served):
    events = judge(served, ORDERS)
    truth = served.truth()
    fills = of(events, "OrderFilled")
    assert [(f["trade"], Decimal(f["quantity"]), Decimal(f["price"])) for f in fills] == [
        (str(t["id"]), Decimal(t["qty"]), Decimal(t["price"])) for t in truth["trades"]
    ]
    assert [f["fee"] for f in fills] == [f"{t['commission']} USDT" for t in truth["trades"]]
    (held,) = of(events, "held")
    assert held["positions"] == {
        "ETHUSDT-PERP.BINANCE": ["SHORT", "3.000"], "XRPUSDT-PERP.BINANCE": ["LONG", "100"]
    }  # fmt: skip
    assert {s: Decimal(q) for s, q in truth["positions"].items()} == {"ETHUSDT": -3, "XRPUSDT": 100}
    assert [o["clientOrderId"] for o in truth["orders"]] == [PREFIX + o[3] for o in ORDERS]
    assert [o["reduceOnly"] for o in truth["orders"]] == [False, False, True, False]


def test_it_asks_what_is_on_record_and_trades_by_http_alone(served):
    judge(served, ORDERS[:1])
    asked = [(method, path) for _, method, path, _ in served.venue.asked]
    assert sorted(asked) == sorted([
        ("GET", "/fapi/v1/positionSide/dual"), ("GET", "/fapi/v1/exchangeInfo"),
        ("POST", "/fapi/v1/listenKey"), ("PUT", "/fapi/v1/listenKey"), ("GET", "/fapi/v2/account"),
        ("GET", "/fapi/v1/openOrders"), ("GET", "/fapi/v1/openAlgoOrders"),
        ("GET", "/fapi/v2/positionRisk"), ("POST", "/fapi/v1/order"),
        ("DELETE", "/fapi/v1/listenKey"),
    ])  # fmt: skip
    assert asked[-2:] == [("POST", "/fapi/v1/order"), ("DELETE", "/fapi/v1/listenKey")]


@pytest.mark.parametrize(("code", "orders"), [
    (-2019, [["BTCUSDT", "BUY", "900", "much", False]]),
    (-4164, [["ETHUSDT", "BUY", "0.001", "little", False]]),
    (-2022, [["ETHUSDT", "BUY", "1", "nothing-to-reduce", True]]),
])  # fmt: skip
def test_a_refusal_is_a_rejection_with_its_code(served, code, orders):
    (rejected,) = of(judge(served, orders), "OrderRejected")
    assert str(code) in rejected["reason"]
    assert served.truth()["trades"] == []


def test_it_starts_with_the_position_that_the_venue_holds(served):
    judge(served, ORDERS[:2])
    events = judge(served, [["BTCUSDT", "SELL", "0.3", "e", True]])
    (started,) = of(events, "started")
    assert {tuple(p) for p in started["positions"]} == {
        ("BTCUSDT-PERP.BINANCE", "0.800"), ("ETHUSDT-PERP.BINANCE", "3.000")
    }  # fmt: skip
    assert served.truth()["positions"]["BTCUSDT"] == "0.500"


@pytest.mark.parametrize("fault", [
    {"kind": "cut_after"}, {"kind": "code_after", "code": -1007},
    {"kind": "status_after", "status": 503, "body": ""},
])  # fmt: skip
def test_an_answer_that_is_lost_is_no_rejection_and_is_not_asked_for_again(served, fault):
    served.ctl("fault", path="/fapi/v1/order", method="POST", **fault)
    events = judge(served, ORDERS[:1])
    assert of(events, "OrderRejected") == []
    assert sum(Decimal(f["quantity"]) for f in of(events, "OrderFilled")) == Decimal("0.8")
    posts = [a for a in served.venue.asked if a[1:3] == ("POST", "/fapi/v1/order")]
    assert len(posts) == 1


def test_lost_codes_with_a_4xx_status_are_taken_for_rejections(served):
    """A trap of rc7 (live.md, trap 3): the order has filled all the same."""
    served.ctl("fault", path="/fapi/v1/order", method="POST", kind="code_after", code=-1000)
    served.ctl("fault", kind="delay", seconds=1.0, times=5)
    events = judge(served, ORDERS[:1])
    assert "-1000" in of(events, "OrderRejected")[0]["reason"]
    assert served.truth()["positions"] == {"BTCUSDT": "0.800"}
