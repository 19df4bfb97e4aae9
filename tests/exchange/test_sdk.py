"""Binance's own SDK as the judge of the loopback venue: each call it makes is read by its models."""

import time
from decimal import Decimal

import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel

from tests.exchange.conftest import KEY, READ_KEY, READ_SECRET, SECRET


def sdk_of(served, key=KEY, secret=SECRET, **more):
    rest = ConfigurationRestAPI(
        api_key=key, api_secret=secret, base_path=served.url, retries=0, **more
    )
    return DerivativesTradingUsdsFutures(config_rest_api=rest).rest_api


@pytest.fixture
def sdk(served):
    return sdk_of(served)


def buy(sdk, quantity="0.5", symbol="BTCUSDT", **more):
    fields = {"symbol": symbol, "side": "BUY", "type": "MARKET", "quantity": quantity}
    return sdk.new_order(**{**fields, **more}).data()


def test_the_public_answers(sdk):
    info = sdk.exchange_information().data()
    btc = next(s for s in info.symbols if s.symbol == "BTCUSDT")
    assert (btc.price_precision, btc.quantity_precision, btc.status) == (1, 3, "TRADING")
    steps = {f.filter_type: f.step_size for f in btc.filters}
    assert steps["LOT_SIZE"] == steps["MARKET_LOT_SIZE"] == "0.001"
    assert abs(sdk.check_server_time().data().server_time - time.time() * 1000) < 5000


CALLS = {
    "get_current_position_mode": {},
    "get_current_multi_assets_mode": {},
    "get_bnb_burn_status": {},
    "futures_account_configuration": {},
    "symbol_configuration": {},
    "user_commission_rate": {"symbol": "BTCUSDT"},
    "notional_and_leverage_brackets": {},
    "futures_account_balance_v2": {},
    "futures_account_balance_v3": {},
    "account_information_v2": {},
    "account_information_v3": {},
    "position_information_v2": {},
    "position_information_v3": {},
    "current_all_open_orders": {},
    "all_orders": {"symbol": "BTCUSDT"},
    "account_trade_list": {"symbol": "BTCUSDT"},
    "get_income_history": {},
    "change_initial_leverage": {"symbol": "ETHUSDT", "leverage": 5},
    "auto_cancel_all_open_orders": {"symbol": "ETHUSDT", "countdown_time": 5000},
    "cancel_all_open_orders": {"symbol": "ETHUSDT"},
    "start_user_data_stream": {},
}


NOT_OURS = {"base_qty", "cum_base", "margin_asset", "pair", "activate_price", "price_rate"}
"""Fields of the models that belong to another product or to orders this venue does not take."""


def missing(data):
    """Return the fields that the SDK's models know and the venue did not send, at any depth."""
    found = set()
    if isinstance(data, list):
        for one in data:
            found |= missing(one)
    elif isinstance(data, BaseModel):
        for name in type(data).model_fields:
            value = getattr(data, name)
            if name == "additional_properties" or name.startswith("oneof_schema"):
                continue
            found |= {name} if value is None else missing(value)
    return found


@pytest.mark.parametrize("call", CALLS)
def test_each_answer_is_read_by_the_sdks_own_models(served, sdk, call):
    buy(sdk)
    found = getattr(sdk, call)(**CALLS[call])
    assert missing(found.data()) <= NOT_OURS
    assert "X-MBX-USED-WEIGHT-1M" in {name.upper() for name in found.headers}


def test_an_order_is_acknowledged_first_and_its_trades_are_the_accounts(served, sdk):
    answer = buy(sdk, "0.8", new_client_order_id="mine-1")
    assert (answer.status, answer.executed_qty) == ("NEW", "0")
    order = sdk.query_order(symbol="BTCUSDT", orig_client_order_id="mine-1").data()
    assert (order.status, Decimal(order.executed_qty)) == ("FILLED", Decimal("0.8"))
    trades = sdk.account_trade_list(symbol="BTCUSDT", order_id=order.order_id).data()
    assert [Decimal(t.qty) for t in trades] == [Decimal("0.5"), Decimal("0.3")]
    assert [Decimal(t.price) for t in trades] == [Decimal("60006.0"), Decimal("60012.0")]
    assert sum(Decimal(t.qty) * Decimal(t.price) for t in trades) == Decimal(order.cum_quote)
    (position,) = sdk.position_information_v3().data()
    assert Decimal(position.position_amt) == Decimal("0.8")
    paid = sdk.get_income_history(income_type="COMMISSION").data()
    assert sum(Decimal(row.income) for row in paid) == -sum(Decimal(t.commission) for t in trades)
    wallet = next(a for a in sdk.account_information_v2().data().assets if a.asset == "USDT")
    assert Decimal(wallet.wallet_balance) == 100_000 - sum(Decimal(t.commission) for t in trades)


@pytest.mark.parametrize(("fields", "code"), [
    ({"symbol": "NONEUSDT"}, -1121), ({"quantity": "0"}, -4003), ({"quantity": "0.0001"}, -1111),
    ({"quantity": "0.00005", "symbol": "NEWUSDT"}, -4131), ({"quantity": "2000000000"}, -4005),
    ({"new_client_order_id": "x" * 37}, -4015), ({"new_client_order_id": "ä"}, -4015),
    ({"quantity": "0.001", "symbol": "ETHUSDT"}, -4164), ({"quantity": "900"}, -2019),
    ({"reduce_only": "true"}, -2022), ({"position_side": "LONG"}, -4061),
])  # fmt: skip
def test_what_the_venue_does_not_take_has_its_code(sdk, fields, code):
    with pytest.raises(BadRequestError) as caught:
        buy(sdk, **fields)
    assert caught.value.status_code == code


def test_a_key_that_may_only_read_reads_and_does_not_trade(served):
    reader = sdk_of(served, READ_KEY, READ_SECRET)
    assert reader.account_information_v3().data().total_wallet_balance == "100000"
    with pytest.raises(UnauthorizedError) as caught:
        buy(reader)
    assert caught.value.status_code == -2015


@pytest.mark.parametrize(("key", "secret", "code"), [
    ("nobody", SECRET, -2015), (KEY, "wrong", -1022),
])  # fmt: skip
def test_a_stranger_gets_nothing(served, key, secret, code):
    with pytest.raises((UnauthorizedError, BadRequestError)) as caught:
        sdk_of(served, key, secret).account_information_v3()
    assert caught.value.status_code == code


def test_a_clock_that_is_off_is_refused(served, sdk):
    served.ctl("set", offset_ms=10_000)
    with pytest.raises(BadRequestError) as caught:
        buy(sdk)
    assert caught.value.status_code == -1021


def test_an_ed25519_key_signs_as_well(served):
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    served.ctl("key", key="ed", account="one", public_pem=public.decode())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    sdk = sdk_of(served, "ed", None, private_key=pem.decode())
    assert buy(sdk).status == "NEW"
