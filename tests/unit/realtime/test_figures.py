"""A report's figures from a period written by hand: every figure by its definition."""

import math

import numpy as np
import pytest

from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.portfolio.account import Account, Position
from dolphin_realtime.model.portfolio.saved import Books
from dolphin_realtime.reports import ratios
from dolphin_realtime.reports.figures import (
    NOT_ENOUGH,
    Exposure,
    drawdowns,
    exposures,
    figures_of,
    to_dict,
)
from dolphin_realtime.reports.period import Period
from dolphin_realtime.reports.trades import Trade

NAN = math.nan
DAY_0 = 20_000 * DAY_US
COLUMNS = (
    "timestamp_us", "equity", "fees", "funding", "long_usd", "short_usd", "r_ar", "r_vol",
    "assets", "gated", "latency_us",
)  # fmt: skip


def period(rows=(), *, start=100.0, **fields):
    """Return a period of rows of COLUMNS; what is left out of a row is NaN."""
    table = [[*row, *[NAN] * (len(COLUMNS) - len(row))] for row in rows]
    series = {
        name: np.array([row[i] for row in table], dtype=np.float64)
        for i, name in enumerate(COLUMNS)
    }
    usual = {
        "start_equity": start, "start_fees": 0.0, "start_funding": 0.0, "series": series,
        "fills": [], "closed": [], "still_open": [], "funding": [], "opening": None,
        "closing": None, "first_prices": {}, "reasons": {}, "postures": {}, "notes": [],
        "counts": {"orders": 4, "fills": 3, "cancels": 2, "refusals": 1}, "changes": [],
        "unpriced": [],
    }  # fmt: skip
    return Period(**{**usual, **fields})


def fill(asset, side, quantity, price, mid, fee=0.0):
    return {
        "asset": asset, "side": side, "quantity": quantity, "price": price, "mid": mid, "fee": fee
    }  # fmt: skip


def test_of_nothing_there_is_nothing():
    found = figures_of(period())
    assert (found.start_equity, found.end_equity, found.net, found.gross) == (
        100.0,
        100.0,
        0.0,
        0.0,
    )
    assert (found.fees, found.funding, found.scans, found.assets) == (0.0, 0.0, 0, 0)
    assert (found.first_us, found.last_us, found.max_drawdown, found.days) == (None, None, 0.0, 0)
    assert found.drawdown_peak_us is found.drawdown_trough_us is found.exposure is None
    assert (found.latency_us, found.ratios_note) == ({"n": 0}, NOT_ENOUGH)
    assert found.signal.gated is found.signal.r_ar is found.signal.r_vol is None
    assert found.per_asset is found.off_usd is found.benchmark.basket is None
    assert to_dict(found)["orders"] == 4


def test_money_is_counted_from_the_periods_start():
    rows = [
        (DAY_0 + 10, 101.0, 1.5, 0.25),
        (DAY_0 + 20, 98.0, 2.0, -0.5),
        (DAY_0 + 30, 110.0, 3.0, 0.75),
    ]
    fills = [fill("A", "BUY", 2.0, 10.5, 10.0), fill("A", "SELL", 1.0, 11.75, 12.0)]
    found = figures_of(period(rows, start_fees=1.0, start_funding=0.5, fills=fills))
    assert (found.net, found.fees, found.funding) == (10.0, 2.0, 0.25)
    assert found.slippage == 2.0 * 0.5 + 1.0 * 0.25
    assert found.gross == 10.0 + 1.25 + 2.0 + 0.25
    assert found.total_return == pytest.approx(0.1)
    assert found.turnover == pytest.approx((21.0 + 11.75) / 100.0)
    assert (found.first_us, found.last_us, found.scans) == (DAY_0 + 10, DAY_0 + 30, 3)
    assert (found.orders, found.fills, found.cancels, found.refusals) == (4, 3, 2, 1)
    broke = figures_of(period(rows, start=0.0, fills=fills))
    assert (broke.total_return, broke.turnover) == (0.0, 0.0)


def test_the_deepest_fall_has_its_peak_and_its_trough():
    values = [105.0, 120.0, 90.0, 130.0, 117.0]
    found = figures_of(period([(DAY_0 + n, v) for n, v in enumerate(values)]))
    assert found.max_drawdown == pytest.approx(0.25)
    assert (found.drawdown_peak_us, found.drawdown_trough_us) == (DAY_0 + 1, DAY_0 + 2)
    below = figures_of(period([(DAY_0 + 5, 90.0), (DAY_0 + 6, 80.0)]))
    assert below.max_drawdown == pytest.approx(0.2)
    assert (below.drawdown_peak_us, below.drawdown_trough_us) == (DAY_0 + 5, DAY_0 + 6)
    rising = figures_of(period([(DAY_0, 100.0), (DAY_0 + 1, 101.0)]))
    assert (rising.max_drawdown, rising.drawdown_trough_us) == (0.0, None)
    assert rising.drawdown_peak_us is None
    assert drawdowns(period([(1, 0.0), (2, 0.0)], start=0.0)).tolist() == [0.0, 0.0]
    assert drawdowns(period([(1, 50.0), (2, 200.0), (3, 150.0)])).tolist() == [0.5, 0.0, 0.25]


def days(n):
    """Return the closes of n days, two scans a day, and their returns."""
    returns = [0.02 if i % 3 else -0.01 for i in range(n)]
    rows, equity = [], 100.0
    for i, change in enumerate(returns):
        rows.append((DAY_0 + i * DAY_US, equity * 1.5))
        equity *= 1.0 + change
        rows.append((DAY_0 + i * DAY_US + 1, equity))
    return rows, returns


@pytest.mark.parametrize(("n", "is_enough"), [(29, False), (30, True)])
def test_a_days_return_is_from_close_to_close(n, is_enough):
    rows, returns = days(n)
    found = figures_of(period(rows))
    assert list(found.returns.values()) == pytest.approx(returns)
    assert (found.days, next(iter(found.returns))) == (n, "2024-10-04")
    if is_enough:
        assert found.volatility == pytest.approx(ratios.volatility(returns))
        assert found.sharpe == pytest.approx(ratios.sharpe(returns))
        assert found.sortino == pytest.approx(ratios.sortino(returns))
        assert found.ratios_note is None
    else:
        assert found.volatility is found.sharpe is found.sortino is None
        assert found.ratios_note == NOT_ENOUGH


def test_a_day_that_begins_with_nothing_has_no_return():
    found = figures_of(period([(DAY_0, 0.0), (DAY_0 + DAY_US, 5.0)]))
    assert list(found.returns.values()) == [-1.0, 0.0]


def test_trades_by_side():
    trades = [
        Trade(asset="A", side="LONG", opened_us=0, closed_us=1, realised=3.0, fees=1.0),
        Trade(asset="B", side="SHORT", opened_us=0, closed_us=1, realised=-4.0, fees=1.0),
        Trade(asset="C", side="SHORT", opened_us=0, closed_us=1, realised=9.0, fees=0.0),
    ]
    found = figures_of(period(closed=trades, still_open=trades[:1]))
    assert (found.trades.count, found.trades.net) == (3, 2.0 - 5.0 + 9.0)
    assert (found.long_trades.count, found.long_trades.net) == (1, 2.0)
    assert (found.short_trades.count, found.short_trades.net) == (2, 4.0)
    assert found.open_positions == 1


def books(prices, **positions):
    held = {a: Position(q, average, realised) for a, (q, average, realised) in positions.items()}
    return Books(Account(start_cash=100.0, positions=held), prices)


def test_net_by_asset_is_the_change_in_profit_minus_fees_and_funding():
    """A: bought 2 at 10 before; 1 sold at 13 (mid 14). B: 4 sold short at 5 (mid 5.5), now 4."""
    opening = books({"A": 11.0, "BTCUSDT": 50.0}, A=(2.0, 10.0, 0.0))
    closing = books({"A": 15.0, "B": 4.0, "BTCUSDT": 55.0}, A=(1.0, 10.0, 3.0), B=(-4.0, 5.0, 0.0))
    fills = [
        fill("A", "SELL", 1.0, 13.0, 14.0, fee=0.5),
        fill("B", "SELL", 4.0, 5.0, 5.5, fee=0.25),
    ]
    net = (3.0 + 5.0) - 2.0 - 0.5 + 4.0 - 0.25 - 0.125
    rows = [(DAY_0, 100.0 + net, 0.75, 0.125)]
    found = figures_of(period(
        rows, opening=opening, closing=closing, fills=fills,
        funding=[{"asset": "B", "amount": 0.125}],
        first_prices={"A": 10.0, "BTCUSDT": 50.0, "B": 0.0, "GONE": 1.0},
    ))  # fmt: skip
    assert found.per_asset == {"A": 5.5, "B": 3.625}
    assert (found.best_asset, found.worst_asset) == ("A", "B")
    assert found.off_usd == pytest.approx(0.0, abs=1e-12)
    assert found.benchmark.basket == pytest.approx((0.5 + 0.1) / 2)
    assert found.benchmark.btc == pytest.approx(0.1)


@pytest.mark.parametrize(("equity", "off"), [(103.0, 0.0), (104.0, 1.0), (101.5, 1.5)])
def test_what_does_not_add_up_is_told_in_usd(equity, off):
    opening, closing = (
        books({"A": 10.0}, A=(1.0, 10.0, 0.0)),
        books({"A": 13.0}, A=(1.0, 10.0, 0.0)),
    )
    found = figures_of(period([(DAY_0, equity, 0.0, 0.0)], opening=opening, closing=closing))
    assert found.off_usd == pytest.approx(off)


def test_a_position_that_a_person_closed_counts_at_that_price():
    opening, closing = (
        books({"A": 10.0}, A=(2.0, 10.0, 0.0)),
        books({"A": 10.0}, A=(0.0, 0.0, -14.0)),
    )
    change = {
        "realised": -14.0, "quantity_before": 2.0, "average_before": 10.0, "quantity": 0.0,
        "average": 0.0,
    }  # fmt: skip
    found = figures_of(period(
        [(DAY_0, 86.0, 0.0, 0.0)], opening=opening, closing=closing, changes=[change]
    ))  # fmt: skip
    assert found.off_usd == pytest.approx(0.0)
    assert found.per_asset == {"A": -14.0}
    assert found.best_asset == found.worst_asset == "A"


def test_means_are_of_what_is_known():
    rows = [
        (DAY_0, 100.0, 0.0, 0.0, 30.0, 10.0, 1.0, 4.0, 10.0, 5.0, 700.0),
        (DAY_0 + 1, 200.0, 0.0, 0.0, 50.0, 70.0, 3.0, NAN, 30.0, 5.0, NAN),
        (DAY_0 + 2, 100.0, 0.0, 0.0),
    ]
    found = figures_of(period(rows))
    assert (found.signal.r_ar, found.signal.r_vol, found.signal.gated) == (2.0, 4.0, 0.25)
    assert found.assets == 30
    assert found.exposure == Exposure(gross_mean=0.5, gross_max=0.6, net_mean=0.05)
    assert found.latency_us == {"p50": 700.0, "p90": 700.0, "p99": 700.0, "max": 700.0, "n": 1}
    gross, net = exposures(period([(1, 0.0, 0.0, 0.0, 5.0, 5.0), (2, 10.0, 0.0, 0.0, 5.0, 1.0)]))
    assert math.isnan(gross[0])
    assert (gross[1], net[1]) == (pytest.approx(0.6), pytest.approx(0.4))
