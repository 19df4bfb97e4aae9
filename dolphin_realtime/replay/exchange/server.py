"""Serves the exchange on 127.0.0.1: REST, user streams, the websocket API, and `/ctl` for tests.

From a request to its answer: limits, key, signature, time, faults, then the route. What a route
does is in routes.py. Every answer of a route says in a header that it is simulated.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from dolphin_realtime.replay.exchange import events
from dolphin_realtime.replay.exchange.control import control_of
from dolphin_realtime.replay.exchange.exchange import Exchange
from dolphin_realtime.replay.exchange.faults import Fault, Faults
from dolphin_realtime.replay.exchange.keys import ApiKey, Keyring, ListenKeys, check_time
from dolphin_realtime.replay.exchange.limits import Budget, LimitReached
from dolphin_realtime.replay.exchange.refusals import KNOWN, Refusal
from dolphin_realtime.replay.exchange.routes import ROUTES, Request, Route
from dolphin_realtime.replay.exchange.shown_book import BookOf, ShownBooks
from dolphin_realtime.replay.exchange.streams import Streams
from dolphin_realtime.replay.exchange.symbols import Symbol
from dolphin_realtime.replay.exchange.ws_api import serve_api

HOST: Final = "127.0.0.1"
SIMULATED: Final = {"X-Dolphin-Simulated": "loopback venue"}
KINDS: Final = ("public", "market", "private")
"""Kinds of streams, each with an address of its own."""
LISTEN_KEY: Final = "/fapi/v1/listenKey"
RIGHTS: Final = "/sapi/v1/account/apiRestrictions"
TICK_S: Final = 0.1
_encoder = msgspec.json.Encoder()


class LoopbackVenue:
    """The venue with its sockets.

    Attributes:
        exchange: Accounts and orders.
        keyring: The API keys.
        asked: Every request: (wall ms, method, path, parameters), for tests.
    """

    def __init__(
        self, symbols: dict[str, Symbol], book_of: BookOf, *, keys_by_account: bool = False
    ) -> None:
        self.faults, self.keyring = Faults(), Keyring()
        self.listen_keys = ListenKeys(by_account=keys_by_account)
        self.streams = Streams(self.listen_keys, self.faults)
        self.exchange = Exchange(symbols, ShownBooks(book_of), self.now_ms, self.streams.tell)
        self.budget = Budget()
        self.asked: list[tuple[int, str, str, dict[str, str]]] = []
        self._later: set[asyncio.Task[None]] = set()

    def now_ms(self) -> int:
        """Return the venue's time."""
        return round(time.time() * 1000) + self.faults.offset_ms

    @contextlib.asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[int]:
        """Serve on a loopback port, 0 for a free one; yield the port.

        Raises:
            OSError: If the port is taken.
        """
        app = web.Application()
        for path in ("/ws", "/private/ws", "/stream", *(f"/{kind}/stream" for kind in KINDS)):
            app.router.add_get(path, self._stream)
        for path in ("/ws/{key}", "/private/ws/{key}"):
            app.router.add_get(path, self._stream)
        app.router.add_get("/ws-fapi/v1", self._api)
        for path, answer in control_of(self).items():
            app.router.add_route("*", path, answer)
        app.router.add_route("*", "/{path:.*}", self._rest)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        ticking = asyncio.create_task(self._tick())
        try:
            yield runner.addresses[0][1]
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            self.streams.cut()
            await runner.cleanup()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.exchange.move()
            now_ms = self.now_ms()
            for ended in self.listen_keys.expire(now_ms):
                self.streams.end([ended], events.key_expired(ended.key, now_ms))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if "stream" in self.faults.away:
            return _cut(request)
        key = request.match_info.get("key") or request.query.get("listenKey", "")
        return await self.streams.serve(request, key or request.query.get("streams", ""))

    async def _api(self, request: web.Request) -> web.StreamResponse:
        return _cut(request) if "ws_api" in self.faults.away else await serve_api(self, request)

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        """Answer a REST request, as the faults let it."""
        if "rest" in self.faults.away:
            return _cut(request)
        query, body = request.rel_url.raw_query_string, (await request.read()).decode()
        payload = query + body
        params = dict(parse_qsl(query, keep_blank_values=True)) | dict(
            parse_qsl(body, keep_blank_values=True)
        )
        self.asked.append((round(time.time() * 1000), request.method, request.path, params))
        fault = self.faults.of_request(request.method, request.path)

        def act() -> web.Response:
            return self._answer(request, params, payload)

        return await self._faulty(request, fault, act) if fault else act()

    async def _faulty(
        self, request: web.Request, fault: Fault, act: Callable[[], web.Response]
    ) -> web.StreamResponse:
        kind = fault.kind
        if kind == "cut":
            return _cut(request)
        if kind == "code":
            return refused(Refusal(fault.code))
        if kind == "status":
            return _odd(fault)
        if kind == "late":
            self._soon(fault.seconds, act)
            return _odd(fault)
        if kind == "hang":
            await asyncio.sleep(fault.seconds)
        answer: web.StreamResponse = act()
        if kind == "silence":
            await asyncio.sleep(fault.seconds)
        if kind == "cut_after":
            return _cut(request)
        if kind == "code_after":
            return refused(Refusal(fault.code))
        return _odd(fault) if kind == "status_after" else answer

    def _soon(self, seconds: float, act: Callable[[], web.Response]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            act()

        task = asyncio.create_task(wait())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _answer(self, request: web.Request, params: dict[str, str], payload: str) -> web.Response:
        """Return the answer of a request that no fault touches."""
        headers: dict[str, str] = {}
        try:
            is_order = (request.method, request.path) == ("POST", "/fapi/v1/order")
            route = ROUTES.get((request.method, request.path))
            weight = route.weight if route else 1
            headers = self.budget.spend(weight, self.now_ms(), is_order=is_order)
            key = request.headers.get("X-MBX-APIKEY")
            if request.path == LISTEN_KEY:
                return _json(self._listen_key(request.method, self.keyring.find(key)), headers)
            if request.path == RIGHTS:
                return _json(self._rights(self.signed(key, params, payload)), headers)
            if route is None:
                return web.Response(status=404, text="<html>404</html>", content_type="text/html")
            return _json(self.call(route, key, params, payload), headers)
        except Refusal as e:
            return refused(e, headers)
        except LimitReached as e:
            body = {"code": e.code, "msg": KNOWN[e.code][1]}
            return _json(body, {"Retry-After": str(e.retry_after_s)}, e.status)

    def call(self, route: Route, key: str | None, params: dict[str, str], payload: str) -> Any:
        """Return what a route answers.

        Raises:
            Refusal: If key, signature, time, rights or the route itself refuse.
        """
        now_ms = self.now_ms()
        if not route.signed:
            return route.answer(Request(venue=self.exchange, params=params, now_ms=now_ms))
        api = self.signed(key, params, payload)
        if route.trades and not api.may_trade:
            raise Refusal(-2015)
        account = self.exchange.accounts[api.account]
        request = Request(venue=self.exchange, params=params, now_ms=now_ms, account=account)
        if route.is_order_question and self._is_hidden(request):
            raise Refusal(-2013)
        return route.answer(request)

    def _is_hidden(self, request: Request) -> bool:
        """Return whether the venue does not know the order yet that it is asked for."""
        order = self.exchange.find(request.own, request.params)
        return self.now_ms() - order.placed_ms < self.faults.hidden_s * 1000

    def signed(self, key: str | None, params: dict[str, str], payload: str) -> ApiKey:
        """Return the key of a signed request of now.

        Raises:
            Refusal: -2014, -2015, -1102, -1021, -1022.
        """
        api = self.keyring.find(key)
        check_time(params, self.now_ms())
        signature = params.get("signature")
        if not signature:
            raise Refusal(-1102, "signature")
        if not api.signed(_unsigned(payload), signature):
            raise Refusal(-1022)
        return api

    def _listen_key(self, method: str, api: ApiKey) -> Any:
        now_ms = self.now_ms()
        if method == "POST":
            return {"listenKey": self.listen_keys.make(api, now_ms).key}
        if method == "PUT":
            return {"listenKey": self.listen_keys.renew(api, now_ms).key}
        if method == "DELETE":
            ended = self.listen_keys.delete(api)
            if ended is not None:
                self.streams.end([ended], None)
            return {}
        raise Refusal(-1102, "method")

    def _rights(self, api: ApiKey) -> Any:
        return {
            "ipRestrict": True, "createTime": 0, "enableReading": True,
            "enableFutures": api.may_trade, "enableWithdrawals": False,
            "enableInternalTransfer": False, "permitsUniversalTransfer": False,
            "enableSpotAndMarginTrading": False, "tradingAuthorityExpirationTime": 0,
        }  # fmt: skip


def _unsigned(payload: str) -> str:
    """Return what was signed: all of query and body, in order, without the signature."""
    return "&".join(part for part in payload.split("&") if not part.startswith("signature="))


def _json(body: Any, headers: dict[str, str], status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=_encoder.encode(body), content_type="application/json",
        headers=SIMULATED | headers,
    )  # fmt: skip


def refused(e: Refusal, headers: dict[str, str] | None = None) -> web.Response:
    """Return the answer of a refusal."""
    return _json(e.body(), headers or {}, e.status)


def _odd(fault: Fault) -> web.Response:
    kind = "text/html" if fault.body.startswith("<") else "application/json"
    return web.Response(status=fault.status, text=fault.body, content_type=kind, headers=SIMULATED)


def _cut(request: web.Request) -> web.StreamResponse:
    """Cut the connection: the client gets no byte."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)
