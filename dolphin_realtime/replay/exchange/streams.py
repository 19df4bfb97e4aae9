"""The user streams: sockets by listen key, events to each in their order, and their faults."""

import asyncio
import contextlib
from typing import Any

import msgspec
from aiohttp import web

from dolphin_realtime.replay.exchange.faults import Faults
from dolphin_realtime.replay.exchange.keys import ListenKey, ListenKeys

_encoder = msgspec.json.Encoder()


class Streams:
    """Sends an account's events to every socket that has a living key of it.

    Attributes:
        sent: Every event as it was made, before any fault: the truth that tests compare with.
    """

    def __init__(self, keys: ListenKeys, faults: Faults) -> None:
        self._keys, self._faults = keys, faults
        self._queues: dict[web.WebSocketResponse, tuple[str, asyncio.Queue[str | None]]] = {}
        self._held: dict[str, dict[str, Any]] = {}
        self._transports: dict[web.WebSocketResponse, asyncio.Transport] = {}
        self._combined: set[web.WebSocketResponse] = set()
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def tell(self, account: str, event: dict[str, Any]) -> None:
        """Send an event to an account, as the faults let it."""
        self.sent.append((account, event))
        held = self._held.pop(account, None)
        fault = self._faults.of_event(event["e"])
        kind = fault.kind if fault else ""
        if kind == "trade_first" and event.get("o", {}).get("x") == "NEW":
            self._held[account] = event
        elif fault is not None and kind == "delay":
            loop = asyncio.get_running_loop()
            loop.call_later(fault.seconds, self._put, account, event)
        elif kind != "lose":
            for _ in range(1 + (kind == "double")):
                self._put(account, event)
        if held is not None:
            is_trade = event.get("o", {}).get("x") == "TRADE"
            if is_trade:
                self._put(account, held)
            else:
                self._held[account] = held

    def _put(self, account: str, event: dict[str, Any]) -> None:
        for socket, (listen_key, queue) in self._queues.items():
            living = self._keys.living(listen_key)
            if living is not None and living.account == account:
                queue.put_nowait(self._text(socket, listen_key, event))

    def _text(self, socket: web.WebSocketResponse, listen_key: str, event: dict[str, Any]) -> str:
        """Return an event as its socket gets it: a combined stream says which stream it is of."""
        is_combined = socket in self._combined
        return _encoder.encode(
            {"stream": listen_key, "data": event} if is_combined else event
        ).decode()

    async def serve(self, request: web.Request, listen_key: str) -> web.StreamResponse:
        """Serve one socket until it closes; an unknown key gets a socket that says nothing."""
        socket = web.WebSocketResponse(heartbeat=20.0)
        await socket.prepare(request)
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._queues[socket] = listen_key, queue
        if request.path.endswith("/stream"):
            self._combined.add(socket)
        if request.transport is not None:
            self._transports[socket] = request.transport
        sending = asyncio.create_task(self._send(socket, queue))
        try:
            async for message in socket:
                if message.type == web.WSMsgType.TEXT:
                    self._subscribe(socket, queue, message.data)
        finally:
            del self._queues[socket]
            self._transports.pop(socket, None)
            self._combined.discard(socket)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        return socket

    async def _send(self, socket: web.WebSocketResponse, queue: asyncio.Queue[str | None]) -> None:
        while (text := await queue.get()) is not None:
            with contextlib.suppress(ConnectionError):
                await socket.send_str(text)
        await socket.close()

    def _subscribe(
        self, socket: web.WebSocketResponse, queue: asyncio.Queue[str | None], text: str
    ) -> None:
        """Answer SUBSCRIBE as a client of combined streams sends it: its parameter is the key."""
        asked = msgspec.json.decode(text)
        names = asked.get("params") or [""]
        if asked.get("method") == "SUBSCRIBE":
            self._queues[socket] = names[0], queue
        queue.put_nowait(_encoder.encode({"result": None, "id": asked.get("id")}).decode())

    def end(self, ended: list[ListenKey], event: dict[str, Any] | None) -> None:
        """Tell the sockets of dead keys, and close them; a deaf venue does neither."""
        if self._faults.is_deaf:
            return
        dead = {one.key for one in ended}
        for socket, (listen_key, queue) in self._queues.items():
            if listen_key in dead:
                if event is not None:
                    queue.put_nowait(self._text(socket, listen_key, event))
                if not self._faults.keeps_open:
                    queue.put_nowait(None)

    def cut(self) -> None:
        """Drop every socket without a word."""
        for transport in list(self._transports.values()):
            transport.abort()

    def keys_heard(self) -> set[str]:
        """Return the listen keys of the open sockets."""
        return {listen_key for listen_key, _ in list(self._queues.values())}
