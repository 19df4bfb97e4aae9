"""The loopback venue of mark prices in a thread of its own."""

import asyncio
import threading

from aiohttp import web

from dolphin_realtime.bench.stack import free_port
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.replay.market import load_prices
from dolphin_realtime.replay.marks import MarkVenue


class RecordedVenue(MarkVenue):
    """Remembers when it sent marks, on its own clock; can send what no venue should.

    Attributes:
        besides: Marks that go with each message: of a symbol, with a clock that is so many seconds off, a price.
        lists_nothing: Whether its listing is empty.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.sent_us: list[int] = []
        self.besides: list[tuple[str, float, object]] = []
        self.lists_nothing = False

    def marks(self):
        self.sent_us.append(self.now_us())
        now_ms = self.now_us() // 1000
        odd = [
            {"s": symbol, "E": int(now_ms + off_s * 1000), "p": price}
            for symbol, off_s, price in self.besides
        ]
        return [*odd, *super().marks()]

    async def _info(self, request):
        if self.lists_nothing:
            return web.json_response({"timezone": "UTC", "serverTime": 0, "symbols": []})
        return await super()._info(request)


class Served:
    """A venue that serves until it is closed; `call` runs a coroutine of its loop."""

    def __init__(self, speed: float = 1.0, behind_us: int = 0) -> None:
        table = load_prices()
        self.port = free_port()
        self.venue = RecordedVenue(table, int(table.times_us[0]) + 2 * DAY_US, speed, behind_us)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner = self.call(self.venue.serve(self.port))

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    @property
    def settings(self) -> dict[str, object]:
        return {
            "scanner_ws": f"ws://127.0.0.1:{self.port}/market",
            "scanner_rest": f"http://127.0.0.1:{self.port}",
            "scanner_simulated": "recorded prices, shifted to now",
        }

    def close(self) -> None:
        self.call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
