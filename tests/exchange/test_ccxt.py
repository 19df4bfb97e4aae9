"""ccxt as the judge of the loopback venue: markets, orders, positions, income, refusals."""

import ccxt
import pytest

from tests.exchange.conftest import KEY, READ_KEY, READ_SECRET, SECRET


class Judge(ccxt.binanceusdm):
    """Reads refusals as those of USD-M, whose host ccxt would else look for."""

    def get_exceptions_by_url(self, url, exactOrBroad):  # noqa: N803 - ccxt's own name
        return super().get_exceptions_by_url("https://fapi.binance.com/", exactOrBroad)


def client(served, key=KEY, secret=SECRET):
    found = Judge({
        "apiKey": key, "secret": secret, "enableRateLimit": False,
        "options": {"fetchCurrencies": False, "fetchMarkets": {"types": ["linear"]}},
    })  # fmt: skip
    for name, url in found.urls["api"].items():
        if name.startswith("fapi"):
            version = url.rsplit("/", 1)[1]
            found.urls["api"][name] = f"{served.url}/fapi/{version}"
    return found


@pytest.fixture
def ccx(served):
    return client(served)


def test_markets_have_the_rules_that_the_venue_shows(ccx):
    markets = ccx.load_markets()
    btc = markets["BTC/USDT:USDT"]
    assert (btc["linear"], btc["active"], btc["settle"]) == (True, True, "USDT")
    assert (btc["precision"]["amount"], btc["precision"]["price"]) == (0.001, 0.1)
    assert btc["limits"]["cost"]["min"] == 5.0


def test_an_order_fills_and_position_trades_and_income_agree(served, ccx):
    order = ccx.create_order(
        "ETH/USDT:USDT", "market", "sell", 12.0, params={"clientOrderId": "c-1"}
    )
    assert (order["status"], order["clientOrderId"]) == ("open", "c-1")
    order = ccx.fetch_order(order["id"], "ETH/USDT:USDT")
    assert (order["status"], order["filled"], order["side"]) == ("closed", 12.0, "sell")
    trades = ccx.fetch_my_trades("ETH/USDT:USDT")
    assert [t["amount"] for t in trades] == [10.0, 2.0]
    assert {t["takerOrMaker"] for t in trades} == {"taker"}
    (position,) = [p for p in ccx.fetch_positions() if p["contracts"]]
    assert (position["symbol"], position["side"], position["contracts"]) == (
        "ETH/USDT:USDT",
        "short",
        12.0,
    )
    fees = sum(t["fee"]["cost"] for t in trades)
    assert fees == pytest.approx(order["cost"] * 5e-4)
    total = ccx.fetch_balance()["USDT"]["total"]
    assert total == pytest.approx(100_000 - fees + position["unrealizedPnl"], abs=1e-6)
    close = ccx.create_order("ETH/USDT:USDT", "market", "buy", 99.0, params={"reduceOnly": True})
    assert ccx.fetch_order(close["id"], "ETH/USDT:USDT")["filled"] == 12.0
    assert served.truth()["positions"] == {}
    ledger = ccx.fetch_ledger()
    assert sum(row["amount"] if row["direction"] == "in" else -row["amount"] for row in ledger
               if row["currency"] == "USDT") == pytest.approx(float(served.truth()["wallets"]["USDT"]))  # fmt: skip


def test_a_limit_order_rests_and_is_cancelled(served, ccx):
    order = ccx.create_order("BTC/USDT:USDT", "limit", "buy", 0.1, 50_000.0)
    assert [o["id"] for o in ccx.fetch_open_orders("BTC/USDT:USDT")] == [order["id"]]
    assert ccx.cancel_order(order["id"], "BTC/USDT:USDT")["status"] == "canceled"
    assert ccx.fetch_open_orders("BTC/USDT:USDT") == []
    with pytest.raises(ccxt.OrderNotFound):
        ccx.cancel_order(order["id"], "BTC/USDT:USDT")


@pytest.mark.parametrize(("fault", "raised"), [
    ({"kind": "code", "code": -2019}, ccxt.InsufficientFunds),
    ({"kind": "code", "code": -1003}, ccxt.DDoSProtection),
    ({"kind": "code", "code": -2022}, ccxt.InvalidOrder),
    ({"kind": "code", "code": -1021}, ccxt.InvalidNonce),
    ({"kind": "code", "code": -1007}, ccxt.RequestTimeout),
    ({"kind": "status", "status": 503, "body": "<html>busy</html>"}, ccxt.ExchangeNotAvailable),
    ({"kind": "cut"}, ccxt.NetworkError),
])  # fmt: skip
def test_each_refusal_is_what_a_client_takes_it_for(served, ccx, fault, raised):
    ccx.load_markets()
    served.ctl("fault", path="/fapi/v1/order", method="POST", **fault)
    with pytest.raises(raised):
        ccx.create_order("ETH/USDT:USDT", "market", "buy", 1.0)
    assert served.truth()["orders"] == []
    assert ccx.create_order("ETH/USDT:USDT", "market", "buy", 1.0)["status"] == "open"


def test_a_key_that_may_only_read_is_refused_an_order(served):
    reader = client(served, READ_KEY, READ_SECRET)
    with pytest.raises(ccxt.AuthenticationError):
        reader.create_order("ETH/USDT:USDT", "market", "buy", 1.0)
    assert reader.fetch_balance()["USDT"]["total"] == 100_000.0


def test_leverage_and_the_position_mode(served, ccx):
    ccx.load_markets()
    assert ccx.set_leverage(7, "BTC/USDT:USDT")["leverage"] in (7, "7")
    assert ccx.fetch_leverage("BTC/USDT:USDT")["longLeverage"] == 7
    assert ccx.fetch_position_mode()["hedged"] is False
    served.ctl("mode", account="one", is_hedged=True)
    assert ccx.fetch_position_mode()["hedged"] is True
