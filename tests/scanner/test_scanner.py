"""A stack without NG6: public marks of a loopback venue are scanned, traded, and go on after every fault."""

import asyncio
import itertools
import json
import subprocess
import sys
import time

import ccxt
import numpy as np
import pytest
from binance_common.configuration import ConfigurationWebSocketStreams
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)

from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.model.market.return_window import eigenvalues
from dolphin_realtime.scans.files import parse_scan
from dolphin_realtime.scans.judge import judge_files
from dolphin_realtime.services.scanner.marks import marks
from tests.exchange.test_streams import until
from tests.integration.conftest import LOWERED, eventually
from tests.journals import rows
from tests.scanner.venue import Served

pytestmark = pytest.mark.timeout(300)
SETTINGS = {
    "safety_cool_down_s": 1, "mhs_sources": "scan,safety,state", "restart_pause_s": 0.2,
    "start_limit_burst": 50, "scanner_cadence_s": 1.0, "firewall": "off", **LOWERED,
}  # fmt: skip


class Cell:
    def __init__(self, stack, served):
        self.stack, self.served, self.scans = stack, served, stack.home / "scans"

    def query(self, text):
        return rows(self.stack.home / "journal" / "BLUE", text)

    def acted(self):
        text = "SELECT count(*) FROM equity WHERE is_acted_on AND entry_block IS NULL AND posture = 'NORMAL'"
        found = self.query(text)
        return found[0][0] if found else 0

    def newest(self):
        paths = sorted(self.scans.glob("*/scan_*.arrow"), key=lambda p: p.stat().st_mtime_ns)
        return parse_scan(paths[-1].read_bytes(), "newest") if paths else None

    def kill(self, name):
        before = self.stack.service(name).pid
        self.stack.request(do="restart", name=name)
        assert self.stack.service(name).pid != before


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    served = Served()
    stack = Stack(
        tmp_path_factory.mktemp("scanned") / "home", "--no-dagster", **SETTINGS, **served.settings
    )
    began = time.monotonic()
    try:
        with stack:
            made = Cell(stack, served)
            eventually(
                made.acted, 90, lambda: (stack.home / "logs" / "scanner.log").read_text()[-1500:]
            )
            made.first_s = time.monotonic() - began
            yield made
    finally:
        served.close()


def test_the_first_decision_on_live_prices_comes_within_ten_minutes(cell, capsys):
    with capsys.disabled():
        print(f"\nfrom `up` to the first scan acted on: {cell.first_s:.1f} s")
    assert cell.first_s < 600
    reasons = dict(cell.query("SELECT reason, count(*) FROM decisions GROUP BY reason"))
    late = cell.query(
        "SELECT count(*) FROM equity WHERE NOT is_acted_on OR entry_block = 'CLOCK_SKEW'"
    )
    assert late[0][0] > 300, "the past minutes warm the signal and are not acted on"
    # Near a settlement (08:00 UTC) the calendar's gate is closed for two minutes.
    eventually(lambda: cell.query("SELECT 1 FROM orders LIMIT 1"), 180, lambda: str(reasons))


def test_its_files_are_what_the_format_says_and_equal_those_of_the_replay_in_form(cell):
    found = judge_files(cell.scans)
    assert found.wrong == []
    assert found.warnings == []
    assert found.scans > 400


def test_a_scan_holds_the_marks_and_the_spectrum_of_the_last_whole_minutes(cell):
    scan, venue = cell.newest(), cell.served.venue
    assert scan.assets == sorted(venue.statuses)
    for asset, price in zip(scan.assets, scan.prices, strict=True):
        assert price == pytest.approx(venue.price(asset, scan.timestamp_us), rel=1e-6)
    minute = scan.timestamp_us // 60_000_000 - 1
    ends = [(m + 1) * 60_000_000 - 1 for m in range(minute - 240, minute + 1)]
    closes = np.array([[venue.price(a, end) for a in scan.assets] for end in ends])
    expected = eigenvalues(np.diff(np.log(closes), axis=0))
    assert sum(scan.eigenvalues) == pytest.approx(16)
    assert scan.eigenvalues[:5] == pytest.approx(expected[:5], rel=0.02)


def test_after_a_hang_up_scans_come_again_and_none_is_made_of_old_prices(cell):
    number = cell.newest().scan_number
    cell.served.call(cell.served.venue.hang_up())
    eventually(lambda: cell.newest().scan_number > number + 3, 40, "scans after the hang-up")
    cell.served.venue.is_away = True
    cell.served.call(cell.served.venue.hang_up())
    time.sleep(4.5)
    silent = cell.newest().scan_number
    time.sleep(3.0)
    assert cell.newest().scan_number == silent, "no scan without marks"
    cell.served.venue.is_away = False
    eventually(lambda: cell.newest().scan_number > silent + 2, 60, "scans after the outage")
    assert judge_files(cell.scans).wrong == []


def test_a_delisted_asset_leaves_the_scans_and_a_listed_one_joins_them_at_once(cell):
    venue, pid = cell.served.venue, cell.stack.service("scanner").pid
    venue.statuses["LTCUSDT"] = "SETTLING"
    eventually(lambda: "LTCUSDT" not in cell.newest().assets, 60, "the delisted asset gone")
    venue.statuses["LTCUSDT"] = "TRADING"
    eventually(lambda: "LTCUSDT" in cell.newest().assets, 60, "the listed asset there")
    assert cell.stack.service("scanner").pid == pid
    assert judge_files(cell.scans).wrong == []


def test_a_halted_asset_has_no_price_and_a_restart_goes_on_after_the_last_scan(cell):
    venue = cell.served.venue
    venue.halted = {"XRPUSDT"}

    def has_no_price():
        scan = cell.newest()
        return scan.prices[scan.assets.index("XRPUSDT")] is None

    eventually(has_no_price, 60, "the halted asset without a price")
    venue.halted = set()
    number = cell.newest().scan_number
    cell.kill("scanner")
    eventually(lambda: cell.newest().scan_number > number + 3, 60, "scans after the restart")
    assert judge_files(cell.scans).wrong == []
    epochs = cell.query("SELECT DISTINCT epoch FROM equity")
    assert epochs == [(1,)]


def test_candles_and_marks_are_read_by_a_client_that_others_wrote(cell):
    venue = ccxt.binanceusdm({"enableRateLimit": False})
    base = f"http://127.0.0.1:{cell.served.port}/fapi/v1"
    venue.urls["api"]["fapiPublic"] = base
    rows = venue.fapipublic_get_markpriceklines({"symbol": "BTCUSDT", "interval": "1m", "limit": 5})
    candles = [venue.parse_ohlcv(row) for row in rows]
    opened = [c[0] for c in candles]
    assert [b - a for a, b in itertools.pairwise(opened)] == [60_000] * 4
    assert candles[0][4] == pytest.approx(
        cell.served.venue.price("BTCUSDT", (opened[0] + 59_999) * 1000), rel=1e-7
    )
    mark = cell.served.venue.marks()[0]
    assert set(mark) == {"e", "E", "s", "p", "i", "P", "r", "T"}


def test_what_no_venue_should_send_decides_about_nothing_else(cell):
    venue, number = cell.served.venue, cell.newest().scan_number
    venue.besides = [
        ("BTCUSD_PERP", 10**9, "1"), ("BTCUSDT", 61, "7"), ("ETHUSDT", 0, 1.5), ("ADAUSDT", 0, "NaN"),
        ("<b>", 0, "1"), ("XRPUSDT", -3600, "9"), ("SOLUSDT", 0, None),
    ]  # fmt: skip
    try:
        eventually(lambda: cell.newest().scan_number > number + 5, 30, "scans")
        scan = cell.newest()
    finally:
        venue.besides = []
    assert scan.assets == sorted(venue.statuses)
    for asset, price in zip(scan.assets, scan.prices, strict=True):
        assert price == pytest.approx(venue.price(asset, scan.timestamp_us), rel=1e-6), asset
    told = (cell.stack.home / "logs" / "scanner.log").read_text()
    assert "bad_mark" in told


def test_an_empty_listing_is_not_believed(cell):
    venue, number = cell.served.venue, cell.newest().scan_number
    venue.lists_nothing = True
    venue.statuses["LTCUSDT"] = "SETTLING"
    log = cell.stack.home / "logs" / "scanner.log"
    eventually(lambda: "listing_unread" in log.read_text(), 40, "the empty listing")
    assert len(cell.newest().assets) == 16
    assert cell.newest().scan_number > number, "scans go on"
    venue.lists_nothing = False
    eventually(lambda: "LTCUSDT" not in cell.newest().assets, 60, "the delisted asset gone")
    venue.statuses["LTCUSDT"] = "TRADING"
    eventually(lambda: "LTCUSDT" in cell.newest().assets, 60, "the listed asset there")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK's own, of aiohttp
async def test_marks_and_listings_are_read_by_the_exchanges_own_sdk(cell):
    """It asks for both below /market, and its models read what the venue on loopback sends."""
    venue = cell.served.venue
    streams = DerivativesTradingUsdsFutures(
        config_ws_streams=ConfigurationWebSocketStreams(
            stream_url=f"ws://127.0.0.1:{cell.served.port}"
        )
    ).websocket_streams
    connection = await streams.create_connection()
    heard, contracts = [], []
    try:
        every_second = "1s"
        (await connection.mark_price_stream_for_all_market(update_speed=every_second)).on(
            "message", heard.append
        )
        (await connection.contract_info_stream()).on("message", contracts.append)
        await until(lambda: heard)
        venue.statuses["LTCUSDT"] = "SETTLING"
        await until(lambda: contracts)
    finally:
        venue.statuses["LTCUSDT"] = "TRADING"
        await connection.close_connection(close_session=True)
    assert (contracts[0].s, contracts[0].cs) == ("LTCUSDT", "SETTLING")


async def test_off_its_route_the_venue_says_nothing_and_that_is_told():
    served, faults = Served(), []
    asked = marks(served.settings["scanner_ws"].removesuffix("/market"), faults.append)
    try:
        assert await anext(asked) is None
        following = asyncio.create_task(anext(asked))
        await until(lambda: faults, 20.0)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await asked.aclose()
    finally:
        served.close()
    assert faults == ["stream_lost: TimeoutError: nothing came that can be read for 10 s"]


def test_the_command_judges_a_folder(cell):
    command = [
        sys.executable,
        "-m",
        "dolphin_realtime.cli",
        "scan",
        "check",
        str(cell.scans),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=cell.stack.env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scans"] > 400
