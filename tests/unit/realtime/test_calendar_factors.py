from datetime import UTC, datetime

import pytest

from dolphin_realtime.model.factors.calendar import (
    calendar_factors,
    halving_fraction,
    next_expiry,
    open_sessions,
)

EXPIRIES_2025 = "01-31 02-28 03-28 04-25 05-30 06-27 07-25 08-29 09-26 10-31 11-28 12-26"


def at(*fields):
    return datetime(*fields, tzinfo=UTC)


def test_expiries_of_2025():
    moment, found = at(2025, 1, 1), []
    for _ in range(12):
        expiry = next_expiry(moment)
        assert (expiry.hour, expiry.weekday()) == (8, 4)
        found.append(f"{expiry:%m-%d}")
        moment = expiry.replace(minute=1)
    assert " ".join(found) == EXPIRIES_2025


@pytest.mark.parametrize(
    ("moment", "sessions"),
    [
        (at(2025, 7, 2, 3), ["asia"]),
        (at(2025, 7, 2, 7, 30), ["asia", "europe"]),
        (at(2025, 7, 2, 13, 30), ["europe", "us"]),
        (at(2025, 1, 2, 13, 30), ["europe"]),
        (at(2025, 1, 2, 14, 30), ["europe", "us"]),
        (at(2025, 7, 2, 20), []),
        (at(2025, 7, 5, 18), []),
    ],
)
def test_sessions_follow_new_yorks_clock(moment, sessions):
    assert open_sessions(moment) == sessions


def test_minutes_to_funding_and_halving():
    opens = at(2024, 8, 7, 13, 30)
    factors = calendar_factors(at(2024, 8, 7, 12), None, opens)
    assert factors.minutes_to_funding == 240
    assert calendar_factors(at(2024, 8, 7, 16), None, opens).minutes_to_funding == 0
    assert (factors.new_york_is_open, factors.minutes_to_new_york) == (False, 90)
    session = (opens, at(2024, 8, 7, 20))
    trading = calendar_factors(at(2024, 8, 7, 18), session, at(2024, 8, 8, 13, 30))
    assert (trading.new_york_is_open, trading.minutes_to_new_york) == (True, 120)
    assert 0 < factors.halving_fraction < 0.1
    assert factors.gate == 1
    assert not factors.is_weekend


@pytest.mark.parametrize(("moment", "minutes"), [
    (at(2024, 8, 7, 15, 59, 30), 0.5), (at(2024, 8, 7, 0, 0, 30), 479.5),
    (at(2024, 8, 7, 23, 58, 0, 500_000), 2 - 0.5 / 60), (at(2024, 8, 7, 8, 1), 479.0),
])  # fmt: skip
def test_minutes_to_funding_to_the_microsecond(moment, minutes):
    found = calendar_factors(moment, None, moment).minutes_to_funding
    assert found == pytest.approx(minutes, abs=1e-9)


def test_every_factor_of_one_instant():
    moment = at(2024, 8, 10, 6)
    found = calendar_factors(moment, None, at(2024, 8, 12, 13, 30))
    assert (found.as_of, found.weekday, found.hour, found.is_weekend) == (moment, 5, 6, True)
    assert (found.sessions, found.moon_phase, found.gate) == (
        ["asia"],
        pytest.approx(0.1952650, abs=1e-6),
        0.75,
    )
    assert found.minutes_to_funding == 120.0
    assert found.days_to_expiry == pytest.approx(20 + 2 / 24)
    assert found.minutes_to_new_york == 2 * 1440 + 450
    friday = calendar_factors(at(2024, 8, 9, 6), None, moment)
    assert (friday.weekday, friday.is_weekend) == (4, False)


@pytest.mark.parametrize(("moment", "fraction"), [
    (at(2024, 4, 20), 0.0), (at(2024, 4, 19, 12), 1439.5 / 1458.3333333),
    (at(2024, 4, 21), 1 / 1458.3333333), (at(2012, 1, 1), 0.0), (at(2030, 1, 1), 1.0),
])  # fmt: skip
def test_the_halving_cycle_by_block_time(moment, fraction):
    assert halving_fraction(moment) == pytest.approx(fraction, abs=1e-9)


@pytest.mark.parametrize(("moment", "expiry"), [
    (at(2024, 8, 30, 8), at(2024, 8, 30, 8)), (at(2024, 8, 30, 8, 0, 1), at(2024, 9, 27, 8)),
    (at(2024, 12, 31), at(2025, 1, 31, 8)), (at(2025, 1, 31, 9), at(2025, 2, 28, 8)),
])  # fmt: skip
def test_the_next_expiry_over_months_and_years(moment, expiry):
    assert next_expiry(moment) == expiry


@pytest.mark.parametrize(("moment", "sessions"), [
    (at(2025, 7, 2, 0), ["asia"]), (at(2025, 7, 2, 7, 59), ["asia", "europe"]),
    (at(2025, 7, 2, 8), ["europe"]), (at(2025, 7, 2, 16), ["us"]), (at(2025, 7, 2, 13, 29), ["europe"]),
    (at(2025, 7, 2, 19, 59), ["us"]), (at(2025, 7, 4, 18), ["us"]), (at(2025, 7, 2, 23), []),
])  # fmt: skip
def test_a_session_begins_and_ends_on_the_minute(moment, sessions):
    assert open_sessions(moment) == sessions
