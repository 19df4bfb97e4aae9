"""The gates of one scan: which input is missing, and what each asset's gate is."""

import numpy as np
import pytest

from dolphin_realtime.model.signal.asset_states import BOOKS_KNOWN, AssetStates
from dolphin_realtime.model.signal.ewma import Ewma, weight
from dolphin_realtime.model.signal.gate_values import gate_values
from dolphin_realtime.model.signal.gates import Book, Factors, Reading
from tests.scans import NOON_US

NAMES = ["A", "B", "C"]
TAU_S = 600.0


def states_of(directions):
    states = AssetStates()
    slots = states.slots_of(NAMES)
    states.direction[slots] = directions
    return states, slots


def gates_of(directions=(1, -1, 0), *, books=None, dt_s=60.0, states=None, **factors):
    states, slots = states or states_of(directions)
    return gate_values(
        states, NAMES, slots, NOON_US, dt_s, TAU_S, books, Factors(**factors)
    )  # fmt: skip


def book(imbalance=0.0, spread_bps=2.0, age_s=0.0):
    return Book(event_us=NOON_US - round(age_s * 1e6), imbalance_5=imbalance, spread_bps=spread_bps)


def rate(value, age_s=0.0, lifetime_s=60.0, **more):
    fetched = NOON_US - round(age_s * 1e6)
    return Reading(value=value, fetch_us=fetched, lifetime_s=lifetime_s, **more)


def test_without_inputs_every_gate_is_open_and_each_lack_is_counted():
    found = gates_of()
    assert (found.has_books, found.has_funding, found.dvol) == (False, False, 1.0)
    assert found.missing == {"book": 3, "funding": 3, "dvol": 1}
    assert found.of_assets() is None
    assert gates_of(books={}).missing["book"] == 3


def test_each_assets_gate_is_its_own():
    books = {"A": book(-0.4), "B": book(0.8), "C": book(-1.0)}
    funding = {"A": rate(0.001), "B": rate(0.001), "C": rate(0.001)}
    found = gates_of(books=books, funding=funding)
    assert found.book.tolist() == pytest.approx([0.8, 0.6, 1.0])
    assert found.funding.tolist() == pytest.approx([0.0, 1.0, 1.0])
    assert found.spread.tolist() == [1.0, 1.0, 1.0]
    assert found.of_assets().tolist() == pytest.approx([0.0, 0.6, 1.0])
    assert found.missing == {"dvol": 1}


def test_the_product_is_of_all_three():
    found = gates_of(books={"A": book(-0.4)}, funding={"A": rate(0.0005)})
    assert found.of_assets()[0] == pytest.approx(0.8 * 0.565625)
    found.spread[0] = 0.0
    assert found.of_assets()[0] == 0.0


def test_missing_and_stale_inputs_are_counted_one_by_one():
    books = {"A": book(age_s=121.0), "B": book(spread_bps=0.0)}
    found = gates_of(books=books, funding={"A": rate(0.1, age_s=61.0), "B": rate(0.0)})
    assert found.missing == {"book": 2, "spread": 1, "funding": 2, "dvol": 1}
    assert (found.has_books, found.has_funding) == (True, True)
    assert found.funding.tolist() == [1.0, 1.0, 1.0]
    both = gates_of(books={"A": book(spread_bps=0.0), "B": book(spread_bps=-1.0)})
    assert both.missing["spread"] == 2


def test_a_book_of_no_spread_still_leans():
    found = gates_of(books={"A": book(-0.4, spread_bps=0.0)})
    assert found.book[0] == pytest.approx(0.8)


@pytest.mark.parametrize(("reading", "gate", "is_missing"), [
    (None, 1.0, True), (rate(90.0), 1.0, True),
    (rate(90.0, percentile_90=80.0), 0.5, False), (rate(79.0, percentile_90=80.0), 1.0, False),
    (rate(90.0, age_s=60.0, percentile_90=80.0), 0.5, False),
    (rate(90.0, age_s=60.1, percentile_90=80.0), 1.0, True),
])  # fmt: skip
def test_the_markets_own_gate(reading, gate, is_missing):
    found = gates_of(dvol_btc=reading)
    assert (found.dvol, "dvol" in found.missing) == (gate, is_missing)


def test_a_spread_over_three_times_the_usual_closes_its_asset_once_that_is_known():
    states = states_of((1, 1, 1))
    wide, usual = {"A": book(spread_bps=7.0)}, {"A": book(spread_bps=2.0)}
    for _ in range(BOOKS_KNOWN):
        assert gates_of(states=states, books=usual).spread[0] == 1.0
    assert gates_of(states=states, books={"A": book(spread_bps=5.9)}).spread[0] == 1.0
    assert gates_of(states=states, books=wide).spread.tolist() == [0.0, 1.0, 1.0]
    young = states_of((1, 1, 1))
    for _ in range(BOOKS_KNOWN - 1):
        gates_of(states=young, books=usual)
    assert gates_of(states=young, books=wide).spread[0] == 1.0


def test_the_usual_spread_moves_with_the_time_between_scans():
    states = states_of((1, 1, 1))
    by_hand = Ewma()
    for dt_s, spread in ((0.0, 2.0), (60.0, 2.5), (30.0, 3.0)):
        gates_of(states=states, books={"B": book(spread_bps=spread)}, dt_s=dt_s)
        by_hand.update(float(np.log(spread)), weight(dt_s, TAU_S) if dt_s else 0.0)
    slot = states[0].slots_of(["B"])
    assert states[0].spread_m[slot] == pytest.approx(by_hand.m)
    assert states[0].spread_w[slot] == pytest.approx(by_hand.w)
    assert states[0].n_books[slot] == 3
