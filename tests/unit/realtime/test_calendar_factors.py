from datetime import UTC, datetime

import pytest

from dolphin_realtime.model.factors.calendar import calendar_factors, next_expiry, open_sessions

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
    factors = calendar_factors(at(2024, 8, 7, 12), 0.25, None, opens)
    assert factors.minutes_to_funding == 240
    assert calendar_factors(at(2024, 8, 7, 16), 0.0, None, opens).minutes_to_funding == 0
    assert (factors.new_york_is_open, factors.minutes_to_new_york) == (False, 90)
    session = (opens, at(2024, 8, 7, 20))
    trading = calendar_factors(at(2024, 8, 7, 18), 0.25, session, at(2024, 8, 8, 13, 30))
    assert (trading.new_york_is_open, trading.minutes_to_new_york) == (True, 120)
    assert 0 < factors.halving_fraction < 0.1
    assert factors.gate == 1
    assert not factors.is_weekend
