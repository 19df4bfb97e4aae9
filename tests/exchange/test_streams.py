"""User streams and the websocket API, read by Binance's own SDK; keys of streams by hand."""

import asyncio
import json

import httpx2
import pytest
from binance_common.configuration import ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.exchange.conftest import KEY, READ_KEY, SECRET, Served
from tests.exchange.test_sdk import buy, sdk_of


def listen_key(served, method="POST", key=KEY):
    answer = httpx2.request(
        method, f"{served.url}/fapi/v1/listenKey", headers={"X-MBX-APIKEY": key}
    )
    return answer.json()


async def until(is_so, timeout_s=10.0):
    async with asyncio.timeout(timeout_s):
        while not is_so():  # noqa: ASYNC110 - a thread of the SDK or of the venue makes it so
            await asyncio.sleep(0.01)


class Heard:
    """Events of a user stream, as a plain client gets them."""

    def __init__(self, served, path="/ws?listenKey="):
        self.served, self.path, self.events, self.is_closed = served, path, [], False

    async def __aenter__(self):
        self.key = listen_key(self.served)["listenKey"]
        self.socket = await connect(f"{self.served.ws_url}{self.path}{self.key}")
        self.task = asyncio.create_task(self._read())
        return self

    async def _read(self):
        try:
            async for text in self.socket:
                self.events.append(json.loads(text))
        except ConnectionClosed:
            pass
        self.is_closed = True

    async def __aexit__(self, *_):
        await self.socket.close()
        await self.task

    def executions(self):
        return [e["o"]["x"] for e in self.events if e["e"] == "ORDER_TRADE_UPDATE"]


async def trade(served, quantity="0.8"):
    return await asyncio.to_thread(lambda: buy(sdk_of(served), quantity))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK's own, of aiohttp
async def test_the_sdk_reads_every_event_of_an_order(served):
    streams = DerivativesTradingUsdsFutures(
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=served.ws_url)
    ).websocket_streams
    connection = await streams.create_connection()
    told = []
    key = listen_key(served)["listenKey"]
    handle = await connection.user_data(key)
    handle.on("message", told.append)
    await until(lambda: key in served.venue.streams.keys_heard())
    await trade(served)
    await until(lambda: len(told) == 5)
    kinds = [type(one.actual_instance).__name__ for one in told]
    assert kinds == ["OrderTradeUpdate", *["AccountUpdate", "OrderTradeUpdate"] * 2]
    last = told[-1].actual_instance.o
    assert (last.x, last.X, last.z, last.q) == ("TRADE", "FILLED", "0.8", "0.8")
    await connection.close_connection(close_session=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_sdk_trades_by_the_websocket_api(served):
    api = DerivativesTradingUsdsFutures(
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=KEY, api_secret=SECRET, stream_url=f"{served.ws_url}/ws-fapi/v1"
        )
    ).websocket_api
    connection = await api.create_connection()
    answer = await connection.new_order(symbol="ETHUSDT", side="SELL", type="MARKET", quantity=3.0)
    order = answer.data().result
    assert (order.status, order.side, order.symbol) == ("NEW", "SELL", "ETHUSDT")
    found = (await connection.query_order(symbol="ETHUSDT", order_id=order.order_id)).data().result
    assert found.status == "FILLED"
    await connection.close_connection(close_session=True)
    assert served.truth()["positions"] == {"ETHUSDT": "-3.0"}


async def test_the_websocket_api_refuses_by_code(served):
    async with connect(f"{served.ws_url}/ws-fapi/v1") as socket:
        for asked, code in (
            ({"method": "order.place", "params": {"apiKey": "nobody"}}, -2015),
            ({"method": "order.place", "params": {"apiKey": KEY}}, -1102),
            ({"method": "no.such"}, -1102),
        ):
            await socket.send(json.dumps({"id": "a", **asked}))
            answer = json.loads(await socket.recv())
            assert (answer["id"], answer["error"]["code"]) == ("a", code)


@pytest.mark.parametrize("path", ["/ws?listenKey=", "/private/ws?listenKey=", "/ws/"])
async def test_each_path_gives_what_happened_in_its_order(served, path):
    async with Heard(served, path) as heard:
        await trade(served)
        await until(lambda: len(heard.events) == 5)
        sent = [event for _, event in served.venue.streams.sent]
        assert heard.events == sent


@pytest.mark.parametrize(("fault", "executions"), [
    ({"kind": "lose", "event": "ORDER_TRADE_UPDATE", "after": 1}, ["NEW", "TRADE"]),
    ({"kind": "double", "event": "ORDER_TRADE_UPDATE", "after": 2},
     ["NEW", "TRADE", "TRADE", "TRADE"]),
    ({"kind": "trade_first", "event": "ORDER_TRADE_UPDATE"}, ["TRADE", "NEW", "TRADE"]),
    ({"kind": "delay", "event": "ORDER_TRADE_UPDATE", "seconds": 0.3}, ["TRADE", "TRADE", "NEW"]),
])  # fmt: skip
async def test_events_are_lost_doubled_late_and_out_of_order(served, fault, executions):
    await asyncio.to_thread(lambda: served.ctl("fault", **fault))
    async with Heard(served) as heard:
        await trade(served)
        await until(lambda: len(heard.executions()) == len(executions))
        await asyncio.sleep(0.1)
        assert heard.executions() == executions
    assert served.truth()["positions"] == {"BTCUSDT": "0.8"}


def test_a_listen_key_is_one_a_api_key_renewed_and_deleted(served):
    first = listen_key(served)
    assert listen_key(served) == first == listen_key(served, "PUT")
    assert listen_key(served, key=READ_KEY) != first
    assert listen_key(served, "DELETE") == {}
    assert listen_key(served, "PUT")["code"] == -1125
    assert listen_key(served) != first
    assert listen_key(served, key="nobody")["code"] == -2015


def test_or_one_an_account():
    with Served(keys_by_account=True) as served:
        first = listen_key(served)
        assert listen_key(served, key=READ_KEY) == first
        assert listen_key(served, "DELETE", READ_KEY) == {}
        assert listen_key(served, "PUT")["code"] == -1125


async def test_a_key_that_expires_is_told_and_its_socket_closes(served):
    async with Heard(served) as heard:
        await asyncio.to_thread(lambda: served.ctl("expire", account="one"))
        await until(lambda: heard.is_closed)
        assert [e["e"] for e in heard.events] == ["listenKeyExpired"]
        assert heard.events[0]["listenKey"] == heard.key


async def test_or_it_dies_without_a_word_and_the_socket_stays_open_and_deaf(served):
    async with Heard(served) as heard:
        await asyncio.to_thread(lambda: served.ctl("set", is_deaf=True))
        await asyncio.to_thread(lambda: served.ctl("expire", account="one"))
        await trade(served)
        await asyncio.sleep(0.3)
        assert (heard.events, heard.is_closed) == ([], False)
    assert listen_key(served, "PUT")["code"] == -1125


async def test_a_stream_that_is_cut_is_gone_without_a_word(served):
    async with Heard(served) as heard:
        await asyncio.to_thread(lambda: served.ctl("cut"))
        await until(lambda: heard.is_closed)
        assert heard.events == []


async def test_what_comes_by_itself_is_told(served):
    await trade(served)
    async with Heard(served) as heard:
        for do, fields in (
            ("fund", {"symbol": "BTCUSDT", "rate": "0.0001"}),
            ("transfer", {"asset": "USDT", "amount": "-500"}),
            ("take_over", {"symbol": "BTCUSDT", "quantity": "0.3", "price": "60000",
                           "client_id": "adl_autoclose"}),
            ("take_over", {"symbol": "BTCUSDT", "quantity": "9", "price": "60000",
                           "client_id": "autoclose-1"}),
            ("margin_call", {}),
        ):  # fmt: skip
            await asyncio.to_thread(lambda d=do, f=fields: served.ctl(d, account="one", **f))
        await until(lambda: len(heard.events) == 9)
        reasons = [e["a"]["m"] for e in heard.events if e["e"] == "ACCOUNT_UPDATE"]
        assert reasons == ["FUNDING_FEE", "WITHDRAW", "ORDER", "ORDER"]
        assert heard.executions() == ["NEW", "TRADE", "NEW", "CALCULATED"]
        assert heard.events[-1]["e"] == "MARGIN_CALL"
    truth = served.truth()
    assert truth["positions"] == {}
    kinds = [row["incomeType"] for row in truth["income"]]
    assert kinds.count("TRANSFER") == 3
    assert kinds.count("FUNDING_FEE") == 1
    wallet = sum(float(row["income"]) for row in truth["income"] if row["asset"] == "USDT")
    assert float(truth["wallets"]["USDT"]) == pytest.approx(wallet)
