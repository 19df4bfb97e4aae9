"""The newest books by event time, and the first book that an order may fill at."""

from datetime import UTC, datetime

import msgspec
import pytest

from dolphin_realtime.books.documents import BookView
from dolphin_realtime.model.instant import to_us
from dolphin_realtime.model.market.order_book import features
from dolphin_realtime.model.market.venue import paper_venue
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.signal.gates import Book
from dolphin_realtime.trading.book_cache import KEPT, BookCache
from tests.engines import order
from tests.traders import SIGNAL, TARGET

WAIT_US = 250_000


@pytest.fixture
def cache():
    """A cache of a portfolio that knows BTCUSDT, with a latency of WAIT_US."""
    costs = CostParams(venue_latency_ms=WAIT_US / 1000)
    portfolio = Portfolio("TEST", SIGNAL, TARGET, costs=costs, venue=paper_venue(costs))
    portfolio.add_instruments(["BTCUSDT", "ETHUSDT"])
    return BookCache(portfolio)


def view(at_us, bid=99.0, ask=101.0, source="book"):
    book = Book(event_us=at_us, imbalance_5=0.0, spread_bps=200.0)
    return BookView(book, [(bid, 5.0)], [(ask, 5.0)], source)


def fly(cache, name, asset="BTCUSDT", at_us=1_000_000):
    cache._portfolio.in_flight[name] = order(name, asset, at_us=at_us)
    return cache._portfolio.in_flight[name]


def test_a_scan_gets_the_newest_book_that_is_not_later(cache):
    for at_us in (10, 20, 30):
        cache.take_views({"BTCUSDT": view(at_us)})
    found = {now: cache.books(now) for now in (9, 10, 19, 20, 99)}
    assert found[9] == {}
    assert [found[now]["BTCUSDT"].event_us for now in (10, 19, 20, 99)] == [10, 10, 20, 30]
    assert cache.books(99).keys() == {"BTCUSDT"}


def test_as_many_books_are_kept_as_said_and_no_more(cache):
    for at_us in range(1, KEPT + 2):
        cache.take_views({"BTCUSDT": view(at_us)})
    assert cache.books(1) == {}, "the oldest is forgotten"
    assert cache.books(2)["BTCUSDT"].event_us == 2


def test_an_order_takes_the_first_book_at_least_the_latency_after_its_decision(cache):
    fly(cache, "A")
    early, due = 1_000_000 + WAIT_US - 1, 1_000_000 + WAIT_US
    cache.take_views({"BTCUSDT": view(early, 1.0, 2.0)})
    assert cache.quotes(early) == {}
    cache.take_views({"BTCUSDT": view(due, 99.0, 101.0, "simulated book")})
    cache.take_views({"BTCUSDT": view(due + 1, 97.0, 98.0)})
    quote = cache.quotes(due)["A"]
    assert (quote.asset, quote.bid, quote.mid, quote.ask) == ("BTCUSDT", 99.0, 100.0, 101.0)
    assert (quote.at_us, quote.source) == (due, "simulated book")
    assert cache.quotes(due - 1) == {}


def test_prices_of_a_quote_have_the_instruments_precision(cache):
    fly(cache, "A")
    cache.take_views({"BTCUSDT": view(2_000_000, 99.123456, 101.987654)})
    digits = cache._portfolio.instruments["BTCUSDT"].price_precision
    quote = cache.quotes(2_000_000)["A"]
    assert (quote.bid, quote.ask) == (round(99.123456, digits), round(101.987654, digits))


def test_a_document_of_the_grid_is_read(cache):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    one = features([(99.0, 1.0)], [(101.0, 3.0)], at)
    text = msgspec.json.encode({"assets": {"BTCUSDT": one}, "_pushed_at": at}).decode()
    cache.update(text)
    (found,) = cache.books(to_us(at)).values()
    assert (found.event_us, found.imbalance_5) == (to_us(at), -0.5)
    with pytest.raises(ValueError, match=r"JSON|object|Expected"):
        cache.update("[]")


def test_only_orders_of_an_asset_with_levels_get_a_quote(cache):
    fly(cache, "A")
    fly(cache, "B", "ETHUSDT")
    empty = BookView(Book(event_us=2_000_000, imbalance_5=0.0, spread_bps=1.0))
    cache.take_views({"BTCUSDT": empty})
    assert cache.quotes(2_000_000) == {}
    assert cache.books(2_000_000).keys() == {"BTCUSDT"}
    cache.take_views({"ETHUSDT": view(2_000_000)})
    cache.take_views({"BTCUSDT": view(2_000_001)})
    assert cache.quotes(2_000_001).keys() == {"A", "B"}


def test_quotes_of_orders_that_have_ended_are_forgotten(cache):
    kept = fly(cache, "A")
    fly(cache, "B", "ETHUSDT")
    cache.take_views({"BTCUSDT": view(2_000_000), "ETHUSDT": view(2_000_000)})
    cache.keep([kept])
    assert cache.quotes(2_000_000).keys() == {"A"}
