"""Pre-trade limits: each one's bound, its code, and that none keeps a position from closing."""

import math

import msgspec
import pytest

from dolphin_realtime.model.instant import MINUTE_US
from dolphin_realtime.model.market.instrument import OTHER
from dolphin_realtime.model.orders import OrderIntent
from dolphin_realtime.model.risk.exposure import Exposure, Pace
from dolphin_realtime.model.risk.pre_trade import LIMITS, PreTradeParams, check, record_sent

NOW_US = 1_700_000_000_000_000


def order(quantity=10.0, side="BUY", asset="A", *, is_reduce_only=False):
    leg = "C" if is_reduce_only else "O"
    return OrderIntent(
        asset=asset, side=side, quantity=quantity, leg=leg, is_reduce_only=is_reduce_only
    )


def exposure(**changes):
    fields = {
        "now_us": NOW_US,
        "prices": {"A": 100.0, "B": 100.0},
        "last_prices": {"A": 100.0, "B": 100.0},
        "notionals": {},
        "equity": 100_000.0,
        "day_loss_share": 0.0,
        "instruments": {"A": OTHER, "B": OTHER},
        "pace": Pace(),
    }
    return Exposure(**{**fields, **changes})


def code(intent, state, **params):
    refusal = check(intent, state, PreTradeParams(**params))
    return refusal and refusal.code


CASES = {
    "NOT_FINITE": (exposure(prices={"A": 1e-300}, last_prices={}), order(math.inf), {}, {}),
    "NOT_ALLOWED": (exposure(), order(), {"allow": "B, C"}, {"allow": "A,B"}),
    "PRICE_COLLAR": (exposure(last_prices={"A": 80.0}), order(), {}, {"max_price_move": 0.25}),
    "MAX_ORDER": (exposure(), order(10.0), {"max_order_usd": 999.0}, {"max_order_usd": 1000.0}),
    "MAX_POSITION": (
        exposure(notionals={"A": 9_500.0}),
        order(10.0),
        {},
        {"max_position_share": 0.105},
    ),
    "MAX_GROSS": (
        exposure(notionals={"A": 5_000.0, "B": -5_000.0}),
        order(10.0),
        {"max_gross_share": 0.1},
        {"max_gross_share": 0.111},
    ),
    "MAX_GROSS_USD": (
        exposure(notionals={"A": 5_000.0, "B": -5_000.0}),
        order(10.0),
        {"max_gross_usd": 10_999.0},
        {"max_gross_usd": 11_000.0},
    ),
    "MAX_NET": (
        exposure(notionals={"B": 9_500.0}),
        order(10.0),
        {"max_net_share": 0.1},
        {"max_net_share": 0.106},
    ),
    "ALL_GROSS": (
        exposure(notionals={"A": 5_000.0, "B": -5_000.0}),
        order(10.0),
        {"all_gross_usd": 43_996.0, "share_of_all": 0.25},
        {"all_gross_usd": 44_000.0, "share_of_all": 0.25},
    ),
    "ALL_NET": (
        exposure(notionals={"A": -2_000.0, "B": 9_500.0}),
        order(10.0),
        {"all_net_usd": 33_996.0, "share_of_all": 0.25},
        {"all_net_usd": 34_000.0, "share_of_all": 0.25},
    ),
    "ALL_ASSET": (
        exposure(notionals={"A": 5_000.0}),
        order(10.0),
        {"all_asset_usd": 11_998.0, "share_of_all": 0.5},
        {"all_asset_usd": 12_000.0, "share_of_all": 0.5},
    ),
    "MAX_ORDERS_PER_MINUTE": (
        exposure(pace=Pace(minute=[NOW_US - 1, NOW_US - 2])),
        order(),
        {"max_orders_per_minute": 2},
        {"max_orders_per_minute": 3},
    ),
    "DUPLICATE_ORDER": (
        exposure(pace=Pace(opened={"A BUY": NOW_US - 900_000})),
        order(),
        {},
        {"duplicate_window_s": 0.5},
    ),
    "ORDER_UNKNOWN": (exposure(unknown=frozenset({"A"})), order(), {}, {}),
    "DAILY_LOSS": (exposure(day_loss_share=0.031), order(), {}, {"max_daily_loss_share": 0.04}),
    "DAILY_LOSS_USD": (
        exposure(day_loss_share=0.02, equity=98_000.0),
        order(),
        {"max_daily_loss_usd": 1_999.0},
        {"max_daily_loss_usd": 2_001.0},
    ),
}


FIXED = ("NOT_FINITE", "ORDER_UNKNOWN")
"""Limits without a setting."""


def test_every_limit_has_its_case():
    assert list(CASES) == [limit.code for limit in LIMITS]
    names = {limit.setting for limit in LIMITS} - {""}
    assert names == set(PreTradeParams.__struct_fields__) - {"share_of_all"}


@pytest.mark.parametrize("name", CASES)
def test_a_limit_stops_what_is_over_it_and_nothing_at_it(name):
    state, intent, tight, loose = CASES[name]
    assert code(intent, state, **tight) == name
    if name not in FIXED:
        assert code(intent, state, **loose) is None


@pytest.mark.parametrize("name", [n for n in CASES if n != "NOT_FINITE"])
def test_no_limit_keeps_a_position_from_closing(name):
    state, intent, tight, _ = CASES[name]
    closing = msgspec.structs.replace(intent, is_reduce_only=True, leg="C")
    assert code(closing, state, **tight) is None


def test_a_close_of_no_finite_size_is_stopped():
    closing = order(math.inf, is_reduce_only=True)
    assert code(closing, exposure()) == "NOT_FINITE"


def test_a_not_a_number_is_over_every_bound():
    assert code(order(), exposure(day_loss_share=math.nan)) == "DAILY_LOSS"
    assert code(order(), exposure(equity=0.0)) == "MAX_POSITION"


def test_what_was_let_through_counts_for_the_next():
    state, params = exposure(), PreTradeParams(max_gross_share=0.015, max_orders_per_minute=2)
    first = order(10.0)
    assert check(first, state, params) is None
    record_sent(first, state)
    assert check(order(10.0, asset="B"), state, params).code == "MAX_GROSS"
    record_sent(order(1.0, "SELL", "B", is_reduce_only=True), state)
    assert check(order(1.0, asset="B"), state, params).code == "MAX_ORDERS_PER_MINUTE"
    state.pace.at(NOW_US + MINUTE_US)
    assert state.pace.minute == []


def test_an_order_that_lowers_the_net_is_not_stopped_by_it():
    state = exposure(notionals={"B": 80_000.0})
    assert code(order(10.0, "SELL"), state) is None
    assert code(order(10.0, "BUY"), state) == "MAX_NET"


def test_an_order_that_turns_the_net_round_is_stopped_only_if_it_becomes_larger():
    state = exposure(notionals={"B": 80_000.0, "A": 0.0}, equity=100_000.0)
    loose = {"max_order_usd": 1e9, "max_position_share": 99.0, "max_gross_share": 99.0}
    assert code(order(1600.0, "SELL"), state, **loose) is None
    assert code(order(1600.1, "SELL"), state, **loose) == "MAX_NET"
