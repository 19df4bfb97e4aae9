"""What once broke: each by the inputs that broke it."""

import asyncio
from decimal import Decimal

import msgspec
import pytest

from dolphin_realtime.cli import live as command
from dolphin_realtime.model.orders import closing
from dolphin_realtime.model.portfolio.payments import is_transfer
from tests.live.conftest import checked, sent_twice, trading, until
from tests.live.test_fault_matrix import SILENT, held_asset, post

NUMBER = {"kind": "status", "path": "/fapi/v1/order", "method": "GET"}


async def elsewhere(scene, asset, quantity="20", **more):
    await scene.ctl("order", account="one", symbol=asset, side="BUY", type="MARKET",
                    quantity=quantity, newClientOrderId=more.get("name", "web_0"))  # fmt: skip


async def test_an_order_that_is_not_found_for_three_seconds_is_still_ours(scene):
    await held_asset(scene)
    await scene.ctl("set", hidden_s=3.0)
    for do, fields in [*post("cut_after", times=3), *SILENT]:
        await scene.ctl(do, **fields)
    await scene.until_traded()
    await asyncio.sleep(6.0)
    await scene.ctl("set", hidden_s=0)
    await scene.ctl("clear")
    await scene.quiet(40.0)
    assert scene.trader.watch_live.facts.outside == ()
    checked(scene.home)


@pytest.mark.parametrize("answer", [
    {"status": 202, "body": ""}, {"status": 200, "body": "<html>"}, {"status": 200, "body": "{}"},
])  # fmt: skip
async def test_an_answer_that_is_none_ends_no_watch(scene, answer):
    asset = await held_asset(scene)
    await scene.ctl("fault", kind="lose", event="*", times=4)
    await scene.ctl("fault", **NUMBER, times=3, **answer)
    await elsewhere(scene, asset)
    await until(lambda: scene.trader.watch_live.facts.outside)
    await scene.quiet()
    assert scene.trader.booking.mismatch is None


async def test_a_number_that_is_none_ends_no_reader(scene):
    await held_asset(scene)
    body = msgspec.json.encode(
        [{"symbol": "BTCUSDT", "positionAmt": "NaN", "entryPrice": "1"}]
    ).decode()
    for path in ("/fapi/v3/positionRisk", "/fapi/v2/account"):
        await scene.ctl("fault", kind="status", status=200, body=body, path=path, times=2)
    await asyncio.sleep(1.5)
    await scene.until_traded()
    await scene.quiet()
    assert scene.trader.booking.mismatch is None


async def test_a_trade_whose_order_cannot_be_asked_opens_nothing_and_is_found_later(scene):
    asset = await held_asset(scene)
    await scene.ctl("fault", kind="lose", event="*", times=4)
    await scene.ctl(
        "fault", kind="code", code=-1000, path="/fapi/v1/order", method="GET", times=9999
    )
    await elsewhere(scene, asset)
    await until(lambda: any(f.code == "TRADE_UNPLACED" for f in scene.trader.watch_live.found))
    n_asked = len(scene.served.venue.asked)
    await asyncio.sleep(2.0)
    asked = [a for a in scene.served.venue.asked[n_asked:] if a[2] == "/fapi/v1/order"]
    assert len(asked) <= 6, "it is asked at the pauses"
    await scene.ctl("clear")
    await scene.quiet(30.0)


async def test_a_process_that_dies_in_a_flatten_sends_nothing_twice(
    tmp_path, at_venue, market, lowered
):
    market.archive(tmp_path)
    async with trading(tmp_path, at_venue, market) as scene:
        await held_asset(scene)
        scene.trader.session.journal.commit = lambda record: None
        await scene.trader.session.flatten("one", "drill")
        await asyncio.sleep(0.5)
    async with trading(tmp_path, at_venue, market) as scene:
        await scene.quiet()
        await scene.trader.session.flatten("one", "drill")
        await scene.quiet()
        assert scene.trader.booking.mismatch is None
        assert scene.trader.watch_live.facts.outside == ()
        assert at_venue.truth()["positions"] == {}
    assert sent_twice(at_venue) == set()
    checked(tmp_path)


async def test_a_process_that_dies_before_its_last_scan_is_written_leaves_a_journal_that_holds(
    tmp_path, at_venue, market, lowered
):
    market.archive(tmp_path)
    async with trading(tmp_path, at_venue, market) as scene:
        await held_asset(scene)
        scene.trader.session.journal.commit = lambda record: None
        await scene.until_traded()
        await asyncio.sleep(0.5)
    async with trading(tmp_path, at_venue, market) as scene:
        await scene.quiet()
        await scene.scan()
        await scene.quiet()
    checked(tmp_path)


async def test_a_flatten_whose_orders_are_refused_is_repeated(scene):
    await held_asset(scene)
    await scene.ctl(
        "fault", kind="code", code=-1008, path="/fapi/v1/order", method="POST", times=99
    )
    await scene.trader.session.flatten("one", "drill")
    await until(lambda: not scene.trader.portfolio.in_flight)
    assert scene.served.truth()["positions"] != {}
    await scene.ctl("clear")
    await until(lambda: scene.trader.turn.needs_flatten("one"), 20.0)
    await scene.trader.session.flatten("one", "drill")
    await scene.quiet()
    assert scene.served.truth()["positions"] == {}
    assert not scene.trader.turn.needs_flatten("one")


async def test_a_name_from_outside_the_list_can_be_closed(
    tmp_path, at_venue, market, lowered, monkeypatch
):
    monkeypatch.setattr("dolphin_realtime.services.trader.live_watch.RENEW_S", 0.5)
    market.archive(tmp_path)
    async with trading(tmp_path, at_venue, market, allow="BTCUSDT,ETHUSDT") as scene:
        await scene.scan()
        await elsewhere(scene, "SOLUSDT", "10")
        await until(lambda: scene.trader.portfolio.account.held().get("SOLUSDT"))
        engine = scene.trader.engine
        await until(lambda: "SOLUSDT" in engine.specs and engine.node_away is None)
        await asyncio.sleep(0.5)
        await scene.trader.session.flatten("one", "drill")
        await scene.quiet()
        assert at_venue.truth()["positions"] == {}


async def test_a_panic_says_what_it_does_not_know(scene, monkeypatch):
    await held_asset(scene)
    monkeypatch.setattr("dolphin_realtime.venues.binance.panic.PATIENCE_S", 2.0)
    live = scene.trader.account.live
    for path in ("/fapi/v1/time", "/fapi/v1/openOrders"):
        await scene.ctl("fault", kind="status", status=200, body="<html>", path=path)
    await scene.ctl("fault", kind="status", path="/fapi/v3/positionRisk", times=1000)
    left = await command._panic(live, flatten=True)
    assert any("orders may rest" in one for one in left)
    assert any("the venue did not tell" in one for one in left)
    await scene.ctl("clear")
    assert await command._panic(live, flatten=True) == []
    assert scene.served.truth()["positions"] == {}


async def test_a_panic_sends_what_the_venue_takes_at_once(scene):
    asset = await held_asset(scene)
    venue = scene.served.venue
    old = venue.exchange.symbols[asset]
    held = abs(float(scene.served.truth()["positions"][asset]))
    most = Decimal(str(round(held / 3, old.size_digits)))
    venue.exchange.symbols[asset] = msgspec.structs.replace(old, most=most)
    assert await command._panic(scene.trader.account.live, flatten=True) == []
    assert scene.served.truth()["positions"] == {}


async def test_the_open_leg_does_not_leave_when_nothing_may_be_opened(scene):
    plan = await scene.until_traded()
    await scene.quiet()
    portfolio, asset = scene.trader.portfolio, plan.orders[0].order.asset
    close = closing(asset, portfolio.account.held()[asset], portfolio.digits(asset), "C")
    opened = msgspec.structs.replace(close, leg="O", is_reduce_only=False)
    orders = [portfolio._fly(i, 1, 7000, portfolio.last_us) for i in (close, opened)]
    await scene.ctl("fault", kind="hang", seconds=1.0, path="/fapi/v1/order", method="POST")
    scene.trader.engine.send(orders)
    scene.trader.engine.entry_block = lambda: "RECONCILIATION"
    await until(lambda: not portfolio.in_flight)
    assert not any(o["clientOrderId"].endswith("-O") and "5eg" in o["clientOrderId"]
                   for o in scene.served.truth()["orders"])  # fmt: skip
    assert scene.trader.booking.refused["FENCED"] == 1


def test_every_kind_of_moved_money_is_no_profit():
    assert all(map(is_transfer, ("TRANSFER", "INTERNAL_TRANSFER", "STRATEGY_UMFUTURES_TRANSFER")))
    assert not is_transfer("FUNDING_FEE")


async def test_a_book_that_lacks_what_the_ledger_has_halts(scene, monkeypatch):
    monkeypatch.setattr("dolphin_realtime.services.trader.live_watch.BOOK_S", 1.0)
    asset = await held_asset(scene)
    scene.trader.portfolio.account.positions[asset].quantity *= 2
    await until(lambda: any(f.code == "BOOK_APART" for f in scene.trader.watch_live.found))


async def test_a_name_that_the_venue_halts_is_not_opened(scene, monkeypatch):
    monkeypatch.setattr("dolphin_realtime.services.trader.live_names.ASK_S", 0.0)
    asset = await held_asset(scene)
    symbols = scene.served.venue.exchange.symbols
    symbols[asset] = msgspec.structs.replace(symbols[asset], is_trading=False)
    allowed = lambda: scene.trader.portfolio.pre_trade.allowed  # noqa: E731
    scene.trader.reader.config_changed.set()
    await until(lambda: asset not in allowed())
    assert len(allowed()) == len(scene.market.assets) - 1
    symbols[asset] = msgspec.structs.replace(symbols[asset], is_trading=True)
    scene.trader.reader.config_changed.set()
    await until(lambda: asset in allowed())
