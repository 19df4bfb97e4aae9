"""The venue's websocket API: `order.place`, `order.cancel`, `order.status`, `session` not at all.

Parameters are signed in the order of their names; each message carries its own signature.
"""

from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from dolphin_realtime.replay.exchange.limits import LimitReached
from dolphin_realtime.replay.exchange.refusals import KNOWN, Refusal
from dolphin_realtime.replay.exchange.routes import ROUTES

if TYPE_CHECKING:
    from dolphin_realtime.replay.exchange.server import LoopbackVenue

METHODS: Final = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
}


async def serve_api(venue: "LoopbackVenue", request: web.Request) -> web.StreamResponse:
    """Serve one connection of the websocket API."""
    socket = web.WebSocketResponse(heartbeat=20.0)
    await socket.prepare(request)
    async for message in socket:
        if message.type == web.WSMsgType.TEXT:
            await socket.send_str(msgspec.json.encode(_answer(venue, message.data)).decode())
    return socket


def _answer(venue: "LoopbackVenue", text: str) -> dict[str, Any]:
    asked = msgspec.json.decode(text)
    params = {name: _text(value) for name, value in (asked.get("params") or {}).items()}
    head = {"id": asked.get("id")}
    way = METHODS.get(asked.get("method", ""))
    if way is None:
        unknown = Refusal(-1102, "method")
        return {**head, "status": unknown.status, "error": unknown.body()}
    try:
        is_order = way[0] == "POST"
        venue.budget.spend(ROUTES[way].weight, venue.now_ms(), is_order=is_order)
        venue.asked.append((venue.now_ms(), "WS", asked["method"], params))
        payload = "&".join(
            f"{name}={params[name]}" for name in sorted(params) if name != "signature"
        )
        result = venue.call(ROUTES[way], params.get("apiKey"), params, payload)
    except Refusal as e:
        return {**head, "status": e.status, "error": e.body()}
    except LimitReached as e:
        return {**head, "status": e.status, "error": {"code": e.code, "msg": KNOWN[e.code][1]}}
    return {**head, "status": 200, "result": result, "rateLimits": []}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
