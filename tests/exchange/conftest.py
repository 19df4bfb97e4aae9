"""The loopback venue in a thread, with books that move when a test says so."""

import asyncio
import threading
from decimal import Decimal

import httpx2
import pytest

from dolphin_realtime.replay.exchange.keys import ApiKey
from dolphin_realtime.replay.exchange.server import LoopbackVenue
from dolphin_realtime.replay.exchange.symbols import symbols_of

ASSETS = ["BTCUSDT", "ETHUSDT", "XRPUSDT", "BNBUSDT", "NEWUSDT"]
MIDS = {"BTCUSDT": 60_000.0, "ETHUSDT": 3000.0, "XRPUSDT": 0.5, "BNBUSDT": 600.0}
TICKS = {"BTCUSDT": 1, "ETHUSDT": 2, "XRPUSDT": 4, "BNBUSDT": 2}
KEY, SECRET = "trade-key", "trade-secret"
READ_KEY, READ_SECRET = "read-key", "read-secret"
LEVELS = 5
LEVEL_USD = 30_000.0


class Books:
    """Symmetric books around a mid on the symbol's tick, five levels of LEVEL_USD, 1 bp apart."""

    def __init__(self):
        self.mids, self.number = dict(MIDS), 1

    def __call__(self, asset):
        mid = self.mids.get(asset)
        if mid is None:
            return 0, ([], [])
        steps = [(n + 1) * 1e-4 for n in range(LEVELS)]
        size, digits = round(LEVEL_USD / mid, 3), TICKS[asset]
        bids = [(round(mid * (1 - s), digits), size) for s in steps]
        asks = [(round(mid * (1 + s), digits), size) for s in steps]
        return self.number, (bids, asks)

    def move(self, asset=None, mid=None):
        if asset is not None:
            self.mids[asset] = mid
        self.number += 1


class Served:
    """A venue that runs in a thread of its own.

    Attributes:
        url: Base of its REST paths.
    """

    def __init__(self, *, keys_by_account=False, assets=ASSETS, books=None):
        self.books = books or Books()
        self.venue = LoopbackVenue(symbols_of(assets), self.books, keys_by_account=keys_by_account)
        self.account = self.venue.exchange.open_account("one", Decimal(100_000), Decimal(10))
        self.venue.keyring.add(ApiKey(key=KEY, account="one", secret=SECRET))
        self.venue.keyring.add(
            ApiKey(key=READ_KEY, account="one", secret=READ_SECRET, may_trade=False)
        )
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        async with self.venue.serving(0) as port:
            self.port = port
            self.url = f"http://127.0.0.1:{port}"
            self.ws_url = f"ws://127.0.0.1:{port}"
            self._ready.set()
            await self._ending.wait()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(20)

    def ctl(self, do, **fields):
        answer = httpx2.post(f"{self.url}/ctl", json={"do": do, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()["answer"]

    def truth(self):
        return httpx2.get(f"{self.url}/ctl/truth", params={"account": "one"}).json()


@pytest.fixture
def served():
    """A fresh venue with one account of 100,000 USDT and 10 BNB."""
    with Served() as one:
        yield one
