from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.factors.moon import moon_phase, new_moon

# Of PyEphem 4.2: ephem.next_new_moon
NEW_MOONS = (
    "2015-01-20T13:13:41", "2017-03-28T02:57:13", "2019-06-03T10:01:55", "2021-08-08T13:50:05",
    "2023-10-14T17:55:06", "2024-04-08T18:20:49", "2025-12-20T01:43:17", "2028-02-25T10:37:20",
    "2030-05-02T14:12:00", "2032-07-07T14:41:20", "2034-09-12T16:13:36", "2039-01-24T13:35:50",
)  # fmt: skip


@pytest.mark.parametrize("text", NEW_MOONS)
def test_a_phase_begins_at_the_new_moon(text):
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    off = timedelta(seconds=120)
    assert moon_phase(at - off) > 0.9999
    assert moon_phase(at + off) < 0.0001


def test_half_a_phase_is_about_a_full_moon():
    assert moon_phase(datetime(2024, 9, 18, 2, 34, 24, tzinfo=UTC)) == pytest.approx(0.5, abs=0.03)


@given(st.floats(0.0, 70 * 365.0))
def test_a_phase_is_a_share_of_the_time_between_two_new_moons(days):
    moment = datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=days)
    phase = moon_phase(moment)
    assert 0.0 <= phase < 1.0
    assert moon_phase(moment + timedelta(seconds=1)) > phase or phase > 0.999999


def test_new_moons_are_a_month_apart():
    for number in range(200, 500):
        days = (new_moon(number + 1) - new_moon(number)) / timedelta(days=1)
        assert 29.2 < days < 29.9
