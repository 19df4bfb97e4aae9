"""Kind F, which period a factor is of: which settlement there is, and at the rate of which period."""

import msgspec
import pytest

from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.model.instant import HOUR_US, MINUTE_US
from dolphin_realtime.model.portfolio.funding import HOURS_KEPT, FundingClock
from dolphin_realtime.model.signal.gates import Factors, Reading
from dolphin_realtime.trading.factor_cache import FactorCache

DAY_US = 20_000 * 24 * HOUR_US
HELD, PRICES = {"A": 2.0}, {"A": 50.0}


def at(hour, minute=0, second=0):
    return DAY_US + hour * HOUR_US + minute * MINUTE_US + second * 1_000_000


def reading(value, fetch_us, next_us=None, interval_h=8.0, **more):
    return Reading(value=value, fetch_us=fetch_us, lifetime_s=16 * 3600.0, next_us=next_us,
                   interval_h=interval_h, **more)  # fmt: skip


def history(*readings):
    return FactorHistory([(r.fetch_us, Factors(funding={"A": r})) for r in readings])


def charged(history, scans, held=HELD, clock=None):
    """Return (hour, minute of the settlement, rate) of each charge over scans at these instants."""
    clock, found, last = clock or FundingClock(), [], 0
    for now in scans:
        factors = history.at(now)
        found += clock.settle(held, PRICES, factors, last, now)
        clock.learn(held, factors)
        last = now
    return [((c.settlement_us - DAY_US) / HOUR_US, c.rate) for c in found]


def every(minutes, first, last):
    return range(first, last + 1, minutes * MINUTE_US)


def test_the_rate_told_after_a_settlement_is_of_the_next_period():
    known = history(reading(0.0009, at(7, 55)), reading(0.0001, at(8, 0, 4)))
    assert charged(known, [at(7, 59, 57), at(8, 0, 7), at(8, 0, 17)]) == [(8, 0.0009)]


@pytest.mark.parametrize("first", [at(7, 50), at(7, 56)])
def test_also_where_no_scan_came_between_the_two_readings(first):
    known = history(reading(0.0009, at(7, 55)), reading(0.0001, at(8, 0, 4)))
    assert charged(known, [first, at(8, 3)]) == [(8, 0.0009)]


def test_a_settled_rate_counts_once_it_is_told():
    known = history(reading(0.0009, at(7, 55)), reading(0.0007, at(8), settled_us=at(8)))
    assert charged(known, [at(7, 59), at(8, 1)]) == [(8, 0.0007)]
    late = history(reading(0.0009, at(7, 55)), reading(0.0007, at(8), settled_us=at(0)))
    assert charged(late, [at(7, 59), at(8, 1)]) == [(8, 0.0009)]


def test_a_rate_of_long_ago_is_none():
    assert charged(history(reading(0.0009, at(7, 55) - 24 * HOUR_US)), [at(7, 59), at(8, 1)]) == [
        (8, None)
    ]


def test_an_interval_that_changes_within_hours():
    """8 h, then 4 h from 08:00 on, then 1 h from 12:00 on, as the next instants say."""
    known = history(
        reading(1e-4, at(7, 55), at(8)), reading(2e-4, at(8, 5), at(12)),
        reading(3e-4, at(11, 55), at(12)), reading(4e-4, at(12, 5), at(13)),
        reading(5e-4, at(13, 5), at(14)),
    )  # fmt: skip
    assert charged(known, every(5, at(7, 50), at(14, 10))) == [
        (8, 1e-4), (12, 3e-4), (13, 4e-4), (14, 5e-4)
    ]  # fmt: skip


def test_a_settlement_that_comes_to_light_late_is_booked_once_with_its_own_instant():
    known = history(reading(1e-4, at(7, 55), at(8)), reading(4e-4, at(10, 5), at(11), 1.0))
    scans = every(5, at(7, 50), at(11, 30))
    assert charged(known, scans) == [(8, 1e-4), (9, 1e-4), (10, 1e-4), (11, 4e-4)]


def test_a_listed_interval_that_shortens_makes_no_settlement_that_never_was():
    """The venue says 08:00 every minute; from 05:00 on its list has 4 h."""
    known = history(*(
        reading(1e-4, at(0, m), at(8), 8.0 if m < 300 else 4.0) for m in range(1, 480)
    ))  # fmt: skip
    assert charged(known, every(1, at(0, 2), at(8, 1))) == [(8, 1e-4)]


def test_what_was_not_held_at_a_late_settlement_pays_nothing():
    known = history(reading(1e-4, at(7, 55), at(8)), reading(4e-4, at(10, 5), at(11), 1.0))
    clock = FundingClock()
    assert not charged(known, every(5, at(8, 30), at(9, 55)), {}, clock)
    last = clock.settle(HELD, PRICES, known.at(at(10, 6)), at(9, 55), at(10, 6))
    assert [(c.settlement_us, c.rate) for c in last] == []
    assert charged(known, [at(10, 59), at(11, 1)], HELD, clock) == [(11, 4e-4)]


def test_a_restart_between_reading_and_settlement_remembers_the_rate():
    clock = FundingClock()
    before = history(reading(0.0009, at(7, 55), at(8)))
    charged(before, [at(7, 57), at(7, 59)], clock=clock)
    clock = msgspec.msgpack.decode(msgspec.msgpack.encode(clock), type=FundingClock)
    after = history(reading(0.0001, at(8, 0, 4), at(16)))
    found = clock.settle(HELD, PRICES, after.at(at(8, 0, 7)), at(7, 59), at(8, 0, 7))
    assert [(c.settlement_us, c.rate) for c in found] == [(at(8), 0.0009)]


def test_the_traders_cache_and_a_backtests_history_charge_alike():
    readings = [reading(1e-4 * n, at(7, 5 * n), at(8)) for n in range(1, 12)]
    readings += [reading(9e-4, at(8, 0, 4), at(16))]
    cache = FactorCache()
    for one in readings:
        text = msgspec.json.encode({"readings": {"funding": {"A": {
            "value": one.value, "lifetime_s": one.lifetime_s, "interval_h": 8.0,
            "fetch_time": _iso(one.fetch_us), "next_time": _iso(one.next_us),
        }}}})  # fmt: skip
        cache.update(text.decode())
    scans = [at(7, 58), at(8, 0, 7)]
    assert charged(history(*readings), scans) == charged(cache, scans) == [(8, 1.1e-3)]


def test_no_more_hours_are_kept_than_needed():
    clock = FundingClock()
    charged(history(reading(1e-4, at(0))), every(30, at(0), at(23)), clock=clock)
    assert len(clock.hours) == HOURS_KEPT


def _iso(us):
    from dolphin_realtime.model.instant import from_us

    return from_us(us).isoformat()
