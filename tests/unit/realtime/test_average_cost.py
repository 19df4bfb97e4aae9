"""Average entry prices of trades that come late: as if they had come in the venue's order."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.portfolio.account import Position
from dolphin_realtime.trading.average_cost import AverageCosts

TRADES = st.lists(
    st.tuples(st.integers(-3, 3).filter(bool), st.integers(90, 110)), min_size=1, max_size=30
)


def in_order(trades):
    position = Position()
    for signed, price in trades:
        position.apply(float(signed), float(price), 0)
    return position.average_price


@given(TRADES, st.integers(0, 10**6))
def test_whatever_order_they_come_in_the_last_average_is_the_venues(trades, seed):
    costs, numbered = AverageCosts(), list(enumerate(trades))
    near = [(n + random.Random(seed + n).uniform(0, 2.5), n) for n, _ in numbered]
    for _, n in sorted(near):
        signed, price = trades[n]
        average = costs.add("A", n, float(signed), float(price), 0)
    assert average == in_order(trades)


def test_two_assets_do_not_mix_and_old_trades_are_forgotten():
    costs = AverageCosts()
    for n in range(3000):
        average = costs.add("A", n, 1.0 if n % 2 else -1.0, 100.0 + n, 0)
        costs.add("B", n, 1.0, 50.0, 0)
    assert average == 0.0
    assert len(costs._assets["A"]._trades) < 10
    assert costs.add("B", 3000, 1.0, 50.0, 0) == 50.0
