"""The replay's own venue: orders meet the book that its depth stream shows, on the venue's tick."""

import os
import subprocess
import sys
import time
from decimal import Decimal

import httpx2
import pytest

from dolphin_realtime.infra.ports import next_free
from dolphin_realtime.replay.books import OnTick
from tests.exchange.test_sdk import buy, sdk_of


@pytest.fixture
def replay(tmp_path):
    """Ports of a running replay: depth stream, exchange."""
    depth = next_free(22_000)
    exchange = next_free(depth + 1)
    key = tmp_path / "key"
    key.write_text("a\nb\n")
    key.chmod(0o600)
    env = {
        **os.environ, "DOLPHIN_HOME": str(tmp_path), "DOLPHIN_REPLAY_ARCHIVE_DAYS": "0",
        "DOLPHIN_REPLAY_VENUE_PORT": str(depth), "DOLPHIN_REPLAY_EXCHANGE_PORT": str(exchange),
        "DOLPHIN_REPLAY_EXCHANGE_TRADE_KEY": str(key),
    }  # fmt: skip
    command = [sys.executable, "-m", "dolphin_realtime.cli", "service", "replay"]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as p:
        try:
            yield depth, exchange
        finally:
            p.terminate()


class Replayed:
    """What `sdk_of` asks of a served venue."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"


def shown(depth):
    """Return the book of BTCUSDT once the replay shows one."""
    deadline = time.monotonic() + 30.0
    while True:
        try:
            book = httpx2.get(f"http://127.0.0.1:{depth}/fapi/v1/depth?symbol=BTCUSDT").json()
        except httpx2.TransportError:
            book = {}
        if book.get("asks"):
            return book
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_order_meets_the_book_that_is_shown(replay):
    depth, exchange = replay
    book = shown(depth)
    prices = [Decimal(price) for side in ("bids", "asks") for price, _ in book[side]]
    assert all(price == price.quantize(Decimal("0.1")) for price in prices)
    sdk = sdk_of(Replayed(exchange), "a", "b")
    assert buy(sdk, "0.010").status == "NEW"
    (position,) = sdk.position_information_v3().data()
    (trade,) = sdk.account_trade_list(symbol="BTCUSDT").data()
    assert Decimal(position.position_amt) == Decimal("0.010")
    best = Decimal(book["asks"][0][0])
    assert abs(Decimal(trade.price) / best - 1) < Decimal("0.01")
    assert Decimal(trade.price) == Decimal(trade.price).quantize(Decimal("0.1"))


class One:
    """A source with one book."""

    def book(self, asset, tick):
        assert (asset, tick) == ("A", 7)
        return [(99.99, 1.0), (99.94, 2.0), (0.04, 3.0)], [(100.01, 1.0), (100.06, 2.0)]


def test_bids_are_rounded_down_and_asks_up_to_the_tick():
    assert OnTick(One(), {"A": (1, 1)}).book("A", 7) == (
        [(99.9, 3.0)], [(100.1, 3.0)]
    )  # fmt: skip
    assert OnTick(One(), {"A": (2, 1)}).book("A", 7) == One().book("A", 7)
