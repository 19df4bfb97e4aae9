"""The reader of an account against the loopback venue: after every fault, ledger = truth."""

import asyncio
import contextlib
from decimal import Decimal

import msgspec
import pytest

from dolphin_realtime.model.errors import (
    SettingsError,
    VenueBlocked,
    VenueError,
    VenueRefused,
    VenueUnreachable,
)
from dolphin_realtime.venues.binance.documents import Trade
from dolphin_realtime.venues.binance.ledger import Ledger
from dolphin_realtime.venues.binance.pace import Pace
from dolphin_realtime.venues.binance.reader import Reader
from dolphin_realtime.venues.binance.rest import Rest
from dolphin_realtime.venues.binance.signing import signer_of
from tests.exchange.conftest import KEY, READ_KEY, READ_SECRET, Served
from tests.exchange.test_faults import ask
from tests.exchange.test_streams import listen_key, until

QUICK = Pace(check_s=0.3, away_s=0.2, renew_s=0.3, again_s=0.3)
EVENT = {"event": "ORDER_TRADE_UPDATE"}


def rest_of(served, key=READ_KEY, secret=READ_SECRET):
    return Rest(served.url, key, signer_of(secret))


class Scene:
    """A venue and a reader with a key that may only read."""

    def __init__(self, served):
        self.served, self.heard = served, []
        self.rest = rest_of(served)
        self.reader = Reader(self.rest, served.ws_url, heard=self.heard.append, pace=QUICK)

    async def ctl(self, do, **fields):
        return await asyncio.to_thread(lambda: self.served.ctl(do, **fields))

    async def trade(self, **fields):
        return await asyncio.to_thread(lambda: ask(self.served, **fields))

    def is_true(self):
        """Whether the ledger is what the venue knows: positions, wallets, each trade once."""
        truth, ledger = self.served.truth(), self.reader.ledger
        trades = {(t["symbol"], t["id"]) for t in truth["trades"]}
        told = [t.key for t in self.heard if isinstance(t, Trade)]
        assert len(told) == len(set(told)), "a trade was told twice"
        return (
            {s: Decimal(q) for s, q in truth["positions"].items()} == ledger.positions()
            and {a: Decimal(w) for a, w in truth["wallets"].items() if Decimal(w)}
            == ledger.wallets()
            and trades == set(ledger.trades) == set(told)
        )


@contextlib.asynccontextmanager
async def scene_of(served):
    scene, stopping = Scene(served), asyncio.Event()
    await scene.reader.start()
    running = asyncio.create_task(scene.reader.run(stopping))
    try:
        await until(lambda: scene.reader.stream.why_not is None)
        yield scene
    finally:
        stopping.set()
        await running
        await scene.rest.close()


@pytest.fixture
async def scene(served):
    async with scene_of(served) as one:
        yield one


async def test_every_trade_is_told_once_with_its_client_id(scene):
    for n in range(3):
        await scene.trade(newClientOrderId=f"mine-{n}")
    await until(scene.is_true)
    assert {t.client_id for t in scene.reader.ledger.trades.values()} == {
        f"mine-{n}" for n in range(3)
    }


FAULTS = {
    "a trade is not told": [("fault", {"kind": "lose", **EVENT, "after": 1})],
    "no event is told": [("fault", {"kind": "lose", "times": 99})],
    "events come twice": [("fault", {"kind": "double", "times": 99})],
    "events come late": [("fault", {"kind": "delay", "seconds": 0.5, "times": 99})],
    "a trade comes before its order": [("fault", {"kind": "trade_first", **EVENT})],
    "the stream is cut": [("cut", {})],
    "the stream is away": [("away", {"parts": ["stream"]})],
    "the listen key expires": [("expire", {"account": "one"})],
    "the listen key dies without a word": [("set", {"is_deaf": True}), ("expire", {"account": "one"})],
    "an expired key is told and its socket stays open": [
        ("set", {"keeps_open": True}), ("expire", {"account": "one"})],
    "the clock steps": [("set", {"offset_ms": -20_000})],
    "positions are not answered": [
        ("fault", {"kind": "status", "path": "/fapi/v3/positionRisk", "times": 3})],
    "trades are not answered": [("cut", {}), ("fault", {"kind": "cut", "path": "/fapi/v1/userTrades", "times": 3})],
    "income is no JSON": [("cut", {}), ("fault", {"kind": "status", "status": 200, "body": "<html>", "path": "/fapi/v1/income", "times": 2})],
    "no listen key is given": [("cut", {}), ("fault", {"kind": "code", "code": -1007, "path": "/fapi/v1/listenKey", "method": "POST", "times": 3})],
    "fees are paid in BNB": [("mode", {"account": "one", "burns_bnb": True})],
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_after_a_fault_the_ledger_is_the_truth(scene, name):
    await scene.trade(newClientOrderId="before")
    await until(scene.is_true)
    for do, fields in FAULTS[name]:
        await scene.ctl(do, **fields)
    for n in range(3):
        order = {"side": "SELL", "symbol": "ETHUSDT", "quantity": "1", **shifted(scene)}
        await scene.trade(newClientOrderId=f"in-{n}", **order)
        await asyncio.sleep(0.05)
    faults = scene.served.venue.faults
    is_counted = any(do == "fault" for do, _ in FAULTS[name])
    await until(lambda: faults.taken > 0 or not is_counted)
    if name != "the clock steps":
        await scene.ctl("clear")
    await scene.trade(
        newClientOrderId="after", **(shifted(scene) if name == "the clock steps" else {})
    )
    await until(scene.is_true, 20.0)
    await until(lambda: scene.reader.stream.why_not is None, 20.0)
    last_at = scene.reader.compared_at
    await until(lambda: scene.reader.compared_at != last_at)
    assert scene.reader.differences == []


def shifted(scene):
    """The instant of an order at the venue's own clock."""
    return {"at_ms": scene.served.venue.now_ms()}


async def test_what_comes_by_itself_is_in_the_ledger(scene):
    await scene.trade(quantity="0.4")
    for do, fields in (
        ("fund", {"symbol": "BTCUSDT", "rate": "0.0001"}),
        ("transfer", {"asset": "USDT", "amount": "-500"}),
        ("take_over", {"symbol": "BTCUSDT", "quantity": "0.1", "price": "60000", "client_id": "adl_autoclose"}),
        ("take_over", {"symbol": "BTCUSDT", "quantity": "0.1", "price": "59000", "client_id": "adl_autoclose"}),
    ):  # fmt: skip
        await scene.ctl(do, account="one", **fields)
    await until(scene.is_true)
    assert scene.reader.stream.opened == 1, "all of it was told: the stream is not doubted"
    assert scene.reader.counts == {"misread": 0, "untold": 0}
    kinds = [row.kind for row in scene.reader.ledger.income.values()]
    assert kinds.count("FUNDING_FEE") == kinds.count("TRANSFER") == 1
    assert len(scene.reader.ledger.trades) >= 3


async def test_another_client_that_deletes_a_shared_key_deafens_for_a_moment():
    with Served(keys_by_account=True) as served:
        async with scene_of(served) as scene:
            await asyncio.to_thread(lambda: listen_key(served, "DELETE", KEY))
            await scene.trade()
            await until(scene.is_true, 20.0)
            await until(lambda: scene.reader.stream.why_not is None, 20.0)


async def test_a_ban_stops_every_question_until_it_is_over(scene):
    await scene.ctl("ban", seconds=2)
    await until(lambda: scene.rest.blocked_s > 0.0)
    n_asked = len(scene.served.venue.asked)
    await asyncio.sleep(0.8)
    assert len(scene.served.venue.asked) == n_asked
    with pytest.raises(VenueBlocked, match="left alone"):
        await scene.rest.get("/fapi/v2/account")
    await scene.trade()
    await until(lambda: not scene.rest.blocked_s, 10.0)
    await scene.trade()
    await until(scene.is_true, 20.0)


async def test_it_asks_and_listens_and_does_nothing_else(scene):
    await scene.trade()
    await until(scene.is_true)
    asked = {(method, path) for _, method, path, _ in scene.served.venue.asked}
    assert {method for method, path in asked if path != "/fapi/v1/order"} <= {"GET", "POST", "PUT"}
    assert {path for method, path in asked if method in ("POST", "PUT")} == {
        "/fapi/v1/listenKey", "/fapi/v1/order"
    }  # fmt: skip


async def test_a_wallet_that_no_row_explains_is_told_and_not_mended(scene):
    await scene.trade()
    await until(scene.is_true)
    scene.served.account.wallets["USDT"] += 7
    await until(lambda: scene.reader.differences, 20.0)
    (found,) = scene.reader.differences
    assert (found.what, found.name, found.venue - found.ledger) == ("wallet", "USDT", 7)
    scene.served.account.wallets["USDT"] -= 7
    await until(lambda: not scene.reader.differences, 20.0)


async def test_an_account_with_a_past_is_taken_over_as_it_is(served):
    for n in range(3):
        await asyncio.to_thread(lambda m=n: ask(served, newClientOrderId=f"old-{m}"))
    scene = Scene(served)
    await scene.reader.start()
    ledger = scene.reader.ledger
    assert (ledger.trades, ledger.income, scene.heard) == ({}, {}, [])
    assert ledger.positions() == {"BTCUSDT": Decimal("0.6")}
    await asyncio.to_thread(lambda: ask(served, newClientOrderId="new"))
    assert await scene.reader.catch_up() == 1
    assert ledger.positions() == {"BTCUSDT": Decimal("0.8")}
    assert await scene.reader.catch_up() == 0
    await scene.rest.close()


async def test_a_ledger_that_is_handed_over_goes_on_where_it_ended(served):
    first = Scene(served)
    await first.reader.start()
    for n in range(2):
        await asyncio.to_thread(lambda m=n: ask(served, newClientOrderId=f"old-{m}"))
    await first.reader.catch_up()
    await first.rest.close()
    await asyncio.to_thread(lambda: ask(served, symbol="ETHUSDT", quantity="1"))
    rest = rest_of(served)
    heir = Reader(rest, served.ws_url, first.reader.ledger)
    await heir.start()
    assert await heir.catch_up() == 1
    assert {
        s: Decimal(q) for s, q in served.truth()["positions"].items()
    } == heir.ledger.positions()
    hole = Ledger()
    for trade in heir.ledger.trades.values():
        if trade.key != ("BTCUSDT", 1):
            hole.add_trade(trade)
    late = Reader(rest, served.ws_url, hole)
    await late.start()
    await late.catch_up()
    assert set(hole.trades) == set(heir.ledger.trades), "a hole that the stream left is filled"
    stale = Ledger()
    stale.add_trade(msgspec.structs.replace(next(iter(heir.ledger.trades.values())), at_ms=1))
    with pytest.raises(VenueError, match="more than a week ago"):
        await Reader(rest, served.ws_url, stale).start()
    await rest.close()


async def test_a_reader_that_ran_for_more_than_a_week_asks_for_a_week_at_the_most(scene):
    await scene.trade()
    await until(scene.is_true)
    scene.reader._since_ms = 1
    await scene.trade(symbol="ETHUSDT", quantity="1")
    await scene.reader.catch_up()
    await until(scene.is_true)


async def test_a_stream_that_stays_away_for_hours_is_tried_on(served, monkeypatch):
    monkeypatch.setattr("dolphin_realtime.venues.binance.stream.BACKOFF_S", (1e-9, 1e-9))
    scene, tried = Scene(served), []
    stream = scene.reader.stream

    async def refuse():
        tried.append(1)
        raise VenueUnreachable("away")

    stream._listen_once = refuse
    running = asyncio.create_task(stream.run())
    await until(lambda: len(tried) > 3000 or running.done())
    assert not running.done(), running
    running.cancel()
    await scene.rest.close()


async def test_a_loop_that_fails_ends_the_reader_and_is_raised(served):
    scene = Scene(served)
    await scene.reader.start()

    async def fail():
        raise RuntimeError("a fault of ours")

    scene.reader._watch = fail
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await scene.reader.run(asyncio.Event())
    assert [t for t in asyncio.all_tasks() if "UserStream" in repr(t)] == []
    await scene.rest.close()


async def test_more_rows_than_a_page_are_all_read(served, monkeypatch):
    monkeypatch.setattr("dolphin_realtime.venues.binance.queries.PAGE", 2)
    scene = Scene(served)
    await scene.reader.start()
    for _ in range(5):
        await asyncio.to_thread(lambda: ask(served))
    await scene.reader.catch_up()
    assert scene.is_true()
    await scene.rest.close()


@pytest.mark.parametrize(("fault", "raised"), [
    ({"kind": "code", "code": -1121}, VenueRefused), ({"kind": "code", "code": -1001}, VenueUnreachable),
    ({"kind": "status", "status": 403, "body": "<html>"}, VenueUnreachable),
    ({"kind": "cut"}, VenueUnreachable),
    ({"kind": "code", "code": -1003}, VenueBlocked),
])  # fmt: skip
async def test_each_answer_is_taken_for_what_it_is(served, fault, raised):
    rest = rest_of(served)
    served.ctl("fault", path="/fapi/v2/account", **fault)
    with pytest.raises(raised) as caught:
        await rest.get("/fapi/v2/account")
    assert READ_SECRET not in str(caught.value)
    assert "signature" not in str(caught.value)
    await rest.close()


async def test_the_venues_clock_is_measured_and_signed_with(served):
    served.ctl("set", offset_ms=-20_000)
    rest = rest_of(served)
    assert await rest.measure_clock() < 1000
    assert rest.offset_ms == pytest.approx(-20_000, abs=500)
    assert await rest.get("/fapi/v2/account")
    assert rest.used_weight > 0
    await rest.close()


@pytest.mark.parametrize("secret", ["", "-----BEGIN NONSENSE-----"])
def test_a_secret_that_is_none_is_refused(secret):
    with pytest.raises(SettingsError, match="secret"):
        signer_of(secret)
