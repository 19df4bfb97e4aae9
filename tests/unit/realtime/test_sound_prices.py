"""The rule of sound prices at each of its bounds: far, never, confirmed, still, a leap, forgotten."""

import math

import numpy as np
import pytest

from dolphin_realtime.model.market.sound_prices import (
    CONFIRMATIONS,
    FORGET_US,
    STILL_US,
    SoundPrices,
    log_returns,
)

MINUTE = 60_000_000
NAMES = [f"A{n}" for n in range(6)]
N_MIN = 3


class Watch:
    """Six assets judged scan by scan; all but those told move a little each time."""

    def __init__(self):
        self.memory, self.now, self.n = SoundPrices(), 0, 0
        self.prices = dict.fromkeys(NAMES, 100.0)

    def scan(self, gap_us=MINUTE, without=(), frozen=(), **told):
        """Judge the next scan; return its verdict, None if all are sound."""
        self.now, self.n = self.now + gap_us, self.n + 1
        for name in NAMES:
            if name not in frozen:
                self.prices[name] *= 1.0001 if self.n % 2 else 1 / 1.0001
        self.prices |= told
        names = [name for name in NAMES if name not in without]
        prices = np.array([self.prices[name] for name in names])
        usable = np.isfinite(prices) & (prices > 0.0)
        return self.memory.judge(names, prices, usable, self.now, N_MIN)

    def sound_of(self, name="A0", **scan):
        verdict = self.scan(**scan)
        return True if verdict is None else bool(verdict.sound[NAMES.index(name)])


@pytest.fixture
def watch():
    """Six assets whose prices were sound for two scans."""
    found = Watch()
    assert found.scan() is not None, "a first price has nothing to be judged against"
    assert found.scan() is None
    return found


def test_the_first_prices_are_sound():
    verdict = Watch().scan()
    assert verdict.sound.all()
    assert not verdict.doubtful.any()
    assert not verdict.still.any()
    assert not verdict.is_leap


@pytest.mark.parametrize(("gap_us", "factor", "is_sound"), [
    (MINUTE, 1.199, True), (MINUTE, 1.201, False), (MINUTE, 1 / 1.199, True), (MINUTE, 1 / 1.201, False),
    (5_000_000, 1.199, True), (5_000_000, 1.201, False),
    (4 * MINUTE, 1.2**2 - 1e-3, True), (4 * MINUTE, 1.2**2 + 1e-3, False),
    (25 * MINUTE, 1.2**5 - 1e-3, True), (25 * MINUTE, 1.2**5 + 1e-3, False),
    (1000 * MINUTE, 4.999, True), (1000 * MINUTE, 5.001, False), (1000 * MINUTE, 1 / 5.001, False),
])  # fmt: skip
def test_how_far_a_price_may_move_in_a_time(watch, gap_us, factor, is_sound):
    told = {"A0": watch.prices["A0"] * factor}
    before = watch.memory.last_sound_us("A0")
    verdict = watch.scan(gap_us, **told)
    assert (verdict is None or bool(verdict.sound[0])) is is_sound
    if not is_sound:
        assert verdict.doubtful.tolist() == [True] + [False] * 5
        assert verdict.sound.tolist() == [False] + [True] * 5
        assert watch.memory.waits_at("A0") == told["A0"]
    assert watch.memory.last_sound_us("A0") == (watch.now if is_sound else before)


def test_a_far_price_is_believed_the_third_time_it_is_seen(watch):
    level = watch.prices["A0"] * 1.5
    seen = [watch.sound_of(A0=level * factor) for factor in (1.0, 1.19, 1.0)]
    assert seen == [False, False, True]
    assert len(seen) == CONFIRMATIONS
    assert watch.memory.waits_at("A0") is None
    assert watch.sound_of(A0=level * 1.01)


def test_another_far_price_starts_the_count_again(watch):
    base = watch.prices["A0"]
    seen = [watch.sound_of(A0=base * f) for f in (1.5, 1.5, 2.0, 2.0, 2.0)]
    assert seen == [False, False, False, False, True]


def test_a_price_back_where_it_was_forgets_the_far_one(watch):
    base = watch.prices["A0"]
    seen = [watch.sound_of(A0=base * f) for f in (1.5, 1.5, 1.0, 1.5, 1.5, 1.5)]
    assert seen == [False, False, True, False, False, True]


@pytest.mark.parametrize("factor", [5.001, 1 / 5.001, 1000.0])
def test_a_price_that_is_never_believed_waits_for_a_person(watch, factor):
    level = watch.prices["A0"] * factor
    assert not any(watch.sound_of(A0=level) for _ in range(10))
    assert watch.memory.waits_at("A0") == level
    watch.memory.set_price("A0", level, watch.now)
    assert watch.memory.waits_at("A0") is None
    assert watch.memory.last_sound_us("A0") == watch.now
    assert watch.sound_of(A0=level * 1.001)


def test_a_person_sets_no_price_of_a_name_nobody_knows(watch):
    watch.memory.set_price("NONE", 1.0, watch.now)
    assert watch.memory.last_sound_us("NONE") is watch.memory.waits_at("NONE") is None
    assert "NONE" not in watch.memory.save()


def test_a_price_is_still_after_half_an_hour_without_a_change(watch):
    watch.scan(frozen={"A0"})
    began = watch.now - MINUTE
    while watch.now < began + STILL_US:
        assert watch.sound_of(frozen={"A0"}), watch.now
    verdict = watch.scan(frozen={"A0"})
    assert verdict.still.tolist() == [True] + [False] * 5
    assert verdict.sound.tolist() == [False] + [True] * 5
    assert not verdict.doubtful.any()
    assert watch.sound_of(), "it moved again"


@pytest.mark.parametrize(("n_frozen", "is_still"), [(3, True), (4, False)])
def test_a_market_of_which_too_few_move_has_no_still_price(watch, n_frozen, is_still):
    frozen = set(NAMES[:n_frozen])
    verdict = None
    for _ in range(32):
        verdict = watch.scan(frozen=frozen)
    assert bool(verdict.still.any()) is is_still
    assert int(verdict.sound.sum()) == (len(NAMES) - n_frozen if is_still else len(NAMES))


@pytest.mark.parametrize(("n_far", "factor", "is_leap"), [
    (3, 1.5, False), (4, 1.5, True), (6, 1 / 1.5, True), (4, 6.0, True),
])  # fmt: skip
def test_most_of_the_market_far_is_a_leap_and_believed_but_for_what_is_never(
    watch, n_far, factor, is_leap
):
    told = {name: watch.prices[name] * factor for name in NAMES[:n_far]}
    verdict = watch.scan(**told)
    assert verdict.is_leap is is_leap
    believed = is_leap and factor < 5.0
    assert verdict.sound.tolist() == [believed] * n_far + [True] * (6 - n_far)


def test_a_leap_needs_as_many_known_assets_as_a_signal():
    for n_known, is_leap in ((3, True), (2, False)):
        watch = Watch()
        without = NAMES[n_known:]
        watch.scan(without=without)
        watch.scan(without=without)
        told = {name: watch.prices[name] * 1.5 for name in NAMES[:n_known]}
        assert watch.scan(without=without, **told).is_leap is is_leap


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_neither_sound_nor_doubtful(watch, price):
    before = watch.memory.last_sound_us("A0")
    verdict = watch.scan(A0=price)
    assert (verdict.sound[0], verdict.doubtful[0], verdict.still[0]) == (False, False, False)
    assert verdict.sound[1:].all()
    assert watch.memory.last_sound_us("A0") == before


def test_an_asset_unseen_for_a_week_is_new_again(watch):
    away = {"A0"}
    level = watch.prices["A0"] * 100.0
    for gap_us in (FORGET_US, 1):
        watch.scan(gap_us, without=away)
        is_forgotten = gap_us == 1
        assert (watch.memory.last_sound_us("A0") is None) is is_forgotten
    assert watch.sound_of(A0=level)


def test_what_is_saved_judges_as_before(watch):
    watch.scan(A0=watch.prices["A0"] * 1.5)
    again = Watch()
    again.memory = SoundPrices.load(watch.memory.save())
    again.now, again.n, again.prices = watch.now, watch.n, dict(watch.prices)
    for _ in range(3):
        one, other = watch.scan(), again.scan()
        assert (one is None) is (other is None)
        assert one is None or one.sound.tolist() == other.sound.tolist()
    assert again.memory.save() == watch.memory.save()


def test_returns_are_finite_where_the_quotient_is_not():
    prices, last = np.array([1e300, 2.0, 1.0]), np.array([1e-300, 1.0, 0.0])
    found = log_returns(prices, last, where=np.array([True, True, False]))
    assert found.tolist() == [pytest.approx(600 * math.log(10.0)), math.log(2.0), 0.0]
