"""Each cure taken out: then a scenario of the fault matrix goes wrong, which is shown here."""

import asyncio

import msgspec
import pytest

from dolphin_realtime.engine import live_node
from dolphin_realtime.engine.live import TRADING_SOCKET, LiveEngine
from dolphin_realtime.engine.venue_watch import VenueWatch
from dolphin_realtime.model.errors import EngineError
from dolphin_realtime.model.orders import closing
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.venues.binance.condition import Condition
from dolphin_realtime.venues.binance.order_life import PREFIX
from dolphin_realtime.venues.binance.reader import Reader
from tests.live.conftest import ids_at, sent_twice, trading, until, untrue
from tests.live.test_fault_matrix import SILENT, post


async def happen(scene, steps, n_scans=6):
    """Let faults happen over some scans with orders."""
    await scene.until_traded()
    for do, fields in steps:
        await scene.ctl(do, **fields)
    for _ in range(n_scans):
        await scene.scan()
        await asyncio.sleep(0.1)
    await scene.ctl("clear")


async def goes_wrong(scene, steps, timeout_s=4.0):
    await happen(scene, steps)
    try:
        await scene.quiet(timeout_s)
    except AssertionError:
        return True
    return scene.trader.booking.mismatch is not None


def settings_of(scene):
    return scene.trader.engine._settings


@pytest.mark.parametrize(("where", "change"), [
    ("client", {"use_ws_trading": True}), ("client", {"max_retries": 3}),
    ("client", {"recv_window_ms": 60_000}), ("engine", {"inflight_check_interval_ms": 2000}),
    ("engine", {"position_check_interval_secs": 10.0}), ("engine", {"open_check_interval_secs": 10.0}),
])  # fmt: skip
async def test_a_node_with_another_setting_is_not_built(scene, where, change):
    class Changed:
        def __init__(self, real):
            self._real = real

        def __getattr__(self, name):
            return change.get(name, getattr(self._real, name))

    made = [live_node._client(settings_of(scene), ["BTCUSDT"]), live_node._engine()]
    live_node.assert_safe(*made)
    n = ("client", "engine").index(where)
    made[n] = Changed(made[n])
    with pytest.raises(EngineError, match=next(iter(change))):
        live_node.assert_safe(*made)


async def test_an_order_socket_that_opens_halts(scene):
    scene.trader.engine._socket(TRADING_SOCKET, is_up=True)
    assert "orders must leave by HTTP" in scene.trader.booking.mismatch


async def test_without_the_code_table_a_filled_order_counts_as_rejected(scene, monkeypatch):
    monkeypatch.setattr("dolphin_realtime.engine.live.UNSURE_CODES", frozenset())
    late = [("fault", {"kind": "delay", "seconds": 0.5, "times": 9, "event": "ORDER_TRADE_UPDATE"})]
    assert await goes_wrong(scene, post("code_after", code=-1000) + late)


async def test_without_questions_an_order_whose_answer_is_lost_never_ends(scene, monkeypatch):
    async def nothing(self, life):
        pass

    monkeypatch.setattr(VenueWatch, "_ask_life", nothing)
    assert await goes_wrong(scene, post("cut"))


async def flip(scene):
    """Send a close that the venue refuses and the open leg behind it; return the open leg's id."""
    plan = await scene.until_traded()
    await scene.quiet()
    portfolio, asset = scene.trader.portfolio, plan.orders[0].order.asset
    held, digits = portfolio.account.held()[asset], portfolio.digits(asset)
    scene.n_flips = getattr(scene, "n_flips", 0) + 1
    close = closing(asset, held, digits, "C")
    opened = msgspec.structs.replace(close, leg="O", is_reduce_only=False)
    number = 5000 + scene.n_flips
    orders = [portfolio._fly(intent, 1, number, portfolio.last_us) for intent in (close, opened)]
    assert scene.trader.journal.intend(1, number, orders, TradingPermission())
    await scene.ctl("fault", kind="code", code=-1008, path="/fapi/v1/order", method="POST")
    scene.trader.engine.send(orders)
    await until(lambda: not any(o.client_order_id in portfolio.in_flight for o in orders))
    await asyncio.sleep(0.1)
    return PREFIX + orders[1].client_order_id


async def test_without_chains_the_open_leg_leaves_though_the_close_was_refused(scene, monkeypatch):
    assert await flip(scene) not in ids_at(scene.served)

    def all_at_once(self, chain):
        for order in chain:
            self._orders[order.client_order_id] = order
        for order in chain[1:]:  # the close is a little ahead: it is the one that is refused
            asyncio.get_running_loop().call_later(0.3, self._leave, order)

    monkeypatch.setattr(LiveEngine, "_take_on", all_at_once)
    await scene.ctl("clear")
    assert await flip(scene) in ids_at(scene.served)


async def test_without_the_index_of_income_what_was_closed_while_away_is_missed(
    tmp_path, at_venue, market, lowered, monkeypatch
):
    market.archive(tmp_path)
    async with trading(tmp_path, at_venue, market) as scene:
        await scene.until_traded()
        await scene.quiet()
    held = at_venue.truth()["positions"]
    flat = next(a for a in market.assets if a not in held)
    for side in ("BUY", "SELL"):  # opened and closed while the trader is away
        at_venue.ctl("order", account="one", symbol=flat, side=side, type="MARKET", quantity="50",
                     newClientOrderId=f"web_{side}")  # fmt: skip

    async def no_income(self, since_ms):
        return []

    with monkeypatch.context() as m:
        m.setattr(Reader, "_income", no_income)
        async with trading(tmp_path, at_venue, market) as scene:
            await scene.trader.reader.check()
            assert [d.what for d in scene.trader.reader.differences] == ["wallet"]
            assert untrue(at_venue, tmp_path) != ""
    async with trading(tmp_path, at_venue, market) as scene:
        await scene.quiet()
        assert len(scene.trader.watch_live.facts.outside) == 2


async def test_without_questions_at_the_start_what_a_dead_process_sent_stays_open(
    tmp_path, at_venue, market, lowered, monkeypatch
):
    """Its orders never arrived: only a question says so."""
    market.archive(tmp_path)
    async with trading(tmp_path, at_venue, market) as scene:
        await scene.until_traded()
        await scene.quiet()
        await scene.ctl("fault", kind="cut", path="/fapi/v1/order", method="POST", times=99)
        scene.trader.booking.book = lambda event: None  # it dies before it hears anything
        plan = await scene.until_traded()
    at_venue.ctl("clear")

    async def nothing(self, life):
        pass

    with monkeypatch.context() as m:
        m.setattr(VenueWatch, "_ask_life", nothing)
        m.setattr("dolphin_realtime.services.trader.live_trader.SETTLE_S", 1.0)
        async with trading(tmp_path, at_venue, market) as scene:
            assert len(scene.trader.portfolio.in_flight) == len(plan.orders)
    async with trading(tmp_path, at_venue, market) as scene:
        await scene.quiet()
        assert scene.trader.portfolio.in_flight == {}
        assert sent_twice(at_venue) == set()


async def test_without_the_look_at_the_modes_hedge_mode_is_traded_on(scene, monkeypatch):
    monkeypatch.setattr("dolphin_realtime.services.trader.live_watch.ASK_S", 0.3)
    await scene.ctl("mode", account="one", is_hedged=True)
    scene.trader.reader.config_changed.set()
    await until(lambda: any(f.code == "ACCOUNT_MODE" for f in scene.trader.watch_live.found))
    monkeypatch.setattr(Condition, "wrong_modes", ())
    await until(lambda: scene.trader.watch_live.found == [])


async def test_without_the_comparison_a_lost_trade_stays_lost(scene, monkeypatch):
    async def nothing(self):
        self.differences = []

    elsewhere = {"account": "one", "symbol": "ETHUSDT", "side": "BUY", "type": "MARKET",
                 "quantity": "1", "newClientOrderId": "web_1"}  # fmt: skip
    monkeypatch.setattr(Reader, "check", nothing)
    assert await goes_wrong(scene, [*SILENT, ("order", elsewhere)])
