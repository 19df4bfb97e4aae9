"""A live trader on the sample's market against the loopback venue, in this process or as a stack.

What it journals is compared with what the venue knows, never with Dolphin.
"""

import asyncio
import contextlib
import os
from decimal import Decimal

import httpx2
import msgspec
import pytest

from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.config.live import LiveSettings
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.journal import database
from dolphin_realtime.journal.check import check
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.replay.exchange.symbols import symbols_of
from dolphin_realtime.replay.market import load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.trader.live_account import opened
from dolphin_realtime.services.trader.live_trader import LiveTrader
from dolphin_realtime.services.trader.live_watch import STARTING
from dolphin_realtime.venues.binance.order_life import PREFIX
from dolphin_realtime.venues.binance.pace import Pace
from tests.exchange.conftest import KEY, READ_KEY, READ_SECRET, SECRET, Served
from tests.integration.conftest import FAST, LOWERED, Desk, eventually, sample_market

QUICK = Pace(check_s=0.3, away_s=0.2, renew_s=0.3, again_s=0.2)
LEVEL_USD = 40_000.0
CAPS = {
    "max_order_usd": 25_000.0, "max_gross_usd": 150_000.0, "max_orders_per_minute": 1000,
    "max_daily_loss_usd": 50_000.0, "leverage": 20,
}  # fmt: skip


class ScanBooks:
    """Books around the newest scan's prices, on the venue's tick: five levels, 1 bp apart."""

    def __init__(self, assets):
        self.symbols = symbols_of(assets)
        self.mids, self.number = {}, 1

    def __call__(self, asset):
        mid = self.mids.get(asset)
        if mid is None:
            return 0, ([], [])
        symbol = self.symbols[asset]
        digits, size = symbol.price_digits, round(LEVEL_USD / mid, symbol.size_digits)
        sides = [
            [(round(mid * (1 + sign * (n + 1) * 1e-4), digits), size) for n in range(5)]
            for sign in (-1, 1)
        ]
        return self.number, tuple(sides)

    def show(self, scan):
        self.mids = dict(zip(scan.assets, scan.prices, strict=True))
        self.number += 1


def key_files(folder):
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, pair in (("trade", (KEY, SECRET)), ("read", (READ_KEY, READ_SECRET))):
        files[name] = folder / name
        files[name].write_text("\n".join(pair) + "\n")
        files[name].chmod(0o600)
    return files


def live_of(served, folder, assets, **more):
    files = key_files(folder)
    return LiveSettings(**{
        "venue": "loopback", "instance": "BLUE", "loopback": served.url,
        "trade_key_file": str(files["trade"]), "read_key_file": str(files["read"]),
        "allow": ",".join(assets), **CAPS, **more,
    })  # fmt: skip


class Market:
    """The sample's last day, scan by scan."""

    def __init__(self):
        self._market, self.first_us = sample_market()
        self._rows = iter(self._market.rows_of(self.first_us, 2**62))
        self.assets = list(load_prices().assets)
        self.n = 0

    def archive(self, home):
        archive_days(self._market, home / "archive", self.first_us - DAY_US, self.first_us)

    def next(self):
        scan = next(iter(self._market.scans_at(next(self._rows))))
        self.n += 1
        return msgspec.structs.replace(scan, scan_number=self.n)


class Told:
    """A service context whose alerts are kept; there is no grid."""

    def __init__(self, home, instances="BLUE"):
        settings = Settings(home=home, instances=instances, market_clock="replay", mode="live")
        self.context = ServiceContext("trader@BLUE", settings, None)
        self.alerts = []
        self.context.alert = lambda asset, check, state, facts, book: (
            self.alerts.append((check, state, facts["why"])) or True
        )


class Scene:
    """One live trader in this process; `scan` lets it handle the next scan."""

    def __init__(self, home, served, market, told, trader):
        self.home, self.served, self.market = home, served, market
        self.told, self.trader = told, trader
        self.posture = TradingPermission()
        self._busy = asyncio.Lock()

    async def ctl(self, do, **fields):
        return await asyncio.to_thread(lambda: self.served.ctl(do, **fields))

    async def scan(self, limits=None):
        """Handle the next scan and return its plan."""
        scan = self.market.next()
        self.served.books.show(scan)
        scan = msgspec.structs.replace(scan, epoch=1)
        async with self._busy:
            block = self.trader.watch_live.entry_block()
            allowed = limits or TradingPermission(posture=self.posture.posture, entry_block=block)
            plan = self.trader.session.begin(scan, allowed)
            await self.trader.session.finish(plan)
        return plan

    async def book(self):
        """Book what came, for ever, when no scan is handled."""
        while True:
            async with self._busy:
                self.trader.turn.book_queued()
            await asyncio.sleep(0.005)

    async def until_traded(self, n_scans=40):
        """Handle scans until an order was sent, and return the plan."""
        for _ in range(n_scans):
            plan = await self.scan()
            if plan.orders:
                return plan
        raise AssertionError("nothing was traded")

    async def quiet(self, timeout_s=30.0):
        """Wait until nothing is in flight or sought, and all is journalled and true."""
        journal = self.trader.session.journal
        await until(
            lambda: (
                not self.trader.portfolio.in_flight
                and not self.trader.engine.watch.is_asking
                and not self.trader.booking.queue
                and journal.n_committed == journal.n_handed
                and untrue(self.served, self.home) == ""
            ),
            timeout_s,
            lambda: (
                f"{list(self.trader.portfolio.in_flight)} in flight, {untrue(self.served, self.home)},"
                f" {self.trader.booking.mismatch}"
            ),
        )


async def until(is_so, timeout_s=20.0, what=lambda: "the condition"):
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not await asyncio.to_thread(is_so):
        if loop.time() > deadline:
            raise AssertionError(f"{what()} was not met in {timeout_s:.0f} s")
        await asyncio.sleep(0.02)


def untrue(served, home, instance="BLUE"):
    """Return in what a journal differs from the venue's truth; empty if in nothing."""
    truth = httpx2.get(f"{served.url}/ctl/truth", params={"account": "one"}).json()
    db = database.open_read_only(home / "journal" / instance)
    try:
        fills = db.execute(
            "SELECT fill_id, asset, side, quantity, price, fee_paid, fee_asset, venue_realised,"
            " venue_order_id FROM fills"
        ).fetchall()
        income = db.execute("SELECT kind, asset, amount FROM income").fetchall()
        wallets = msgspec.json.decode(database.meta(db, "start_wallets"), type=dict[str, Decimal])
    finally:
        db.close()
    mine, positions = {}, {}
    for fill_id, asset, side, quantity, price, fee, fee_asset, realised, order in fills:
        mine[fill_id] = (side, quantity, price, fee, order)
        signed = Decimal(repr(quantity)) * (1 if side == "BUY" else -1)
        positions[asset] = positions.get(asset, 0) + signed
        wallets["USDT"] += Decimal(repr(realised))
        wallets[fee_asset] = wallets.get(fee_asset, Decimal(0)) - Decimal(repr(fee))
    for kind, asset, amount in income:
        if kind not in ("REALIZED_PNL", "COMMISSION"):
            wallets[asset] += Decimal(repr(amount))
    theirs = {
        f"{t['symbol']}:{t['id']}": (
            t["side"], float(t["qty"]), float(t["price"]), float(t["commission"]), t["orderId"]
        )
        for t in truth["trades"]
    }  # fmt: skip
    if mine != theirs:
        return f"trades {sorted(mine.items() ^ theirs.items())[:4]}"
    held = {a: q for a, q in positions.items() if q}
    if held != {s: Decimal(q) for s, q in truth["positions"].items()}:
        return f"positions {held} {truth['positions']}"
    for asset, amount in truth["wallets"].items():
        if abs(wallets.get(asset, Decimal(0)) - Decimal(amount)) > Decimal("1e-6"):
            return f"wallet {asset} {wallets.get(asset)} {amount}"
    return ""


def ids_at(served):
    """Return the client ids of every order that the venue ever took."""
    return [o["clientOrderId"] for o in served.truth()["orders"]]


def sent_twice(served):
    """Return client ids that reached the venue more than once."""
    seen, twice = set(), set()
    for one in ids_at(served):
        (twice if one in seen else seen).add(one)
    return twice


def is_ours(client_id):
    return client_id.startswith(PREFIX)


@contextlib.asynccontextmanager
async def trading(home, served, market, **more):
    """Run a live trader in this process."""
    told = Told(home)
    live = live_of(served, home / "keys", market.assets, **more)
    async with opened(live, 5.0) as account:
        trader = LiveTrader(told.context, "BLUE", account)
        trader.reader._pace = QUICK
        trader.reader.stream._renew_s = QUICK.renew_s
        if not trader.is_restored:
            await trader._warm_up()
        try:
            async with trader.up():
                scene = Scene(home, served, market, told, trader)
                trader.booking.wake = lambda: None
                booking = asyncio.create_task(scene.book())
                try:
                    await until(lambda: STARTING not in trader.watch_live.found)
                    yield scene
                finally:
                    booking.cancel()
                    await asyncio.gather(booking, return_exceptions=True)
        finally:
            trader.journal.close()


@pytest.fixture
def market():
    return Market()


@pytest.fixture
def lowered(monkeypatch):
    """Trade often, and let a reader that asks thirty times as often as usual have the weight."""
    monkeypatch.setattr("dolphin_realtime.replay.exchange.limits.WEIGHT_1M", 240_000)
    monkeypatch.setattr("dolphin_realtime.venues.binance.rest.WEIGHT_MAX", 180_000)
    monkeypatch.setattr("dolphin_realtime.venues.binance.rest.WEIGHT_URGENT", 230_000)
    for name, value in LOWERED.items():
        monkeypatch.setenv(f"DOLPHIN_{name.upper()}", str(value))


@pytest.fixture
def at_venue(market):
    """A venue that shows the market's books, with one account of 100,000 USDT."""
    is_shared = os.environ.get("LIVE_SHARED_KEY") == "1"  # a listen key an account, not an API key
    books = ScanBooks(market.assets)
    with Served(assets=market.assets, books=books, keys_by_account=is_shared) as one:
        yield one


@pytest.fixture
async def scene(tmp_path, at_venue, market, lowered):
    market.archive(tmp_path)
    async with trading(tmp_path, at_venue, market) as one:
        yield one


def checked(home, instance="BLUE"):
    found = check(home / "journal" / instance)
    assert found.ok, found.first_break
    return found.rows


class LiveDesk(Desk):
    """A real stack whose trader is live at the venue, with a hand on its scans and its books."""

    def __init__(self, home, served, market, **settings):
        market.archive(home)
        live = live_of(served, home / "keys", market.assets)
        told = {f"live_{name}": value for name, value in msgspec.to_builtins(live).items() if value}
        own = {**FAST, **LOWERED, "mode": "live", **told, **settings}
        super().__init__(Stack(home, "--no-dagster", **own), market._market, market.first_us)
        self.home, self.served = home, served

    def next_scan(self):
        scan = super().next_scan()
        self.served.books.show(scan)
        return scan

    def quiet(self, timeout_s=40.0):
        """Wait until the journal is the venue's truth and no order is without an end."""
        open_orders = (
            "SELECT count(*) FROM orders WHERE client_order_id NOT IN"
            " (SELECT client_order_id FROM order_events WHERE state <> 'UNKNOWN')"
        )
        eventually(
            lambda: untrue(self.served, self.home) == "" and self.query(open_orders) == [(0,)],
            timeout_s,
            lambda: f"the truth: {untrue(self.served, self.home)}, {self.query(open_orders)} open",
        )
