"""The portfolio: what a scan makes it do, in market time, and what it remembers."""

from itertools import pairwise

import msgspec
import pytest

from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.portfolio.account import Account, Position
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.fill_rule import MarketSnapshot
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.saved import restore, save
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.signal.gates import Factors, Reading
from tests.orders import fill, lapse
from tests.scans import walk

SCANS = walk(420, volatility=2e-3)


def trade(portfolio, scans, factors=None):
    """Run scans through a portfolio with fills at the modelled quote; return (plan, fills) a scan."""
    found = []
    for scan in scans:
        scan = msgspec.structs.replace(scan)
        plan = portfolio.decide(scan, TradingPermission(), None, factors)
        portfolio.finish_scan(plan)
        executions, lapses = portfolio.match(
            MarketSnapshot(now_us=scan.timestamp_us, prices=plan.prices)
        )
        fills = [e.order for e in executions]
        for execution in executions:
            order, quote = execution.order, execution.quote
            price = quote.ask if order.order.side == "BUY" else quote.bid
            fee = order.order.quantity * price * portfolio.costs.taker_fee_bps * 1e-4
            fill(portfolio, order, price, fee, quote.mid)
        for order in lapses:
            lapse(portfolio, order)
        portfolio.mark()
        found.append((plan, fills, lapses))
    return found


def test_orders_fill_at_the_next_scan_and_never_at_their_own():
    found = trade(Portfolio("X"), SCANS)
    sent = [o.client_order_id for plan, _, _ in found for o in plan.orders]
    assert len(sent) > 50
    assert len(set(sent)) == len(sent)
    for (plan, _, _), (_, fills, _) in pairwise(found):
        assert [o.client_order_id for o in plan.orders] == [o.client_order_id for o in fills]


def test_an_order_without_a_quote_in_time_lapses():
    portfolio = Portfolio("X")
    found = trade(portfolio, SCANS[:-1])
    last = next(n for n, (plan, _, _) in reversed(list(enumerate(found))) if plan.orders)
    portfolio = Portfolio("X")
    trade(portfolio, SCANS[: last + 1])
    late = msgspec.structs.replace(
        SCANS[last + 1], timestamp_us=SCANS[last].timestamp_us + 181_000_000
    )
    (_, fills, lapses) = trade(portfolio, [late])[0]
    assert not fills
    assert len(lapses) == len(found[last][0].orders)


def test_identities_hold_after_a_run():
    portfolio = Portfolio("X")
    trade(portfolio, SCANS)
    account = portfolio.account
    account.check()
    cash = account.start_cash + account.realised - account.fees - account.funding
    assert account.cash == pytest.approx(cash)
    gross = (
        portfolio.equity() - account.start_cash + account.fees + account.funding + account.slippage
    )
    assert account.slippage > 0
    assert gross - account.slippage - account.fees - account.funding == pytest.approx(
        portfolio.equity() - account.start_cash
    )


def test_two_halves_through_saved_state_are_one_run():
    whole, half, second = Portfolio("X"), Portfolio("X"), Portfolio("X")
    trade(whole, SCANS)
    trade(half, SCANS[:300])
    restore(second, save(half))
    trade(second, SCANS[300:])
    assert save(second) == save(whole)


def test_a_duplicate_scan_does_nothing():
    portfolio = Portfolio("X")
    trade(portfolio, SCANS[:300])
    before = save(portfolio)
    plan = portfolio.decide(msgspec.structs.replace(SCANS[299]), TradingPermission())
    assert not plan.is_new
    assert not plan.orders
    assert save(portfolio) == before


def test_a_followed_scan_sends_nothing_of_its_own_and_takes_back_what_was_sent():
    found = trade(Portfolio("X"), SCANS)
    n = next(i for i, (plan, _, _) in enumerate(found) if plan.orders)
    portfolio = Portfolio("X")
    trade(portfolio, SCANS[:n])
    plan = portfolio.catch_up(
        msgspec.structs.replace(SCANS[n]), found[n][0].orders, TradingPermission()
    )
    assert plan.decisions == []
    assert set(portfolio.in_flight) == {o.client_order_id for o in found[n][0].orders}


def test_funding_is_charged_once_on_the_position_before_the_settlement():
    portfolio = Portfolio("X", costs=CostParams(half_spread_bps=0.0))
    trade(portfolio, SCANS[:300])
    held = portfolio.account.held()
    asset, quantity = next(iter(held.items()))
    reading = Reading(value=0.001, fetch_us=0, lifetime_s=1e12)
    eight_us = (portfolio.last_us // (8 * 3_600_000_000) + 1) * 8 * 3_600_000_000
    factors = Factors(funding={asset: reading})
    charges = portfolio.funding.settle(held, portfolio.prices, factors, portfolio.last_us, eight_us)
    assert not portfolio.funding.settle(
        held, portfolio.prices, factors, portfolio.last_us, eight_us
    )
    mine = [c for c in charges if c.asset == asset]
    assert len(mine) == 1
    assert mine[0].amount == pytest.approx(quantity * portfolio.prices[asset] * 0.001)
    assert all(c.rate is None and c.amount == 0 for c in charges if c.asset != asset)


def test_a_shock_reduces_for_a_quarter_of_an_hour():
    portfolio = Portfolio("X")
    trade(portfolio, SCANS[:300])
    jump = msgspec.structs.replace(
        SCANS[300], prices=[p * (1 + 0.03 * (-1) ** i) for i, p in enumerate(SCANS[300].prices)]
    )
    plans = [plan for plan, _, _ in trade(portfolio, [jump, *SCANS[301:320]])]
    assert "shock" in plans[0].signal.flags
    postures = [p.limits.posture for p in plans]
    assert postures[0] is Posture.REDUCED
    assert postures[-1] is Posture.NORMAL


def test_a_market_frozen_for_more_than_three_scans_is_close_only():
    portfolio = Portfolio("X")
    trade(portfolio, SCANS[:300])
    still = [msgspec.structs.replace(s, prices=SCANS[299].prices) for s in SCANS[300:305]]
    postures = [plan.limits.posture for plan, _, _ in trade(portfolio, still)]
    assert postures == [Posture.NORMAL] * 3 + [Posture.CLOSE_ONLY] * 2


def test_average_cost_by_hand():
    position = Position()
    assert position.apply(2.0, 100.0, 6) == 0
    assert position.apply(2.0, 110.0, 6) == 0
    assert position.average_price == 105.0
    assert position.apply(-1.0, 120.0, 6) == 15.0
    assert position.apply(-5.0, 90.0, 6) == pytest.approx(-45.0)
    assert (position.quantity, position.average_price) == (-2.0, 90.0)
    assert position.unrealised(80.0) == 20.0
    assert position.apply(2.0, 80.0, 6) == 20.0
    assert (position.quantity, position.average_price) == (0.0, 0.0)


def test_a_broken_account_is_noticed():
    account = Account(start_cash=1.0, positions={"A": Position(realised=5.0)})
    with pytest.raises(JournalError, match="positions realised"):
        account.check()


def held_portfolio():
    """Return a portfolio that holds something after the scans, and the last scan."""
    portfolio = Portfolio("X")
    trade(portfolio, SCANS[:-60])
    assert portfolio.account.held()
    return portfolio, SCANS[-61]


def test_each_flatten_has_ids_of_its_own_and_outlives_a_gap():
    portfolio, last = held_portfolio()
    first = portfolio.flatten()
    for order in first:
        lapse(portfolio, order)
    second = portfolio.flatten()
    assert {o.client_order_id for o in first}.isdisjoint(o.client_order_id for o in second)
    late = msgspec.structs.replace(SCANS[-60], timestamp_us=last.timestamp_us + 3_000_000_000)
    plan = portfolio.decide(late, TradingPermission(entry_block="POSTURE_CLOSE_ONLY"))
    portfolio.finish_scan(plan)
    fills, lapses = portfolio.match(MarketSnapshot(now_us=late.timestamp_us, prices=plan.prices))
    assert {e.order.client_order_id for e in fills} == {o.client_order_id for o in second}
    assert not lapses


def test_a_day_begins_before_anything_of_its_first_scan_is_booked():
    portfolio, last = held_portfolio()
    before = portfolio.account.realised, portfolio.account.fees, portfolio.equity()
    midnight = (last.timestamp_us // 86_400_000_000 + 1) * 86_400_000_000
    scan = msgspec.structs.replace(SCANS[-60], timestamp_us=midnight)
    portfolio.in_flight.clear()
    portfolio.flatten()
    portfolio.in_flight = {
        i: msgspec.structs.replace(o, decided_us=midnight - 60_000_000)
        for i, o in portfolio.in_flight.items()
    }
    trade(portfolio, [scan])
    day = portfolio.marks.day
    assert (day.start_realised, day.start_fees) == before[:2]
    assert day.start_equity == pytest.approx(before[2])
    assert day.trades > 0
    assert portfolio.account.fees > day.start_fees


@pytest.mark.parametrize("factor", [1000.0, 10.0, 1.3, 0.7, 0.1, 1e-3])
def test_a_price_that_leaps_is_no_profit_no_peak_and_no_fill(factor):
    portfolio, last = held_portfolio()
    plain, _ = held_portfolio()
    asset = next(iter(portfolio.account.held()))
    odd = [p * factor if a == asset else p for a, p in zip(last.assets, last.prices, strict=True)]
    trade(portfolio, [msgspec.structs.replace(SCANS[-60], prices=odd)])
    absent = [None if a == asset else p for a, p in zip(last.assets, last.prices, strict=True)]
    trade(plain, [msgspec.structs.replace(SCANS[-60], prices=absent)])
    assert portfolio.equity() == plain.equity()
    assert portfolio.marks.peak == plain.marks.peak
    assert portfolio.prices[asset] == plain.prices[asset]
    assert portfolio.in_flight.keys() == plain.in_flight.keys()
    assert portfolio.unpriced[asset].reason == "DOUBTFUL_PRICE"
    assert portfolio.unpriced[asset].waits_at == odd[last.assets.index(asset)]
    assert plain.unpriced[asset].reason == "BAD_PRICE"


def test_an_order_in_flight_waits_for_its_first_sound_quote():
    found = trade(Portfolio("X"), SCANS)
    at = next(n for n, (plan, _, _) in enumerate(found) if n > 300 and plan.orders)
    portfolio = Portfolio("X")
    trade(portfolio, SCANS[: at + 1])
    order = next(iter(portfolio.in_flight.values()))
    asset, scan = order.order.asset, SCANS[at + 1]
    wick = [p / 1000 if a == asset else p for a, p in zip(scan.assets, scan.prices, strict=True)]
    (_, at_wick, lapsed), (_, after, _) = trade(
        portfolio, [msgspec.structs.replace(scan, prices=wick), SCANS[at + 2]]
    )
    assert order not in at_wick
    assert not lapsed
    assert order in after


def test_a_held_asset_that_is_absent_is_named_with_its_age():
    portfolio, last = held_portfolio()
    asset = next(iter(portfolio.account.held()))
    at = last.assets.index(asset)
    gone = [
        msgspec.structs.replace(s, assets=s.assets[:at] + s.assets[at + 1 :],
                                prices=s.prices[:at] + s.prices[at + 1 :],
                                eigenvalues=s.eigenvalues[:-1])
        for s in SCANS[-60:-56]
    ]  # fmt: skip
    trade(portfolio, gone)
    found = portfolio.unpriced[asset]
    assert (found.reason, found.scans, found.since_us) == ("ABSENT", 4, last.timestamp_us)
    again = Portfolio("X")
    restore(again, save(portfolio))
    assert again.unpriced == portfolio.unpriced
    trade(portfolio, [SCANS[-56]])
    assert not portfolio.unpriced


@pytest.mark.parametrize("price", [1e15, 1e-12])
def test_a_price_no_venue_could_show_fills_nothing(price):
    portfolio, last = held_portfolio()
    orders = portfolio.flatten()
    prices = [price] * len(last.assets)
    scan = msgspec.structs.replace(SCANS[-60], prices=prices)
    plan = portfolio.decide(scan, TradingPermission())
    portfolio.finish_scan(plan)
    fills, _ = portfolio.match(MarketSnapshot(now_us=scan.timestamp_us, prices=plan.prices))
    assert orders
    assert not fills


def test_equity_that_sizes_orders_is_at_this_scans_prices_and_else_at_the_last():
    portfolio = Portfolio("X")
    portfolio.add_instruments(["A", "B"])
    cash = portfolio.account.cash
    portfolio.account.apply_fill("A", 2.0, 100.0, 0.0, 3)
    portfolio.account.apply_fill("B", -1.0, 50.0, 0.0, 3)
    portfolio.prices = {"A": 101.0, "B": 60.0}
    market = portfolio._market({"A": 110.0})
    assert market.equity == pytest.approx(cash + 2.0 * 10.0 - 10.0)
    assert (market.prices, market.last_prices) == ({"A": 110.0}, {"A": 101.0, "B": 60.0})
    assert (market.held, market.instruments) == ({"A": 2.0, "B": -1.0}, portfolio.instruments)
    assert portfolio.equity() == pytest.approx(cash + 2.0 - 10.0)
