"""Kind D, a price that nobody makes: halted, delisted, absent; it is named, and nothing is traded at it."""

import msgspec
import numpy as np
import pytest

from dolphin_realtime.model.market.sound_prices import SoundPrices
from dolphin_realtime.model.signal.state import SignalState
from tests.scans import make_scan, walk

N = 12
NAMES = walk(1, N)[0].assets
OK, D = "WARMING_UP", "DOUBTFUL_PRICE"


def halted(n_still, minutes, n_assets=16):
    scans = walk(minutes + 1, n_assets, volatility=1e-4)
    first = scans[0].prices
    return [msgspec.structs.replace(s, prices=first[:n_still] + s.prices[n_still:]) for s in scans]


def test_a_price_that_stands_still_for_half_an_hour_while_others_move():
    state = SignalState()
    found = [state.step(s) for s in halted(3, 60)]
    assert [s.reason[:4] for s in found[:31]] == [[OK] * 4] * 31
    assert [s.reason[:4] for s in found[31:]] == [["STILL_PRICE"] * 3 + [OK]] * 30
    assert found[-1].flags == ("still_price",)
    moved = make_scan(62, [p * 1.001 for p in halted(3, 60)[-1].prices])
    assert state.step(moved).reason == [OK] * 16


def test_a_whole_market_that_stands_still_is_not_still_by_asset():
    state = SignalState()
    found = [state.step(s) for s in halted(16, 60)]
    assert all("still_price" not in s.flags for s in found)
    assert "frozen" in found[-1].flags
    state = SignalState()
    found = [state.step(s) for s in halted(7, 60)]
    assert all("still_price" not in s.flags for s in found)


@pytest.mark.parametrize(("days", "reason"), [(7, D), (8, OK)])
def test_an_asset_without_any_price_for_a_week_is_forgotten(days, reason):
    memory = SoundPrices()
    prices = np.full(N, 100.0)
    here, gone = np.ones(N, dtype=bool), np.ones(N, dtype=bool)
    gone[0] = False
    memory.judge(NAMES, prices, here, 0, 10)
    for day in range(1, days + 1):
        memory.judge(NAMES, prices, gone, day * 86_400_000_000 + (day == days), 10)
    prices[0] = 1e5
    verdict = memory.judge(NAMES, prices, here, days * 86_400_000_000 + 60_000_000, 10)
    assert (D if verdict is not None and verdict.doubtful[0] else OK) == (
        OK if days >= 7 else reason
    )
