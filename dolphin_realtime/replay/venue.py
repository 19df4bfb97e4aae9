"""A venue's depth stream and REST snapshot on loopback, in Binance USD-M's wire format.

Sequence numbers, differences between books and serving them belong here; the books belong in
books.py. It can misbehave on demand: drop an update, cross a book, hang up.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from dolphin_realtime.model.market.order_book import Level
from dolphin_realtime.replay.books import BookSource, ReplayClock, Sides

TICK_S: Final = 0.1
FIRST_ID: Final = 1_000_000


class _Served:
    """One asset's current book at the venue."""

    def __init__(self) -> None:
        self.sides: Sides = ([], [])
        self.last_id = FIRST_ID
        self.event_ms = 0

    def move(self, sides: Sides, event_ms: int, symbol: str) -> dict[str, Any]:
        """Switch to a new book and return the depth update for it."""
        bids = _difference(self.sides[0], sides[0])
        asks = _difference(self.sides[1], sides[1])
        previous, first = self.last_id, self.last_id + 1
        self.last_id += max(1, len(bids) + len(asks))
        self.sides, self.event_ms = sides, event_ms
        return {
            "e": "depthUpdate", "E": event_ms, "T": event_ms, "s": symbol,
            "U": first, "u": self.last_id, "pu": previous, "b": bids, "a": asks,
        }  # fmt: skip


def _difference(old: list[Level], new: list[Level]) -> list[list[str]]:
    before, after = dict(old), dict(new)
    changed = [[_text(p), _text(q)] for p, q in after.items() if before.get(p) != q]
    return changed + [[_text(p), "0"] for p in before if p not in after]


def _text(value: float) -> str:
    return repr(value)


class ReplayVenue:
    """Serves the books of a source; `tick` moves every book by one step.

    Attributes:
        skip: Assets whose next update is made but not sent, so that their sequence breaks.
        cross: Assets shown with a crossed book.
    """

    def __init__(self, source: BookSource, clock: ReplayClock, assets: list[str]) -> None:
        self._source, self._clock = source, clock
        self._served = {asset: _Served() for asset in assets}
        self._subscribers: dict[ServerConnection, set[str]] = {}
        self._n_ticks = 0
        self.skip: set[str] = set()
        self.cross: set[str] = set()

    def shown(self, asset: str) -> tuple[int, Sides]:
        """Return the sequence number of an asset's current book, and its sides."""
        served = self._served.get(asset)
        return (0, ([], [])) if served is None else (served.last_id, served.sides)

    async def tick(self) -> None:
        """Move every book and send the updates."""
        now_ms = self._clock.now_us() // 1000
        messages = {}
        for asset, served in self._served.items():
            sides = self._source.book(asset, self._n_ticks)
            if sides is None:
                continue
            if asset in self.cross:
                sides = (sides[1], sides[0])
            messages[asset] = served.move(sides, now_ms, asset)
        self._n_ticks += 1
        for connection, wanted in list(self._subscribers.items()):
            for asset in wanted & messages.keys() - self.skip:
                await self._send(connection, asset, messages[asset])
        self.skip.clear()

    async def _send(self, connection: ServerConnection, asset: str, update: dict[str, Any]) -> None:
        envelope = {"stream": f"{asset.lower()}@depth@100ms", "data": update}
        try:
            await connection.send(msgspec.json.encode(envelope).decode())
        except ConnectionClosed:
            self._subscribers.pop(connection, None)

    async def hang_up(self) -> None:
        """Close every connection."""
        for connection in list(self._subscribers):
            await connection.close()

    async def serve(self, port: int) -> Server:
        """Listen on loopback for websockets and for `/fapi/v1/depth`."""
        return await serve(self._stream, "127.0.0.1", port, process_request=self._answer)

    async def _stream(self, connection: ServerConnection) -> None:
        query = parse_qs(urlsplit(connection.request.path if connection.request else "").query)
        names = query.get("streams", [""])[0].split("/")
        self._subscribers[connection] = {n.split("@")[0].upper() for n in names}
        try:
            await connection.wait_closed()
        finally:
            self._subscribers.pop(connection, None)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002
        """Answer a plain request; None lets the websocket handshake go on."""
        url = urlsplit(request.path)
        if url.path == "/stream":
            return None
        symbol = parse_qs(url.query).get("symbol", [""])[0]
        served = self._served.get(symbol)
        if url.path != "/fapi/v1/depth" or served is None:
            return _response(HTTPStatus.BAD_REQUEST, {"code": -1121, "msg": "Invalid symbol."})
        body = {
            "lastUpdateId": served.last_id,
            "E": served.event_ms,
            "T": served.event_ms,
            "bids": [[_text(p), _text(q)] for p, q in served.sides[0]],
            "asks": [[_text(p), _text(q)] for p, q in served.sides[1]],
        }
        return _response(HTTPStatus.OK, body)


def _response(status: HTTPStatus, body: dict[str, Any]) -> Response:
    data = msgspec.json.encode(body)
    headers = Headers()
    headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(data))
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, data)


async def run_venue(
    venue: ReplayVenue, port: int, stopping: asyncio.Event, beside: AbstractAsyncContextManager[Any]
) -> None:
    """Serve and tick until stopped, within ``beside``.

    Raises:
        OSError: If the port is taken.
    """
    server = await venue.serve(port)
    async with server, beside:
        while not stopping.is_set():
            await venue.tick()
            await asyncio.sleep(TICK_S)
