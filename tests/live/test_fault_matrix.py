"""The fault matrix: whatever the venue does, the journal is its truth, and trading comes back.

Each row: what goes wrong, what the trader must find meanwhile (code, posture), and whether a person
must act before it trades again. The table is printed with ``-s``.
"""

import asyncio

import pytest

from dolphin_realtime.model.orders import OrderState
from dolphin_realtime.model.risk.posture import Posture
from tests.exchange.conftest import Served
from tests.live.conftest import (
    ScanBooks,
    checked,
    sent_twice,
    trading,
    until,
)

ORDER = {"path": "/fapi/v1/order", "method": "POST"}
UPDATE = {"event": "ORDER_TRADE_UPDATE"}
ADL = {"quantity": "0.1", "price": "100", "client_id": "adl_autoclose"}


def post(kind, **more):
    return [("fault", {"kind": kind, **ORDER, **more})]


def event(kind, **more):
    return [("fault", {"kind": kind, **UPDATE, **more})]


SILENT = [("fault", {"kind": "lose", **UPDATE, "times": 60})]
MATRIX = {
    # orders: what the answer says, and what happens
    "answer lost after the order": (post("cut_after"), set()),
    "cut before the order": (post("cut"), set()),
    "503 before": (post("status"), set()),
    "503 after": (post("status_after"), set()),
    "403 as HTML": (post("status", status=403, body="<html>"), set()),
    "-1000 with 400, executed": (post("code_after", code=-1000), set()),
    "-1001 executed": (post("code_after", code=-1001), set()),
    "-1006 executed": (post("code_after", code=-1006), set()),
    "-1007 executed": (post("code_after", code=-1007), set()),
    "-1007 not executed": (post("code", code=-1007), set()),
    "-1008 overloaded": (post("code", code=-1008), set()),
    "-2019 no margin": (post("code", code=-2019), set()),
    "-2022 nothing to reduce": (post("code", code=-2022), set()),
    "-4131 no counterparty": (post("code", code=-4131), set()),
    "answer after 2 s": (post("silence", seconds=2.0), set()),
    "done after 2 s": (post("hang", seconds=2.0), set()),
    "refused, and done after 2 s": (post("late", seconds=2.0), set()),
    "three orders at once without an answer": (post("cut_after", times=3), set()),
    "answer and events lost": (post("cut_after") + SILENT, set()),
    "order not found for a second": ([*post("cut_after"), ("set", {"hidden_s": 1.0}), *SILENT], set()),
    # the stream
    "a trade is not told": (event("lose", after=1), set()),
    "no event of orders": (SILENT, set()),
    "events twice": (event("double", times=60), set()),
    "events late": (event("delay", seconds=0.5, times=60), set()),
    "a trade before its order": (event("trade_first", times=5), set()),
    "streams cut": ([("cut", {})], set()),
    "streams away": ([("away", {"parts": ["stream"]})], {("VENUE_STREAM", None)}),
    "listen keys expire": ([("expire", {"account": "one"})], set()),
    "listen keys die without a word": (
        [("set", {"is_deaf": True}), ("expire", {"account": "one"})], set()),
    # questions
    "rest away": ([("away", {"parts": ["rest"]})], {("VENUE_AWAY", None)}),
    "positions not answered": (
        [("fault", {"kind": "status", "path": "/fapi/v3/positionRisk", "times": 4})], {("VENUE_AWAY", None)}),
    "banned": ([("ban", {"seconds": 2})], {("VENUE_BLOCKED", None)}),
    "clock 20 s off": ([("set", {"offset_ms": 20_000})], {("VENUE_CLOCK", None)}),
    # the account
    "funding": ([("fund", {"account": "one", "symbol": "HELD", "rate": "0.0001"})], set()),
    "a transfer": ([("transfer", {"account": "one", "asset": "USDT", "amount": "-500"})], set()),
    "fees in BNB": (
        [("transfer", {"account": "one", "asset": "BNB", "amount": "50"}),
         ("mode", {"account": "one", "burns_bnb": True})], set()),
    "an order from elsewhere": (
        [("order", {"account": "one", "symbol": "HELD", "side": "BUY", "type": "MARKET",
                    "quantity": "MORE", "newClientOrderId": "web_1"})], {("OUTSIDE", Posture.CLOSE_ONLY)}),
    "hedge mode": ([("mode", {"account": "one", "is_hedged": True})], {("ACCOUNT_MODE", Posture.HALTED)}),
    "multi-assets mode": ([("mode", {"account": "one", "is_multi": True})], {("ACCOUNT_MODE", Posture.HALTED)}),
    "two ADLs under one id": (
        [("take_over", {"account": "one", "symbol": "HELD", "client_id": "adl_autoclose"}),
         ("take_over", {"account": "one", "symbol": "HELD", "client_id": "adl_autoclose"})],
        {("OUTSIDE", Posture.CLOSE_ONLY)}),
    "a liquidation": (
        [("take_over", {"account": "one", "symbol": "HELD", "client_id": "autoclose-1"})],
        {("OUTSIDE", Posture.CLOSE_ONLY)}),
    "a margin call": ([("margin_call", {"account": "one"})], set()),
}  # fmt: skip
UNDO = {"hedge mode": {"is_hedged": False}, "multi-assets mode": {"is_multi": False}}


async def held_asset(scene):
    """Trade until something is held and nothing is in flight; return the largest position."""
    for _ in range(20):
        await scene.scan()
        await scene.quiet()
        held = scene.trader.portfolio.account.held()
        if held:
            return max(held, key=lambda a: abs(held[a]) * scene.trader.portfolio.prices[a])
    raise AssertionError("nothing is held")


def filled_in(scene, fields, asset):
    """Return a command's fields for the asset that is held."""
    fields = dict(fields)
    if fields.get("symbol") == "HELD":
        digits = scene.trader.portfolio.digits(asset)
        some = abs(scene.trader.portfolio.account.held()[asset]) / 4
        step = round(max(some, 10.0**-digits), digits)
        fields["symbol"] = asset
        if "client_id" in fields:
            price = scene.trader.portfolio.prices[asset]
            fields |= {"quantity": f"{step:.{digits}f}", "price": f"{price:.4f}"}
        if fields.get("quantity") == "MORE":
            fields["quantity"] = f"{step:.{digits}f}"
    return fields


async def play(scene, name):
    """Let a row of the matrix happen; return what was found meanwhile."""
    steps, wanted = MATRIX[name]
    asset, found = await held_asset(scene), set()

    async def watch():
        while True:
            now = scene.trader.watch_live.found
            found.update((f.code, f.posture) for f in now if f.code != "VENUE_UNSEEN")
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    for do, fields in steps:
        await scene.ctl(do, **filled_in(scene, fields, asset))
    scene.trader.reader.config_changed.set()
    for _ in range(12):
        await scene.scan()
        await asyncio.sleep(0.1)
    await until(lambda: wanted <= found, 20.0, lambda: f"{wanted} of {found}")
    if name != "fees in BNB":
        await scene.ctl("clear")
    if name in UNDO:
        await scene.ctl("mode", account="one", **UNDO[name])
    watching.cancel()
    postures = {posture for _, posture in wanted} | {None}
    assert {posture for _, posture in found} <= postures, found
    return found


@pytest.mark.parametrize("name", MATRIX)
async def test_after_a_fault_the_journal_is_the_truth_and_trading_goes_on(scene, name, monkeypatch):
    monkeypatch.setattr("dolphin_realtime.services.trader.live_watch.ASK_S", 0.5)
    found = await play(scene, name)
    await scene.quiet(40.0)
    if "OUTSIDE" in {code for code, _ in found}:
        assert any(f.code == "OUTSIDE" for f in scene.trader.watch_live.found)
        assert scene.trader.watch_live.adopt("me", "seen") >= 1
    await until(lambda: scene.trader.watch_live.found == [], 40.0,
                lambda: f"{scene.trader.watch_live.found}")  # fmt: skip
    away = lambda: scene.trader.engine.node_away  # noqa: E731 - meanwhile orders are refused
    await until(lambda: not away(), 40.0, away)
    n_before = len(scene.served.truth()["orders"])
    await scene.until_traded()
    await scene.quiet(40.0)
    assert len(scene.served.truth()["orders"]) > n_before
    assert scene.trader.booking.mismatch is None
    assert sent_twice(scene.served) - {"adl_autoclose"} == set()
    unknown = [
        o for o in scene.trader.portfolio.in_flight.values() if o.state is OrderState.UNKNOWN
    ]
    assert unknown == []
    checked(scene.home)
    print(f"{name:42} journal = truth; {sorted(found, key=str) or 'no finding'}; trades again")


async def test_a_shared_listen_key_that_another_deletes_is_only_a_moment(tmp_path, market, lowered):
    with Served(assets=market.assets, books=ScanBooks(market.assets), keys_by_account=True) as one:
        market.archive(tmp_path)
        async with trading(tmp_path, one, market) as scene:
            await held_asset(scene)
            await asyncio.to_thread(lambda: one.venue.listen_keys.end("one"))
            for _ in range(6):
                await scene.scan()
                await asyncio.sleep(0.2)
            await scene.quiet(40.0)
            assert scene.trader.booking.mismatch is None
            checked(tmp_path)
