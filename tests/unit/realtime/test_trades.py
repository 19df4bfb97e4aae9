"""Round trips and their figures: by hand, and against the account on random fills."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.portfolio.account import Account
from dolphin_realtime.reports.trades import LONG, SHORT, figures_of_trades, trades_of


def fill(n, asset, side, quantity, price, fee=0.0):
    return {
        "client_order_id": f"X-{n}", "asset": asset, "side": side, "quantity": quantity,
        "price": price, "fee": fee, "timestamp_us": n * 60_000_000, "booked_us": n * 60_000_000,
        "size_digits": 6,
    }  # fmt: skip


def test_a_trade_is_from_flat_to_flat():
    trades = trades_of([
        fill(1, "A", "BUY", 2.0, 10.0, 0.1), fill(2, "B", "SELL", 1.0, 5.0),
        fill(3, "A", "BUY", 1.0, 13.0, 0.1), fill(4, "A", "SELL", 3.0, 12.0, 0.2),
        fill(5, "A", "SELL", 1.0, 12.0), fill(6, "A", "BUY", 1.0, 11.0),
    ])  # fmt: skip
    first, short_b, second = trades
    assert (first.side, first.quantity, first.average_open) == (LONG, 3.0, 11.0)
    assert (first.realised, first.fees, first.hold_s) == (3.0, pytest.approx(0.4), 180.0)
    assert (second.side, second.realised, second.closed_by) == (SHORT, 1.0, "X-6")
    assert (short_b.asset, short_b.closed_us) == ("B", None)


def test_figures_by_hand():
    closed = trades_of([
        fill(1, "A", "BUY", 1.0, 10.0), fill(2, "A", "SELL", 1.0, 14.0),
        fill(3, "A", "BUY", 1.0, 10.0), fill(4, "A", "SELL", 1.0, 8.0),
        fill(5, "A", "BUY", 1.0, 10.0), fill(6, "A", "SELL", 1.0, 12.0),
    ])  # fmt: skip
    f = figures_of_trades(closed)
    assert (f.count, f.net) == (3, 4.0)
    assert f.win_rate == pytest.approx(2 / 3)
    assert f.payoff == pytest.approx(1.5)
    assert f.profit_factor == pytest.approx(3.0)


def test_no_trade_has_no_figures():
    f = figures_of_trades([])
    assert (f.count, f.net, f.win_rate, f.payoff, f.profit_factor) == (0, 0, None, None, None)


quantities = st.integers(1, 50).map(float)
prices = st.integers(50, 150).map(float)


@given(st.lists(st.tuples(st.sampled_from("AB"), st.booleans(), quantities, prices), max_size=60))
def test_trades_realise_what_the_account_does(events):
    account = Account(start_cash=0.0, positions={})
    rows = []
    for n, (asset, is_buy, quantity, price) in enumerate(events):
        held = account.held().get(asset, 0.0)
        signed = quantity if is_buy else -quantity
        if held * signed < 0:
            signed = max(-abs(held), min(abs(held), signed))
        account.apply_fill(asset, signed, price, 0.5, 6)
        rows.append(fill(n, asset, "BUY" if signed > 0 else "SELL", abs(signed), price, 0.5))
    trades = trades_of(rows)
    assert sum(t.realised for t in trades) == pytest.approx(account.realised, abs=1e-6)
    assert sum(t.fees for t in trades) == pytest.approx(account.fees)
    assert {t.asset for t in trades if t.closed_us is None} == account.held().keys()
