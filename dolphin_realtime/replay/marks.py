"""A venue's public market data on loopback, in Binance USD-M's wire format: marks, candles, listing.

Prices are those of a record, shifted to the venue's clock; between its minutes they move evenly. The venue can
hang up, halt an asset, delist and list one.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

import numpy as np
from aiohttp import WSMsgType, web

from dolphin_realtime.replay.market import PriceTable

US: Final = 1_000_000
MINUTE_MS: Final = 60_000
MOST_CANDLES: Final = 1500
MARKS: Final = "!markPrice@arr@1s"
LISTING: Final = "!contractInfo"


class MarkVenue:
    """Public data of the assets of a record.

    Args:
        table: The record.
        record_us: Where in the record the venue is at its start.
        speed: Seconds of the venue's clock for one second of wall time.
        behind_us: How far its clock is behind at the start; a fast one must not overtake the wall's.

    Attributes:
        statuses: Contracts by name, with the status that `exchangeInfo` shows.
        halted: Assets that are listed and have no mark price now.
        is_away: Whether every request is refused and nobody may connect.
    """

    def __init__(
        self, table: PriceTable, record_us: int, speed: float = 1.0, behind_us: int = 0
    ) -> None:
        self._times, self._log = table.times_us, np.log(table.prices)
        self._columns = {name: n for n, name in enumerate(table.assets)}
        self._record_us, self._speed = record_us, speed
        self._origin_us, self._began = time.time_ns() // 1000 - behind_us, time.monotonic()
        self._sockets: set[web.WebSocketResponse] = set()
        self.statuses = dict.fromkeys(table.assets, "TRADING")
        self.halted: set[str] = set()
        self.is_away = False

    def now_us(self) -> int:
        """Return the venue's time."""
        return self._origin_us + round((time.monotonic() - self._began) * self._speed * US)

    def price(self, asset: str, at_us: int) -> float:
        """Return an asset's mark price at a time of the venue's clock; the record is repeated."""
        span = int(self._times[-1] - self._times[0])
        at = self._times[0] + (self._record_us - self._times[0] + at_us - self._origin_us) % span
        return float(np.exp(np.interp(at, self._times, self._log[:, self._columns[asset]])))

    async def serve(self, port: int) -> web.AppRunner:
        """Listen on loopback; the caller cleans the runner up."""
        app = web.Application(middlewares=[self._refuse_if_away])
        for route in ("/market", "", "/public", "/private"):
            app.router.add_get(f"{route}/stream", self._stream)
        app.router.add_get("/fapi/v1/exchangeInfo", self._info)
        app.router.add_get("/fapi/v1/ticker/24hr", self._day)
        app.router.add_get("/fapi/v1/markPriceKlines", self._candles)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    async def hang_up(self) -> None:
        """Close every stream."""
        for socket in list(self._sockets):
            await socket.close()

    @web.middleware
    async def _refuse_if_away(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.is_away:
            raise web.HTTPServiceUnavailable
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one socket. Off its route /market it says nothing, as the venue does since April 2026."""
        is_routed = request.path.startswith("/market/")
        asked = {name for name in request.query.get("streams", "").split("/") if name}
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        sending = asyncio.create_task(self._send(socket, asked if is_routed else set()))
        try:
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
                if message.type is WSMsgType.TEXT:
                    told = message.json()
                    asked.update(told["params"] if told["method"] == "SUBSCRIBE" else ())
                    await socket.send_json({"result": None, "id": told["id"]})
        finally:
            self._sockets.discard(socket)
            sending.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sending
        return socket

    async def _send(self, socket: web.WebSocketResponse, asked: set[str]) -> None:
        told = dict(self.statuses)
        while not socket.closed:
            for asset, status in self.statuses.items() if LISTING in asked else ():
                if told.get(asset) != status:
                    told[asset] = status
                    await socket.send_json({"stream": LISTING, "data": self._contract(asset)})
            if MARKS in asked:
                await socket.send_json({"stream": MARKS, "data": self.marks()})
            await asyncio.sleep(max(0.05, 1.0 / self._speed))

    def _contract(self, asset: str) -> dict[str, Any]:
        return {"e": "contractInfo", "E": self.now_us() // 1000, "s": asset, "ps": asset, "ct": "PERPETUAL",
                "dt": 4133404800000, "ot": 1569398400000, "cs": self.statuses[asset]}  # fmt: skip

    def marks(self) -> list[dict[str, Any]]:
        """Return a message of the stream."""
        now_us = self.now_us()
        following = (now_us // (8 * 3600 * US) + 1) * 8 * 3600 * 1000
        return [
            {"e": "markPriceUpdate", "E": now_us // 1000, "s": asset, "p": _text(price), "i": _text(price),
             "P": _text(price), "r": "0.00010000", "T": following}
            for asset in self._shown()
            for price in (self.price(asset, now_us),)
        ]  # fmt: skip

    def _shown(self) -> list[str]:
        return [
            a for a, status in self.statuses.items() if status == "TRADING" and a not in self.halted
        ]

    async def _info(self, _: web.Request) -> web.Response:
        symbols = [
            {"symbol": a, "pair": a, "contractType": "PERPETUAL", "status": status,
             "baseAsset": a.removesuffix("USDT"), "quoteAsset": "USDT", "marginAsset": "USDT"}
            for a, status in self.statuses.items()
        ]  # fmt: skip
        return web.json_response(
            {"timezone": "UTC", "serverTime": self.now_us() // 1000, "symbols": symbols}
        )

    async def _day(self, _: web.Request) -> web.Response:
        now_us = self.now_us()
        rows = [
            {"symbol": a, "lastPrice": _text(self.price(a, now_us)), "quoteVolume": f"{1e9 / (n + 1):.2f}"}
            for n, a in enumerate(self.statuses)
        ]  # fmt: skip
        return web.json_response(rows)

    async def _candles(self, request: web.Request) -> web.Response:
        asset, most = request.query.get("symbol", ""), int(request.query.get("limit", "500"))
        if asset not in self.statuses:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        if request.query.get("interval") != "1m" or not 1 <= most <= MOST_CANDLES:
            return web.json_response(
                {"code": -1130, "msg": "Data sent for parameter is not valid."}, status=400
            )
        last = self.now_us() // 1000 // MINUTE_MS
        rows = [self._candle(asset, minute) for minute in range(last - most + 1, last + 1)]
        return web.json_response(rows)

    def _candle(self, asset: str, minute: int) -> list[Any]:
        opened = minute * MINUTE_MS
        closed = min(opened + MINUTE_MS, self.now_us() // 1000) - 1
        first, last = (self.price(asset, at * 1000) for at in (opened, closed))
        high, low = max(first, last), min(first, last)
        prices = [_text(p) for p in (first, high, low, last)]
        return [opened, *prices, "0", opened + MINUTE_MS - 1, "0", 60, "0", "0", "0"]


def _text(price: float) -> str:
    return f"{price:.8f}"
