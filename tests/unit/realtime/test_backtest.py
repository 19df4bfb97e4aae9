"""The backtest in closed form: what a hand can compute, it must give to the last cent."""

from itertools import pairwise

import msgspec
import pandas as pd
import pytest

from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.model.instant import DAY_US, from_us
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.signal.gates import Factors, Reading
from dolphin_realtime.reports.trades import LONG, SHORT
from tests.backtests import ScriptedDesk, run
from tests.scans import make_scan, walk

A = "A00"


def path(prices, at_s=None):
    """Scans in which A00 follows ``prices`` and eleven others stand still."""
    return [
        make_scan(n, [p, *[50.0] * 11], at_s=None if at_s is None else at_s[n - 1])
        for n, p in enumerate(prices, start=1)
    ]


def test_constant_prices_give_no_trade_and_no_cost(tmp_path):
    scans = [make_scan(n, [100.0] * 12) for n in range(1, 400)]
    _, report = run(Portfolio("TEST"), scans, tmp_path)
    f = report.figures
    assert (f.orders, f.fills, f.turnover) == (0, 0, 0.0)
    assert (f.net, f.gross, f.slippage, f.fees, f.funding) == (0.0, 0.0, 0.0, 0.0, 0.0)
    assert f.end_equity == f.start_equity == 100_000.0
    assert "Nothing was traded" in report.html.read_text()
    assert f.reasons


def test_one_asset_on_a_known_path(tmp_path):
    """Bought at scan 2, filled at scan 3's price and a half spread; sold at 4, filled at 5's."""
    portfolio = ScriptedDesk({2: [(A, "BUY", 10.0)], 4: [(A, "SELL", 10.0)]})
    _, report = run(portfolio, path([100.0, 101.0, 102.0, 104.0, 103.0, 90.0]), tmp_path)
    buy, sell = 102.0 * 1.0002, 103.0 * 0.9998
    fees = 10.0 * (buy + sell) * 5e-4
    f = report.figures
    fills = pd.read_parquet(tmp_path / "fills.parquet")
    assert fills["price"].tolist() == pytest.approx([buy, sell], abs=1e-9)
    assert fills["mid"].tolist() == [102.0, 103.0]
    assert f.fees == pytest.approx(fees, abs=1e-6)
    assert f.slippage == pytest.approx(10 * 205.0 * 2e-4, abs=1e-6)
    assert f.gross == pytest.approx(10.0, abs=1e-6)
    assert f.net == pytest.approx(10 * (sell - buy) - fees, abs=1e-6)
    assert f.per_asset == {A: pytest.approx(f.net, abs=1e-6)}
    assert (f.trades.count, f.long_trades.count, f.short_trades.count) == (1, 1, 0)
    assert f.trades.hold_median_s == 120.0
    positions = pd.read_parquet(tmp_path / "positions.parquet").iloc[0]
    assert (positions["side"], positions["quantity"]) == (LONG, 10.0)
    assert positions["average_close"] == pytest.approx(sell, abs=1e-9)


def test_an_open_short_is_marked_at_the_last_price(tmp_path):
    portfolio = ScriptedDesk(
        {1: [(A, "SELL", 5.0)]}, CostParams(half_spread_bps=0, taker_fee_bps=0)
    )
    _, report = run(portfolio, path([100.0, 100.0, 110.0]), tmp_path)
    f = report.figures
    assert f.net == pytest.approx(-50.0, abs=1e-6)
    assert (f.open_positions, f.trades.count, f.fees, f.slippage) == (1, 0, 0.0, 0.0)
    assert f.max_drawdown == pytest.approx(50.0 / 100_000)
    positions = pd.read_parquet(tmp_path / "positions.parquet").iloc[0]
    assert positions["side"] == SHORT
    assert pd.isna(positions["closed"])


def test_funding_is_charged_on_what_is_held_at_the_settlement(tmp_path):
    """Held over 08:00: quantity x the first price at or after it x rate, once."""
    scans = path([100.0, 100.0, 104.0, 105.0], at_s=[6900, 7000, 7200, 7300])
    assert from_us(scans[2].timestamp_us).hour == 8
    rate = Reading(value=1e-3, fetch_us=scans[0].timestamp_us, lifetime_s=86_400, interval_h=8.0)
    factors = FactorHistory([(scans[0].timestamp_us, Factors(funding={A: rate}, dvol_btc=None))])
    _, report = run(ScriptedDesk({1: [(A, "BUY", 10.0)]}), scans, tmp_path, factors)
    assert report.figures.funding == pytest.approx(10.0 * 104.0 * 1e-3, abs=1e-9)
    row = pd.read_parquet(tmp_path / "funding.parquet")
    assert (len(row), row["asset"][0], row["rate"][0]) == (1, A, 1e-3)


def test_a_second_run_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        run(ScriptedDesk({2: [(A, "BUY", 1.5)]}), path([10.0, 11.0, 12.0]), tmp_path / name)
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    )
    assert first == second
    assert {"fills.parquet", "equity.parquet", "decisions.parquet", "report.html"} <= first.keys()


def test_days_are_reported_apart_and_together(tmp_path):
    scans = path([100.0, 100.0, 110.0, 99.0])
    scans[2:] = [
        msgspec.structs.replace(scan, timestamp_us=scan.timestamp_us + DAY_US) for scan in scans[2:]
    ]
    portfolio = ScriptedDesk(
        {1: [(A, "BUY", 100.0)]}, CostParams(half_spread_bps=0, taker_fee_bps=0)
    )
    f = run(portfolio, scans, tmp_path)[1].figures
    assert f.days == 2
    assert list(f.returns.values()) == pytest.approx([0.0, -100 / 100_000])
    assert f.sharpe is None
    assert "not enough data" in f.ratios_note


def decisions_up_to(make_portfolio, scans, out, at_us):
    run(make_portfolio(), scans, out)
    rows = pd.read_parquet(out / "decisions.parquet")
    return rows[rows["timestamp"] <= pd.Timestamp(at_us, unit="us", tz="UTC")]


class Peeking(Portfolio):
    """Looks one scan ahead: what the corruption test is there to catch."""

    def __init__(self, scans) -> None:
        super().__init__("TEST", pre_trade=None)
        self.later = {a.timestamp_us: b.prices for a, b in pairwise(scans)}

    def decide(self, scan, limits, book=None, factors=None):
        prices = self.later.get(scan.timestamp_us, scan.prices)
        scan = msgspec.structs.replace(scan, prices=prices)
        return super().decide(scan, limits, book, factors)


@pytest.mark.parametrize("is_peeking", [False, True])
def test_prices_after_a_scan_change_no_decision_up_to_it(tmp_path, is_peeking):
    def honest():
        return walk(900, seed=3, volatility=2e-3)

    def corrupted():
        scans = honest()
        for scan in scans[600:]:
            scan.prices[:] = [p * (3.0 if n % 2 else 0.2) for n, p in enumerate(scan.prices)]
        return scans

    at_us = honest()[599].timestamp_us
    found = []
    for n, make in enumerate((honest, corrupted)):
        scans = make()
        portfolio = Peeking(make()) if is_peeking else Portfolio("TEST")
        found.append(decisions_up_to(lambda d=portfolio: d, scans, tmp_path / str(n), at_us))
    assert found[0]["side"].notna().sum() > 10
    assert found[0].equals(found[1]) is not is_peeking
