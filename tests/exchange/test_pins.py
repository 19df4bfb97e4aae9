"""Pins on NautilusTrader 2.0.0rc7: what the live design rests on. An upgrade that changes one tells."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest
from nautilus_trader.adapters.binance import (
    BinanceEnvironment,
    BinanceExecutionClientConfig,
    BinanceProductType,
    decode_binance_futures_client_order_id,
)
from nautilus_trader.live import LiveExecutionEngineConfig, SubmissionRecoveryPolicy
from nautilus_trader.model import AccountId

from dolphin_realtime.venues.binance.order_life import PREFIX
from tests.exchange.test_nautilus import ORDERS, judge, of


def test_the_defaults_that_must_not_stay_are_as_they_were():
    client = BinanceExecutionClientConfig(account_id=AccountId("BINANCE-001"))
    assert client.use_ws_trading is True
    assert client.max_retries != 0
    engine = LiveExecutionEngineConfig()
    assert engine.inflight_check_interval_ms > 0
    assert engine.submission_recovery_policy != SubmissionRecoveryPolicy.RETAIN_UNRESOLVED


def test_the_text_of_a_configuration_shows_no_secret():
    client = BinanceExecutionClientConfig(
        account_id=AccountId("BINANCE-001"), product_type=BinanceProductType.USD_M,
        environment=BinanceEnvironment.LIVE, api_key="the-key", api_secret="the-secret",
    )  # fmt: skip
    assert "the-secret" not in repr(client) + str(client)
    assert "the-key" not in repr(client) + str(client)


@pytest.mark.parametrize("retries", ["0", "3"])
def test_an_order_is_posted_once_whatever_the_retries(served, monkeypatch, retries):
    monkeypatch.setenv("JUDGE_RETRIES", retries)
    served.ctl("fault", path="/fapi/v1/order", method="POST", kind="cut_after")
    events = judge(served, ORDERS[:1])
    assert sum(Decimal(f["quantity"]) for f in of(events, "OrderFilled")) == Decimal("0.8")
    posts = [a for a in served.venue.asked if a[1:3] == ("POST", "/fapi/v1/order")]
    assert len(posts) == 1


@pytest.mark.parametrize(("name", "wire"), [
    ("B" + "x" * 23, PREFIX + "B" + "x" * 23), ("B" + "x" * 24, "B" + "x" * 24),
])  # fmt: skip
def test_ids_of_24_characters_get_the_prefix_and_longer_ones_go_bare(served, name, wire):
    judge(served, [["BTCUSDT", "BUY", "0.1", name, False]])
    (order,) = served.truth()["orders"]
    assert order["clientOrderId"] == wire
    assert decode_binance_futures_client_order_id(wire) == name


def test_an_order_that_never_arrived_stays_unresolved_and_a_clean_stop_says_so(served):
    served.ctl("fault", path="/fapi/v1/order", method="POST", kind="cut", times=9)
    code = (
        "import asyncio, sys, json\n"
        "from tests.exchange import nautilus_client as n\n"
        "async def main():\n"
        "    node = n.node_of(int(sys.argv[1])); sender = n.Sender([['BTCUSDT','BUY','0.1','u',False]])\n"
        "    node.add_strategy(sender); handle = node.handle()\n"
        "    running = asyncio.create_task(node.run_async()); await asyncio.sleep(4); handle.stop()\n"
        "    try: await running\n"
        "    except RuntimeError as e: print('STOP', e)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(served.port)], capture_output=True, text=True,
        timeout=60, check=False, env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    assert "STOP Submission recovery incomplete at shutdown" in done.stdout, (
        done.stdout + done.stderr
    )
    assert "OrderRejected" not in done.stdout
    assert served.truth()["orders"] == []


WATCH = """
import asyncio, json, sys
import httpx2
from tests.exchange import nautilus_client as n

async def main():
    port, steps = int(sys.argv[1]), json.loads(sys.argv[2])
    node = n.node_of(port)
    sender = n.Sender([]); node.add_strategy(sender)
    portfolio, handle = node.portfolio, node.handle()
    running = asyncio.create_task(node.run_async())
    while not (handle.is_running and sender.is_running()):
        await asyncio.sleep(0.05)
    net = lambda: float(portfolio.net_position(n.id_of("BTCUSDT")))
    print("NET", net())
    async with httpx2.AsyncClient() as http:
        for step in steps:
            if "wait" in step:
                await asyncio.sleep(step["wait"])
            else:
                (await http.post(f"http://127.0.0.1:{port}/ctl", json=step)).raise_for_status()
    print("NET", net())
    handle.stop(); await running
asyncio.run(main())
"""
FOREIGN = {"do": "order", "account": "one", "symbol": "BTCUSDT", "side": "BUY", "type": "MARKET",
           "newClientOrderId": "web_1"}  # fmt: skip


def watched(served, *steps):
    """Let things happen to a node that holds 0.5 BTC; return its net position before and after."""
    served.ctl(**{**FOREIGN, "quantity": "0.5"})
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(served.port), json.dumps(steps)], capture_output=True,
        text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    found = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("NET")]
    assert len(found) == 2, done.stdout + done.stderr
    return found


def test_a_stream_that_is_lost_and_back_doubles_no_position_and_misses_what_filled_meanwhile(
    served,
):
    """Trap 1 of version 1 stays gone; N2 is still there: the reader, not the node, is the book."""
    before, after = watched(
        served, {"do": "away", "parts": ["stream"]}, {"wait": 0.5}, {**FOREIGN, "quantity": "0.1"},
        {"do": "away", "parts": []}, {"wait": 5},
    )  # fmt: skip
    assert (before, after) == (0.5, 0.5)
    assert served.truth()["positions"] == {"BTCUSDT": "0.6"}


def test_a_listen_key_that_dies_without_a_word_leaves_the_node_deaf(served):
    """N3."""
    before, after = watched(
        served, {"do": "set", "is_deaf": True}, {"do": "expire", "account": "one"},
        {**FOREIGN, "quantity": "0.1"}, {"wait": 4},
    )  # fmt: skip
    assert (before, after) == (0.5, 0.5)
    assert served.truth()["positions"] == {"BTCUSDT": "0.6"}
