"""Funding: which settlements fall between two scans, at which rate, and what is learnt late."""

import pytest

from dolphin_realtime.model.instant import HOUR_US
from dolphin_realtime.model.portfolio.funding import (
    HOURS_KEPT,
    FundingClock,
    may_settle,
    next_settlement,
)
from dolphin_realtime.model.signal.gates import Factors, Reading

H = HOUR_US
DAY = 24 * H
LONG_S = 1e7
T = 1000 * DAY
"""Midnight: a settlement of every interval."""


def reading(value=1e-3, fetch_us=T - 1, **more):
    return Reading(value=value, fetch_us=fetch_us, lifetime_s=LONG_S, **more)


@pytest.mark.parametrize(("last_us", "now_us", "may"), [
    (0, 5 * H, False), (5 * H - 1, 5 * H, True), (5 * H, 5 * H + 1, False),
    (5 * H, 6 * H - 1, False), (5 * H + 1, 6 * H, True),
])  # fmt: skip
def test_a_settlement_is_on_a_whole_hour(last_us, now_us, may):
    assert may_settle(last_us, now_us) is may


@pytest.mark.parametrize(("fields", "after_us", "at_us"), [
    (None, T, T + 8 * H), (None, T - 1, T), (None, T + 8 * H - 1, T + 8 * H),
    ({"interval_h": 4.0}, T, T + 4 * H), ({"interval_h": 1.0}, T + 1, T + H),
    ({"interval_h": 24.0}, T, T + DAY), ({"interval_h": 5.0}, T, T + 8 * H),
    ({"interval_h": 0.5}, T, T + 8 * H), ({"interval_h": 0.0}, T, T + 8 * H),
    ({"next_us": T + 3 * H}, T, T + 3 * H), ({"next_us": T + 3 * H}, T + 3 * H - 1, T + 3 * H),
    ({"next_us": T + 3 * H}, T + 3 * H, T + 11 * H),
    ({"next_us": T + 3 * H, "interval_h": 4.0}, T + 3 * H, T + 7 * H),
    ({"next_us": T + 3 * H, "interval_h": 4.0}, T + 7 * H, T + 11 * H),
])  # fmt: skip
def test_the_next_settlement(fields, after_us, at_us):
    found = next_settlement(None if fields is None else reading(**fields), after_us)
    assert found == at_us


def settle(clock, last_us, now_us, held, prices=None, **funding):
    known = dict.fromkeys(held, 100.0) if prices is None else prices
    return clock.settle(held, known, Factors(funding=funding), last_us, now_us)


def amounts(charges):
    return [(c.settlement_us, c.asset, c.amount, c.rate) for c in charges]


def test_a_long_pays_and_a_short_receives_at_the_scans_price():
    clock = FundingClock()
    found = settle(clock, T - 1, T + 5, {"A": 2.0, "B": -3.0}, {"A": 10.0, "B": 20.0},
                   A=reading(0.01), B=reading(0.02))  # fmt: skip
    assert amounts(found) == [
        (T, "A", pytest.approx(0.2), 0.01), (T, "B", pytest.approx(-1.2), 0.02)]  # fmt: skip
    assert [c.quantity for c in found] == [2.0, -3.0]
    assert settle(clock, T - 1, T + 5, {"A": 2.0}, A=reading(0.01)) == [], "once"
    assert clock.settled == {"A": T, "B": T}


def test_nothing_is_charged_before_the_first_scan_or_between_hours():
    assert settle(FundingClock(), 0, T, {"A": 1.0}, A=reading()) == []
    assert settle(FundingClock(), T, T + 8 * H - 1, {"A": 1.0}, A=reading()) == []
    assert len(settle(FundingClock(), T, T + 8 * H, {"A": 1.0}, A=reading())) == 1


def test_every_settlement_of_a_long_pause_is_charged_in_order():
    found = settle(FundingClock(), T - 1, T + DAY, {"A": 1.0, "B": 1.0},
                   A=reading(interval_h=8.0), B=reading(interval_h=12.0))  # fmt: skip
    assert [(c.settlement_us - T, c.asset) for c in found] == [
        (0, "A"), (0, "B"), (8 * H, "A"), (12 * H, "B"), (16 * H, "A"), (DAY, "A"), (DAY, "B")]  # fmt: skip


def test_without_a_rate_in_force_nothing_is_paid_and_that_is_said():
    for one in (
        {},
        {"A": reading(fetch_us=T)},
        {"A": Reading(value=1e-3, fetch_us=T - 10 * H, lifetime_s=60.0)},
    ):
        (charge,) = settle(FundingClock(), T - 1, T, {"A": 1.0}, **one)
        assert (charge.rate, charge.amount) == (None, 0.0)
    (charge,) = settle(FundingClock(), T - 1, T, {"A": 1.0}, prices={}, A=reading(0.5))
    assert (charge.rate, charge.amount) == (0.5, 0.0)


def test_the_rate_is_the_one_before_the_settlement_not_the_one_read_after_it():
    clock = FundingClock()
    clock.learn({"A": 1.0}, Factors(funding={"A": reading(0.01, fetch_us=T - H)}))
    (charge,) = settle(clock, T - 1, T + 5, {"A": 1.0}, A=reading(0.09, fetch_us=T + 3))
    assert charge.rate == 0.01


def test_the_rate_told_as_settled_at_that_instant_wins():
    told = reading(0.07, fetch_us=T, settled_us=T)
    clock = FundingClock(rates={"A": reading(0.01)})
    (charge,) = settle(clock, T - 1, T, {"A": 1.0}, A=told)
    assert charge.rate == 0.07
    other = reading(0.07, fetch_us=T, settled_us=T - 8 * H)
    clock = FundingClock(rates={"A": reading(0.01)})
    (charge,) = settle(clock, T - 1, T, {"A": 1.0}, A=other)
    assert charge.rate == 0.01


class Past:
    """The readings before the newest, by the instants they were fetched at."""

    def __init__(self, *readings):
        self.readings = readings

    def funding_before(self, asset, at_us):
        assert asset == "A"
        earlier = [r for r in self.readings if r.fetch_us < at_us]
        return max(earlier, key=lambda r: r.fetch_us, default=None)


@pytest.mark.parametrize(("past_us", "kept_us", "rate"), [
    (T - 2, T - 5, 0.02), (T - 5, T - 2, 0.03), (T - 2, T - 2, 0.02), (T + 1, T - 9, 0.03),
    (T - 9, T + 1, 0.02),
])  # fmt: skip
def test_of_what_was_known_before_the_newest_counts(past_us, kept_us, rate):
    clock = FundingClock(rates={"A": reading(0.03, fetch_us=kept_us)})
    factors = Factors(
        funding={"A": reading(0.09, fetch_us=T + 2)}, past=Past(reading(0.02, fetch_us=past_us))
    )
    (charge,) = clock.settle({"A": 1.0}, {"A": 1.0}, factors, T - 1, T)
    assert charge.rate == rate


def test_rates_are_kept_of_what_is_held_and_the_newest_wins():
    clock = FundingClock()
    first, second = reading(0.01), reading(0.02)
    clock.learn({"A": 1.0, "B": 1.0}, Factors(funding={"A": first, "C": second}))
    assert clock.rates == {"A": first}
    clock.learn({"A": 1.0}, Factors(funding={}))
    assert clock.rates == {"A": first}
    clock.learn({"A": 1.0}, Factors(funding={"A": second}))
    assert clock.rates == {"A": second}
    clock.learn({}, None)
    assert clock.rates == {}


def late(
    next_us, *, kept=None, fetch_us=T + H + 2, interval_h=1.0, settled=None, last_us=T + H + 1
):
    """Return what a reading that came late reveals; positions of T and T + 1 h are remembered."""
    clock = FundingClock(
        hours={T: {"A": (2.0, 10.0)}, T + H: {"A": (3.0, 11.0), "B": (1.0, 1.0)}},
        settled=dict(settled or {}), rates={} if kept is None else {"A": kept},
    )  # fmt: skip
    new = reading(0.5, fetch_us=fetch_us, next_us=next_us, interval_h=interval_h)
    found = clock.settle({"A": 3.0}, {"A": 11.0}, Factors(funding={"A": new}), last_us, last_us + 1)
    return [(c.settlement_us - T, c.quantity) for c in found]


def test_a_settlement_that_is_learnt_late_is_charged_on_what_was_held_then():
    assert late(T + 2 * H) == [(0, 2.0), (H, 3.0)]
    assert late(T + 2 * H, settled={"A": T}) == [(H, 3.0)]
    assert late(T + 2 * H, settled={"A": T + H}) == []
    assert late(T + H) == [(0, 2.0)]
    assert late(T + 9 * H) == [], "no hour between is remembered"
    assert late(None) == []
    assert late(T + 2 * H, fetch_us=T + H + 1) == [], "known at the last scan already"


def test_a_venue_that_said_a_later_instant_is_believed():
    said = reading(fetch_us=T + H - 1, next_us=T + 2 * H)
    assert late(T + 2 * H, kept=said) == [(0, 2.0)]
    old = reading(fetch_us=T - 1, next_us=T + 2 * H)
    assert late(T + 2 * H, kept=old) == [(H, 3.0)], "said too long before that settlement"
    same = reading(fetch_us=T + H - 1, next_us=T + H)
    assert late(T + 2 * H, kept=same) == [(0, 2.0), (H, 3.0)]


def test_as_many_hours_are_remembered_as_said():
    clock = FundingClock(settled={"GONE": T - 100 * H, "A": T - 100 * H})
    settle(clock, T - 1, T + 20 * H, {"A": 1.0}, {"A": 7.0})
    assert list(clock.hours) == [T + n * H for n in range(21 - HOURS_KEPT, 21)]
    assert clock.hours[T + 20 * H] == {"A": (1.0, 7.0)}
    assert clock.settled.keys() == {"A"}
    settle(clock, T + 20 * H, T + 21 * H, {"B": 2.0}, {})
    assert list(clock.hours) == [T + n * H for n in range(22 - HOURS_KEPT, 22)]
    assert clock.hours[T + 21 * H] == {"B": (2.0, 0.0)}
