"""Kind E, the unwarmed count in the market: what is new moves nobody else."""

import msgspec
import pytest

from dolphin_realtime.model.signal.state import SignalState
from tests.scans import walk

SCANS = walk(340)
WARM_FROM = 240


def run(new):
    """Return the signals of twelve warm coins beside new ones, whose prices ``new`` gives by age."""
    state, found = SignalState(), []
    for n, scan in enumerate(SCANS):
        if n < WARM_FROM:
            state.step(msgspec.structs.replace(scan))
            continue
        prices = new(n - WARM_FROM)
        found.append(state.step(msgspec.structs.replace(
            scan,
            assets=[*scan.assets, *(f"N{i}" for i in range(len(prices)))],
            prices=[*scan.prices, *prices],
            eigenvalues=[*scan.eigenvalues, *[1.0] * len(prices)],
        )))  # fmt: skip
    return [(s.signal[:12], s.s_score[:12]) for s in found]


@pytest.mark.parametrize(
    "new",
    [
        lambda age: [1.0 + 0.1 * age],
        lambda age: [1.0 / (1 + 0.05 * age)],
        lambda age: [1.1**age, 0.95**age, 1.0 + 0.15 * (age % 2)],
        lambda age: [1.15 ** (age % 7)] * 11,
    ],
    ids=["doubles", "melts", "three_at_once", "as_many_as_the_others"],
)
def test_what_new_coins_do_moves_no_warm_one(new):
    n_new = len(new(0))
    assert run(new) == run(lambda age: [1.0 + age * 1e-6] * n_new)


def test_a_market_that_is_all_new_has_a_return_all_the_same():
    state = SignalState()
    for scan in SCANS[:30]:
        state.step(msgspec.structs.replace(scan))
    assert state.market_var.m > 0.0


def test_a_coin_in_its_first_hours_does_not_move_the_market():
    """Warm assets make the market's return; a new one that doubles leaves it alone."""
    scans = walk(300, 12)
    plain, doubled = SignalState(), SignalState()
    for n, scan in enumerate(scans):
        new = [*scan.assets, "NEW"]
        values = [*scan.eigenvalues, 1.0]
        for state, price in ((plain, 1.0 + n * 1e-6), (doubled, 1.0 + max(0, n - 250) * 0.1)):
            if n < 240:
                state.step(msgspec.structs.replace(scan))
                continue
            state.step(msgspec.structs.replace(
                scan, assets=new, prices=[*scan.prices, price], eigenvalues=values))  # fmt: skip
    assert doubled.last.reason[-1] == "WARMING_UP"
    assert doubled.last.signal[:12] == plain.last.signal[:12]
