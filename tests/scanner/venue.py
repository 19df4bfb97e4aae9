"""The loopback venue of mark prices in a thread of its own."""

import asyncio
import threading

from dolphin_realtime.bench.stack import free_port
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.replay.market import load_prices
from dolphin_realtime.replay.marks import MarkVenue


class RecordedVenue(MarkVenue):
    """Remembers when it sent marks, on its own clock."""

    def __init__(self, *args):
        super().__init__(*args)
        self.sent_us: list[int] = []

    def marks(self):
        self.sent_us.append(self.now_us())
        return super().marks()


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
