"""Kind C, a price that cannot be true: which prices may be used at all."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin_realtime.model.market.sound_prices import SoundPrices
from dolphin_realtime.model.signal.state import SignalState
from tests.scans import walk

N = 12
SCANS = walk(40, N, volatility=1e-4)
NAMES = SCANS[0].assets


def with_price(scan, at, price):
    prices = list(scan.prices)
    prices[at] = price
    return msgspec.structs.replace(scan, prices=prices)


def reasons_of(prices_of_first):
    """Return the first asset's reason at scans 5 s apart, its own prices given as factors."""
    state = SignalState()
    found = []
    for scan, factor in zip(SCANS, prices_of_first, strict=False):
        at_us = SCANS[0].timestamp_us + scan.scan_number * 5_000_000
        scan = msgspec.structs.replace(scan, timestamp_us=at_us)
        price = None if factor is None else scan.prices[0] * factor
        found.append(state.step(with_price(scan, 0, price)).reason[0])
    return found


D, OK, BAD = "DOUBTFUL_PRICE", "WARMING_UP", "BAD_PRICE"


@pytest.mark.parametrize(
    ("factors", "reasons"),
    [
        ([1, 1, 1e-3, 1, 1], [OK, OK, D, OK, OK]),
        ([1, 1, 1e-3, 1e-3, 1, 1], [OK, OK, D, D, OK, OK]),
        ([1, 1, 1.3, 1.3, 1.3, 1.3], [OK, OK, D, D, OK, OK]),
        ([1, 1, 0.7, 0.7, 0.7, 1], [OK, OK, D, D, OK, D]),
        ([1, 1, 1.3, 2.0, 1.3, 2.0, 2.0, 2.0], [OK, OK, D, D, D, D, D, OK]),
        ([1, *[1000] * 9], [OK, *[D] * 9]),
        ([1, *[5.01] * 9], [OK, *[D] * 9]),
        ([1, *[4.9] * 5], [OK, D, D, OK, OK, OK]),
        ([1, None, 1.3, None, 1.3, 1.3], [OK, BAD, D, BAD, D, OK]),
        ([1, 1.19, 1.4, 1.6], [OK, OK, OK, OK]),
    ],
    ids=["wick", "wick_of_two", "new_level", "level_and_back", "two_levels", "redenomination",
         "over_five", "under_five", "with_holes", "a_steep_climb"],
)  # fmt: skip
def test_a_price_that_cannot_be_true(factors, reasons):
    assert reasons_of(factors) == reasons


def test_what_is_far_grows_with_the_root_of_the_time():
    for minutes, factor, reason in ((16, 2.0, OK), (16, 2.1, D), (1000, 4.9, OK), (1000, 5.1, D)):
        state = SignalState()
        state.step(SCANS[0])
        late = with_price(SCANS[1], 0, SCANS[1].prices[0] * factor)
        late = msgspec.structs.replace(
            late, timestamp_us=SCANS[0].timestamp_us + minutes * 60_000_000
        )
        assert state.step(late).reason[0] == reason, (minutes, factor)
    assert 2.0 < math.exp(math.log(1.2) * 4) < 2.1


def test_a_market_that_leaps_is_believed_but_for_a_redenomination():
    state = SignalState()
    state.step(SCANS[0])
    prices = [p * 0.6 for p in SCANS[1].prices]
    prices[3] = SCANS[1].prices[3] / 1000
    found = state.step(msgspec.structs.replace(SCANS[1], prices=prices))
    assert found.reason == [OK] * 3 + [D] + [OK] * 8
    assert found.flags == ("doubtful_price", "leap")


def test_half_of_the_market_is_not_the_market():
    state = SignalState()
    state.step(SCANS[0])
    prices = [p * (0.6 if n < N // 2 else 1.0) for n, p in enumerate(SCANS[1].prices)]
    found = state.step(msgspec.structs.replace(SCANS[1], prices=prices))
    assert set(found.reason) == {"TOO_FEW_ASSETS"}


def test_a_price_is_judged_at_a_scan_that_fails_otherwise():
    state = SignalState()
    state.step(SCANS[0])
    wick = with_price(SCANS[1], 0, SCANS[1].prices[0] * 1.3)
    for scan in (wick, with_price(SCANS[2], 0, SCANS[2].prices[0] * 1.3)):
        found = state.step(msgspec.structs.replace(scan, eigenvalues=[None] * N))
        assert set(found.reason) == {"BAD_EIGENVALUES"}
    assert state.step(with_price(SCANS[3], 0, SCANS[3].prices[0] * 1.3)).reason[0] == OK


LEVELS = st.sampled_from([1.0, 1.0, 1.0, 1.15, 0.85, 1.3, 0.7, 4.0, 6.0, 1e-3, 1e3, None])


@settings(max_examples=60, deadline=None)
@given(st.lists(LEVELS, min_size=5, max_size=30), st.integers(0, 2**32 - 1))
def test_an_assets_own_price_alone_decides_whether_it_is_doubtful(levels, seed):
    """Whatever up to four others do: half of twelve would be a market that leaps."""
    rng = np.random.default_rng(seed)
    alone, beside = SignalState(), SignalState()
    for scan, level in zip(SCANS, levels, strict=False):
        price = None if level is None else scan.prices[0] * level
        quiet = with_price(scan, 0, price)
        odd = list(quiet.prices)
        for at in range(1, 5):
            odd[at] *= float(rng.choice([1.0, 1.3, 0.5, 1000.0]))
        verdicts = []
        for state, prices in ((alone, quiet.prices), (beside, odd)):
            array = np.array(prices, dtype=np.float64)
            found = state.sound.judge(NAMES, array, array > 0.0, scan.timestamp_us, 10)
            if found is None:
                verdicts.append((False, True))
                continue
            verdicts.append((bool(found.doubtful[0]), bool(found.sound[0])))
            assert not found.is_leap
        assert verdicts[0] == verdicts[1]


def test_a_memory_saved_and_loaded_judges_alike():
    memory = SoundPrices()
    prices = np.full(N, 100.0)
    usable = np.ones(N, dtype=bool)
    for minute, factor in enumerate([1.0, 1.3, 1.3]):
        prices[0] = 100.0 * factor
        memory.judge(NAMES, prices, usable, minute * 60_000_000, 10)
    again = SoundPrices.load(memory.save())
    verdicts = [m.judge(NAMES, prices, usable, 180_000_000, 10) for m in (memory, again)]
    assert [bool(v.doubtful[0]) for v in verdicts] == [False, False]
    assert verdicts[0].sound.all()
    assert memory.save() == again.save()


def test_a_state_saved_before_there_was_a_rule_takes_its_last_prices_for_sound():
    state = SignalState()
    for scan in SCANS[:5]:
        state.step(scan)
    raw = msgspec.msgpack.decode(state.save())
    del raw["sound"]
    old = SignalState.load(msgspec.msgpack.encode(raw))
    assert old.step(with_price(SCANS[5], 0, 1e-3)).reason[0] == D
    assert old.step(SCANS[6]).reason[0] == OK


def test_a_first_scan_of_nothing_fails_and_the_next_is_taken():
    state = SignalState()
    nothing = msgspec.structs.replace(SCANS[0], assets=[], prices=[], eigenvalues=[])
    assert state.step(nothing).assets == []
    assert state.last.flags == ()
    assert state.step(msgspec.structs.replace(SCANS[1])).reason == [OK] * N
    again = msgspec.structs.replace(SCANS[2], assets=[], prices=[], eigenvalues=[])
    assert state.step(again).reason == []
