"""Kind A, dust: quantities are whole size steps, whatever made them; no order of 0 steps is made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.portfolio.account import Account, Position
from dolphin_realtime.model.portfolio.decision import TargetParams
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import Act, change_account
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.signal.params import SignalParams
from tests.scans import walk
from tests.unit.realtime.test_portfolio import trade


@given(st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=40), st.integers(0, 8))
def test_a_position_of_any_fills_is_whole_steps(steps, digits):
    position = Position()
    for n in steps:
        position.apply(n / 10**digits, 1e-5, digits)
    assert position.quantity == round(sum(steps) / 10**digits, digits)
    position.apply(-position.quantity, 1e-5, digits)
    assert (position.quantity, position.average_price) == (0.0, 0.0)


@pytest.mark.parametrize("price", [4.6e-7, 8.1e-6, 1e-5, 0.3, 97_000.0])
def test_no_order_of_no_steps_is_made_of_any_price(price):
    """A coin of any price among others, traded at every turn of its signal."""
    scans = walk(420, volatility=2e-3)
    factor = price / scans[0].prices[0]
    for scan in scans:
        scan.prices[0] *= factor
    signal = SignalParams(s_in=0.3, s_out=0.1, tau_x_s=600)
    portfolio = Portfolio("X", signal, TargetParams(band=0.0, min_notional_usd=0.0))
    found = trade(portfolio, scans)
    orders = [o.order for plan, _, _ in found for o in plan.orders]
    assert len(orders) > 100
    for order in orders:
        step = 10.0 ** -portfolio.digits(order.asset)
        assert order.quantity >= step
        assert order.quantity == round(order.quantity, portfolio.digits(order.asset))


@pytest.mark.parametrize("factor", np.geomspace(1e-9, 1e9, 7).tolist())
def test_a_redenomination_leaves_whole_steps_and_the_same_equity(factor):
    account = Account(start_cash=1000.0, positions={"A": Position(123.456, 2.0)})
    before = account.cash + account.unrealised({"A": 3.0})
    change_account(account, Act.REDENOMINATE, "A", factor, 3.0, 3)
    quantity = account.positions["A"].quantity
    assert quantity == round(quantity, 3)
    after = account.cash + account.unrealised({"A": 3.0 / factor})
    assert after == pytest.approx(before, rel=1e-9)


def test_limits_let_a_dust_of_a_position_be_closed():
    portfolio = Portfolio("X")
    portfolio.add_instruments(["A"])
    portfolio.account.positions["A"] = Position(10.0 ** -portfolio.digits("A"), 1.0)
    (order,) = portfolio.flatten()
    assert order.order.quantity == 10.0 ** -portfolio.digits("A")
    assert TradingPermission().entry_block is None
