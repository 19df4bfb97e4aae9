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


def test_every_update_after_the_first_must_follow_even_if_it_spans_the_books_end():
    with pytest.raises(BookChainBroken, match="the book ends at 101, the update begins at 100"):
        book_of(update(95, 101, 94), update(100, 110, 99))


def test_an_update_is_applied_once_and_the_snapshots_own_last_one_too():
    first = update(95, 100, 94, [("99", "7")])
    assert book_of(first).top()[0][0] == (99.0, 7.0), "the first may end where the snapshot does"
    again = update(95, 100, 94, [("99", "8")])
    assert book_of(first, again).top()[0][0] == (99.0, 7.0)


def test_a_new_snapshot_replaces_everything_and_lets_an_update_span_again():
    book = book_of(update(95, 101, 94, [("99.5", "3")]))
    book.load(snapshot(200))
    assert book.top() == book_of().top()
    assert (book.last_id, book.event_us) == (200, 1_000_000)
    book.update(update(150, 201, 149, [("99.7", "1")]))
    assert book.top()[0][0] == (99.7, 1.0)


def test_the_time_of_a_book_never_goes_back():
    book = book_of()
    book.event_us = 9_000_000
    book.update(update(95, 101, 94))
    assert book.event_us == 9_000_000


def test_as_many_levels_as_asked_and_twenty_without():
    book = book_of(update(95, 101, 94, [(str(10 + n), "1") for n in range(30)]))
    assert [price for price, _ in book.top(2)[0]] == [99.0, 98.0]
    assert len(book.top()[0]) == 20


def test_a_level_of_no_quantity_is_gone_and_one_that_was_never_there_is_none():
    book = book_of(update(95, 101, 94, [("99", "0"), ("55", "0.0")]))
    assert book.top()[0] == [(98.0, 2.0)]


def test_imbalance_over_levels_and_of_nothing():
    bids, asks = [(2.0, 3.0), (1.0, 1.0)], [(3.0, 1.0), (4.0, 3.0)]
    assert [imbalance(bids, asks, n) for n in (1, 2, 20)] == [0.5, 0.0, 0.0]
    assert imbalance([], [], 5) == 0.0
    found = features([(100.0, 1.0)] * 6, [(102.0, 1.0)] * 5, NOW)
    assert (found.imbalance_1, found.imbalance_5) == (0.0, 0.0)
    assert found.imbalance_20 == pytest.approx(1 / 11)
    assert (found.event_time, found.microprice) == (NOW, 101.0)
    assert found.spread_bps == pytest.approx(2 / 101 * 1e4)
    assert found.depth == 600.0 + 510.0
    assert (len(found.bids), len(found.asks)) == (6, 5)


def test_a_level_is_walked_to_its_end_exactly():
    levels = [(100.0, 1.0), (110.0, 1.0), (130.0, 1.0)]
    assert [walk(levels, q) for q in (1.0, 2.0, 3.0, 4.0)] == [
        100.0, 105.0, pytest.approx(340 / 3), pytest.approx(470 / 4)]  # fmt: skip
