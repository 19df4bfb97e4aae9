"""The money and safety path by hand: each bound at, below and above it, each formula by one value."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from dolphin_realtime.model.errors import JournalError, ScanOutOfOrder
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.market.order_book import DepthSnapshot, LocalBook
from dolphin_realtime.model.market.scan import CLOCK_AHEAD_US, MAX_JUMP_US, refuse_implausible
from dolphin_realtime.model.market.scan_checks import coherence
from dolphin_realtime.model.orders import InFlight, OrderIntent, closing
from dolphin_realtime.model.portfolio.account import Account, DayPnl, Position
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.equity_curve import EquityCurve
from dolphin_realtime.model.portfolio.fill_rule import book_quote, is_quotable, scan_quote
from dolphin_realtime.model.risk.market_posture import (
    FROZEN_SCANS,
    SHOCK_REDUCED_US,
    MarketPosture,
)
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import (
    InstanceFacts,
    Ladder,
    Posture,
    SafetyInputs,
    SafetyParams,
    judge,
)
from dolphin_realtime.model.signal.eigen import mean_correlation
from dolphin_realtime.model.signal.gates import book_gate, is_book_stale
from dolphin_realtime.reports import ratios

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def reasons_of(**inputs):
    given = {"scan_age_s": 1.0, "cadence_s": 7.0, "health": "GREEN", **inputs}
    return judge(SafetyInputs(**given), SafetyParams())[1]


@pytest.mark.parametrize(
    ("inputs", "reasons"),
    [
        ({"scan_age_s": None}, ["NO_SCAN: no scan has been seen"]),
        ({"scan_age_s": 31.04}, ["STALE_SCAN: the newest scan is 31.0 s old, limit 30 s"]),
        ({"health": "CRITICAL"}, ["HEALTH_CRITICAL: meta health is CRITICAL"]),
        ({"health": "DEAD"}, ["HEALTH_DEAD: meta health is DEAD"]),
        ({"health": None}, ["HEALTH_UNKNOWN: meta health is missing or old"]),
        ({"health": "x" * 50},
         [f"HEALTH_UNKNOWN: meta health is {'x' * 40!r}, which says nothing"]),
        ({"instances": [InstanceFacts(name="A", age_s=None), InstanceFacts(name="B", age_s=31.0)]},
         ["STATE_UNKNOWN: the state of A is never published",
          "STATE_UNKNOWN: the state of B is 31 s old"]),
        ({"instances": [InstanceFacts(name="A", age_s=30.0)]}, []),
        ({"scan_age_s": None, "instances": [InstanceFacts(name="A", age_s=1.0, is_shocked=True)]},
         ["NO_SCAN: no scan has been seen", "VOLATILITY_SHOCK: A saw one in the last 15 min"]),
    ],
)  # fmt: skip
def test_every_reason_is_said_whole(inputs, reasons):
    assert reasons_of(**inputs) == reasons


def test_the_ladder_keeps_since_when_and_starts_its_calm_again():
    ladder = Ladder(Posture.NORMAL, NOW)
    assert ladder.move(Posture.NORMAL, NOW + SECOND, 10.0) is False
    assert (ladder.since, ladder.calm_since) == (NOW, None)
    assert ladder.move(Posture.CLOSE_ONLY, NOW + 2 * SECOND, 10.0) is True
    assert (ladder.posture, ladder.since) == (Posture.CLOSE_ONLY, NOW + 2 * SECOND)
    assert ladder.move(Posture.REDUCED, NOW + 3 * SECOND, 10.0) is False
    assert ladder.calm_since == NOW + 3 * SECOND
    assert ladder.move(Posture.CLOSE_ONLY, NOW + 9 * SECOND, 10.0) is False
    assert ladder.calm_since is None
    assert ladder.move(Posture.NORMAL, NOW + 10 * SECOND, 10.0) is False
    assert ladder.move(Posture.NORMAL, NOW + 19 * SECOND, 10.0) is False
    assert ladder.move(Posture.NORMAL, NOW + 20 * SECOND, 10.0) is True
    assert (ladder.posture, ladder.since) == (Posture.REDUCED, NOW + 20 * SECOND)
    assert ladder.calm_since == NOW + 20 * SECOND


@pytest.mark.parametrize(("posture", "size", "target", "state"), [
    (Posture.NORMAL, 1.0, 1.0, "ACTIVE"), (Posture.REDUCED, 0.5, 0.5, "ACTIVE"),
    (Posture.CLOSE_ONLY, 0.0, 1.0, "REDUCING"), (Posture.HALTED, 0.0, 1.0, "HALTED"),
])  # fmt: skip
def test_what_a_posture_does_to_sizes(posture, size, target, state):
    found = (posture.size_multiplier, posture.target_multiplier, posture.trading_state)
    assert found == (size, target, state)


def test_a_shock_and_a_frozen_market_at_their_bounds():
    market, free = MarketPosture(), TradingPermission(entry_block="X")
    market.update({"shock"}, 5)
    end = 5 + SHOCK_REDUCED_US
    assert market.tighten(free, end - 1) == TradingPermission(
        posture=Posture.REDUCED, entry_block="X"
    )
    assert market.tighten(free, end).posture is Posture.NORMAL
    halted = TradingPermission(posture=Posture.HALTED)
    assert market.tighten(halted, 6).posture is Posture.HALTED
    for _ in range(FROZEN_SCANS):
        market.update({"frozen"}, end)
    assert market.tighten(free, end).posture is Posture.NORMAL
    market.update({"frozen"}, end)
    assert market.tighten(free, end).posture is Posture.CLOSE_ONLY
    assert market.tighten(halted, end).posture is Posture.HALTED
    market.update(set(), end)
    assert market.tighten(free, end).posture is Posture.NORMAL


@pytest.mark.parametrize(("at_us", "last_us", "is_replay", "is_refused"), [
    (100 + CLOCK_AHEAD_US, 0, False, False), (101 + CLOCK_AHEAD_US, 0, False, True),
    (101 + CLOCK_AHEAD_US, 50, False, True), (50 + MAX_JUMP_US, 50, True, False),
    (51 + MAX_JUMP_US, 50, True, True),
])  # fmt: skip
def test_a_scan_of_a_time_to_come(at_us, last_us, is_replay, is_refused):
    if is_refused:
        with pytest.raises(ScanOutOfOrder):
            refuse_implausible(at_us, last_us, 100, is_replay=is_replay)
    else:
        refuse_implausible(at_us, last_us, 100, is_replay=is_replay)


def test_coherence_says_what_it_found():
    found = coherence(10, [1.0] * 9 + [None], [0.5, 8.9, 1.0])
    assert (found.usable, found.sum_share, found.why) == (9, pytest.approx(1.04), None)
    assert "90%" in coherence(10, [1.0] * 8 + [None, -1.0], [10.0]).why
    assert "not a number" in coherence(2, [1.0, 1.0], [2.0, None]).why
    assert "sum" in coherence(10, [1.0] * 10, [9.4]).why
    assert coherence(10, [1.0] * 10, [9.6]).why is None


@pytest.mark.parametrize(("held", "side"), [(1.23456, "SELL"), (-1.23456, "BUY")])
def test_a_closing_order_is_all_that_is_held_and_only_reduces(held, side):
    assert closing("A", held, 3, "C") == OrderIntent(
        asset="A", side=side, quantity=1.235, leg="C", is_reduce_only=True
    )


def test_profit_and_exposure_carry_the_side_of_a_position():
    account = Account(start_cash=100.0)
    account.apply_fill("L", 2.0, 10.0, 0.5, 3)
    account.apply_fill("S", -4.0, 5.0, 0.25, 3)
    prices = {"L": 11.0, "S": 5.5}
    assert account.unrealised(prices) == pytest.approx(2.0 * 1.0 - 4.0 * 0.5)
    assert account.unrealised({"L": 11.0}) == 2.0
    assert account.unrealised({"L": 11.0}, {"S": 4.0}) == 2.0 + 4.0
    assert account.exposures(prices) == [22.0, -22.0]
    assert account.apply_fill("S", 6.0, 4.0, 0.0, 3) == 4.0
    assert (account.positions["S"].quantity, account.positions["S"].average_price) == (2.0, 4.0)
    assert account.cash == pytest.approx(100.0 + 4.0 - 0.75)
    account.check()
    account.positions["S"].realised += 2e-6
    with pytest.raises(JournalError, match=r"positions realised 4\.0000\d+, the account 4\.0"):
        account.check()
    account.positions["S"].realised = 4.0 - 5e-7
    account.check()
    account.positions["F"] = Position(average_price=3.0)
    with pytest.raises(JournalError, match=r"F is flat but has the entry price 3\.0"):
        account.check()


def test_a_day_marks_its_peak_its_fall_and_its_loss():
    day = DayPnl(
        day="d1", start_equity=100.0, start_realised=0.0, start_fees=0.0, start_funding=0.0
    )
    for equity, peak, fall in ((90.0, 100.0, 0.1), (120.0, 120.0, 0.1), (90.0, 120.0, 0.25)):
        day.mark(equity)
        assert (day.equity, day.peak_equity) == (equity, peak)
        assert day.max_drawdown == pytest.approx(fall)
    assert (day.loss("d1", 80.0), day.loss("d2", 45.0)) == (pytest.approx(0.2), 0.5)
    nothing = DayPnl(
        day="d1", start_equity=0.0, start_realised=0.0, start_fees=0.0, start_funding=0.0
    )
    nothing.mark(0.0)
    assert nothing.max_drawdown == nothing.loss("d1", 5.0) == 0.0


def test_adding_to_a_position_averages_its_price_and_reducing_keeps_it():
    position = Position()
    position.apply(2.0, 10.0, 3)
    position.apply(2.0, 14.0, 3)
    assert position.average_price == 12.0
    assert position.apply(-1.0, 15.0, 3) == 3.0
    assert (position.quantity, position.average_price, position.realised) == (3.0, 12.0, 3.0)


def test_the_peak_the_drawdown_and_the_day():
    curve, account = EquityCurve(peak=100.0), Account(start_cash=100.0)
    curve.begin_scan(0, account, lambda: 100.0)
    assert curve.mark(110.0).equity == 110.0
    assert curve.mark(99.0).max_drawdown == pytest.approx(0.1)
    assert (curve.peak, curve.drawdown(99.0)) == (110.0, pytest.approx(0.1))
    assert curve.day_loss(99.0, DAY_US - 1) == pytest.approx(0.01)
    account.realised, curve.changed = 7.0, 2.0
    curve.begin_scan(DAY_US, account, lambda: 0.0)
    assert (curve.day.start_equity, curve.day.start_realised) == (99.0, 5.0)
    assert curve.day_loss(49.5, DAY_US) == pytest.approx(0.5)
    assert EquityCurve(peak=0.0).drawdown(5.0) == EquityCurve(peak=1.0).day_loss(5.0, 0) == 0.0


def in_flight(quantity=3.0):
    order = OrderIntent(asset="A", side="BUY", quantity=quantity, leg="O", is_reduce_only=False)
    return InFlight(client_order_id="X", order=order, epoch=1, scan_number=1, decided_us=0)


def test_quotes_of_a_book_and_of_a_scan():
    bids, asks = [(99.0, 1.0), (98.0, 9.0)], [(101.0, 2.0), (104.0, 9.0)]
    quote = book_quote(in_flight(), (bids, asks), 2, 77, "book")
    assert (quote.mid, quote.bid, quote.ask) == (100.0, 98.33, 102.0)
    assert (quote.asset, quote.at_us, quote.source) == ("A", 77, "book")
    quote = scan_quote("A", 100.0, 2, 5, CostParams(half_spread_bps=10.0))
    assert (quote.bid, quote.mid, quote.ask, quote.source) == (99.9, 100.0, 100.1, "scan")
    assert [is_quotable(p) for p in (1e-8, 1.1e-8, 9.9e11, 1e12)] == [False, True, True, False]


def test_a_snapshot_of_a_book_has_its_instant_in_microseconds():
    book = LocalBook()
    book.load(msgspec.convert(
        {"lastUpdateId": 7, "E": 5, "T": 5, "bids": [["99", "1"]], "asks": [["101", "2"]]},
        DepthSnapshot))  # fmt: skip
    assert (book.event_us, book.last_id) == (5000, 7)
    assert book.top() == ([(99.0, 1.0)], [(101.0, 2.0)])


@pytest.mark.parametrize(("direction", "imbalance", "gate"), [
    (1, -0.4, 0.8), (1, 0.4, 1.0), (-1, 0.4, 0.8), (-1, -0.4, 1.0), (1, -1.0, 0.5), (0, -1.0, 1.0),
])  # fmt: skip
def test_a_book_that_leans_against_a_position_takes_from_it(direction, imbalance, gate):
    assert book_gate(direction, imbalance) == pytest.approx(gate)


@pytest.mark.parametrize(("event_us", "now_us", "dt_s", "is_stale"), [
    (0, 30_000_000, 10.0, False), (0, 30_000_001, 10.0, True), (0, 40_000_000, 20.0, False),
    (0, 40_000_001, 20.0, True), (2, 1, 10.0, True),
])  # fmt: skip
def test_a_book_is_stale(event_us, now_us, dt_s, is_stale):
    assert is_book_stale(event_us, now_us, dt_s) is is_stale


def test_ratios_by_hand():
    assert ratios.deviation([1.0, 3.0]) == pytest.approx(2.0**0.5)
    assert ratios.deviation([1.0]) == 0.0
    assert ratios.volatility([1.0, 3.0], 4) == pytest.approx(2.0 * 2.0**0.5)
    assert ratios.sharpe([1.0, 3.0], 4) == pytest.approx(2.0 / 2.0**0.5 * 2.0)
    assert ratios.sortino([-1.0, 3.0], 4) == pytest.approx(1.0 / 0.5**0.5 * 2.0)
    assert ratios.sortino([1.0], 4) is ratios.sortino([]) is ratios.sharpe([1.0, 1.0]) is None
    assert (ratios.skewness([2.0, 2.0]), ratios.kurtosis([2.0, 2.0])) == (0.0, 3.0)
    assert ratios.skewness([0.0, 0.0, 3.0]) == pytest.approx(0.5**0.5)
    assert ratios.kurtosis([0.0, 0.0, 3.0]) == pytest.approx(1.5)


@pytest.mark.parametrize(("values", "n_assets", "mean"), [
    ([1.0], 1, 0.0), ([2.0, 0.0], 2, 1.0), ([1.0, 1.0], 2, 0.0), ([2.0, 0.5, 0.5], 3, 0.5),
])  # fmt: skip
def test_the_mean_correlation_by_hand(values, n_assets, mean):
    assert mean_correlation(np.array(values), n_assets) == pytest.approx(mean)
