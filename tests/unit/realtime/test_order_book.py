"""One order book: sequence numbers, features, and the price of walking it."""

from datetime import UTC, datetime

import pytest

from dolphin_realtime.model.errors import BookChainBroken
from dolphin_realtime.model.market.order_book import (
    DepthSnapshot,
    DepthUpdate,
    LocalBook,
    fault,
    features,
    imbalance,
    microprice,
    walk,
)

NOW = datetime(2024, 8, 8, tzinfo=UTC)


def snapshot(last_id=100):
    return DepthSnapshot(last_id, 1_000, [("99", "1"), ("98", "2")], [("101", "1"), ("102", "2")])


def update(first, last, previous, bids=(), asks=()):
    return DepthUpdate("depthUpdate", 2_000, "A", first, last, previous, list(bids), list(asks))


def book_of(*updates):
    book = LocalBook()
    book.load(snapshot())
    for one in updates:
        book.update(one)
    return book


def test_the_first_update_must_span_the_snapshot_and_the_next_must_follow():
    book = book_of(update(95, 101, 94, [("99.5", "3")]), update(102, 105, 101, [], [("101", "0")]))
    assert book.top() == ([(99.5, 3.0), (99.0, 1.0), (98.0, 2.0)], [(102.0, 2.0)])
    assert (book.last_id, book.event_us) == (105, 2_000_000)


def test_what_the_snapshot_holds_already_changes_nothing():
    assert book_of(update(90, 99, 89, [("1", "1")])).top() == book_of().top()


@pytest.mark.parametrize(
    "updates",
    [
        [update(102, 105, 101)],
        [update(95, 101, 94), update(104, 105, 103)],
    ],
)
def test_a_broken_chain_is_refused(updates):
    with pytest.raises(BookChainBroken):
        book_of(*updates)


@pytest.mark.parametrize("level", [("nan", "1"), ("-1", "1"), ("1", "inf"), ("x", "1")])
def test_a_level_that_is_no_price_is_refused(level):
    with pytest.raises(ValueError, match=r"out of range|could not convert"):
        book_of(update(95, 101, 94, [level]))


def test_the_features_of_a_real_book():
    bids, asks = [(61800.0, 18.959)], [(61800.1, 2.693)]
    assert imbalance(bids, asks, 1) == pytest.approx(0.751247, abs=1e-6)
    assert microprice(bids, asks) == pytest.approx(61800.087562, abs=1e-6)
    found = features(bids, asks, NOW)
    assert found.spread_bps == pytest.approx(0.1 / 61800.05 * 1e4)
    assert found.depth == pytest.approx(61800.0 * 18.959 + 61800.1 * 2.693)


def test_a_crossed_or_one_sided_book_is_no_book():
    assert fault([], [(1.0, 1.0)]) == "ONE_SIDED"
    assert fault([(2.0, 1.0)], [(2.0, 1.0)]) == "CROSSED"
    assert fault([(1.0, 1.0)], [(2.0, 1.0)]) is None


def test_walking_pays_each_level_and_the_last_one_for_the_rest():
    levels = [(100.0, 1.0), (101.0, 2.0)]
    assert walk(levels, 0.5) == 100.0
    assert walk(levels, 2.0) == 100.5
    assert walk(levels, 5.0) == pytest.approx((100.0 + 4 * 101.0) / 5.0)
