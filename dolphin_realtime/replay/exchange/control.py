"""`/ctl`: commands for tests and drills, and the venue's truth. Not a part of Binance's interface.

`POST /ctl` with ``{"do": NAME, ...}``; `GET /ctl/truth?account=NAME`.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from dolphin_realtime.replay.exchange import answers, events
from dolphin_realtime.replay.exchange.faults import PARTS
from dolphin_realtime.replay.exchange.keys import ApiKey
from dolphin_realtime.replay.exchange.refusals import Refusal

if TYPE_CHECKING:
    from dolphin_realtime.replay.exchange.server import LoopbackVenue

Command = Callable[["LoopbackVenue", dict[str, Any]], Any]


def _key(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    venue.keyring.add(msgspec.convert(fields, ApiKey))


def _fault(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    venue.faults.add(fields)


def _clear(venue: "LoopbackVenue", _: dict[str, Any]) -> None:
    venue.faults.clear()
    venue.budget.banned_until_ms = 0


def _away(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    parts = set(fields["parts"])
    if not parts <= set(PARTS):
        raise ValueError(f"parts are {', '.join(PARTS)}")
    venue.faults.away = parts
    if "stream" in parts:
        venue.streams.cut()


def _set(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if name not in ("offset_ms", "hidden_s", "is_deaf", "keeps_open"):
            raise ValueError(f"no setting {name!r}")
        setattr(venue.faults, name, value)


def _ban(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    venue.budget.banned_until_ms = venue.now_ms() + round(fields["seconds"] * 1000)


def _expire(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    now_ms = venue.now_ms()
    for one in venue.listen_keys.end(fields["account"]):
        venue.streams.end([one], events.key_expired(one.key, now_ms))


def _cut(venue: "LoopbackVenue", _: dict[str, Any]) -> None:
    venue.streams.cut()


def _fund(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    account = venue.exchange.accounts[fields["account"]]
    venue.exchange.fund(account, fields["symbol"], Decimal(fields["rate"]))


def _transfer(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    account = venue.exchange.accounts[fields["account"]]
    venue.exchange.transfer(account, fields["asset"], Decimal(fields["amount"]))


def _take_over(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    account = venue.exchange.accounts[fields["account"]]
    venue.exchange.take_over(
        account, fields["symbol"], Decimal(fields["quantity"]), fields["client_id"],
        Decimal(fields["price"]),
    )  # fmt: skip


def _mode(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    account = venue.exchange.accounts[fields.pop("account")]
    for name, value in fields.items():
        if name not in ("is_hedged", "is_multi", "burns_bnb"):
            raise ValueError(f"no mode {name!r}")
        setattr(account, name, value)


def _margin_call(venue: "LoopbackVenue", fields: dict[str, Any]) -> None:
    venue.exchange.margin_call(venue.exchange.accounts[fields["account"]])


def _order(venue: "LoopbackVenue", fields: dict[str, Any]) -> Any:
    """Place an order from elsewhere: by hand, by another program."""
    account = venue.exchange.accounts[fields.pop("account")]
    return answers.order_answer(venue.exchange.place(account, fields))


COMMANDS: Final[dict[str, Command]] = {
    "key": _key, "fault": _fault, "clear": _clear, "away": _away, "set": _set, "ban": _ban,
    "expire": _expire, "cut": _cut, "fund": _fund, "transfer": _transfer,
    "take_over": _take_over, "mode": _mode, "margin_call": _margin_call, "order": _order,
}  # fmt: skip


def truth(venue: "LoopbackVenue", name: str) -> dict[str, Any]:
    """Return what is true of an account: what tests compare a journal with."""
    account = venue.exchange.accounts[name]
    return {
        "positions": {s: answers.text(q) for s, q in account.held().items()},
        "wallets": {a: answers.text(w) for a, w in account.wallets.items()},
        "trades": [answers.trade_answer(t) for t in account.trades],
        "income": [answers.income_answer(row) for row in account.income],
        "orders": [answers.order_answer(o) for o in venue.exchange.orders_of(account)],
    }


def control_of(
    venue: "LoopbackVenue",
) -> dict[str, Callable[[web.Request], Awaitable[web.Response]]]:
    """Return what answers each path of control."""

    async def command(request: web.Request) -> web.Response:
        fields = await request.json()
        name = fields.pop("do", "")
        try:
            found = COMMANDS[name](venue, fields)
        except (KeyError, ValueError, TypeError, Refusal, msgspec.ValidationError) as e:
            return web.json_response({"error": f"{name}: {e!r}"}, status=400)
        return web.json_response({"done": name, "answer": found})

    async def tell_truth(request: web.Request) -> web.Response:
        return web.json_response(truth(venue, request.query["account"]))

    async def tell_asked(_: web.Request) -> web.Response:
        return web.json_response([list(one) for one in venue.asked])

    return {"/ctl": command, "/ctl/truth": tell_truth, "/ctl/asked": tell_asked}
