"""Which orders fill, wait or are cancelled at a scan: each bound of the fill rule."""

import msgspec
import pytest

from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.fill_rule import MarketSnapshot, Quote, due, latency_us
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from tests.engines import order

AT, GAP, WAIT = 1_000_000, 500_000, 50_000
COSTS = CostParams(venue_latency_ms=WAIT / 1000, half_spread_bps=10.0)
SPECS = {"BTCUSDT": InstrumentSpec(2, 3)}


def becomes(now_us, price=100.0, book_us=None, leg="O"):
    """Return what becomes of an order of AT at a scan: the source of its fill, lapses, or waits."""
    one = order("X", at_us=AT, leg=leg)
    books = {}
    if book_us is not None:
        books["X"] = Quote(asset="BTCUSDT", mid=1.0, bid=0.9, ask=1.1, at_us=book_us, source="book")
    prices = {} if price is None else {"BTCUSDT": price}
    snapshot = MarketSnapshot(now_us=now_us, prices=prices, books=books)
    fills, lapses = due([one], snapshot, GAP, COSTS, SPECS)
    assert len(fills) + len(lapses) <= 1
    return fills[0].quote.source if fills else "lapses" if lapses else "waits"


@pytest.mark.parametrize(("now_us", "fields", "what"), [
    (AT, {}, "waits"), (AT + WAIT - 1, {}, "waits"), (AT + WAIT, {}, "scan"), (AT + GAP, {}, "scan"),
    (AT + GAP + 1, {}, "lapses"), (AT + GAP + 1, {"leg": "F1"}, "scan"),
    (AT + GAP + 1, {"leg": "F1", "price": None}, "waits"), (AT + GAP, {"price": None}, "waits"),
    (AT + GAP + 1, {"price": None}, "lapses"), (AT + WAIT, {"price": 1e-8}, "waits"),
    (AT + WAIT, {"price": 1e12}, "waits"), (AT + WAIT, {"price": 1.1e-8}, "scan"),
    (AT + WAIT, {"book_us": AT + WAIT}, "book"), (AT + 1, {"book_us": AT + 1}, "book"),
    (AT + 2 * GAP, {"book_us": AT + GAP}, "book"), (AT + 2 * GAP, {"book_us": AT + GAP + 1}, "lapses"),
    (AT + WAIT, {"book_us": AT + WAIT, "price": None}, "waits"),
])  # fmt: skip
def test_what_becomes_of_an_order(now_us, fields, what):
    assert becomes(now_us, **fields) == what


def test_without_a_latency_an_order_still_waits_for_a_later_scan():
    costs = CostParams(venue_latency_ms=0.0)
    assert latency_us(costs) == 0
    for now_us, n_fills in ((AT, 0), (AT + 1, 1)):
        snapshot = MarketSnapshot(now_us=now_us, prices={"BTCUSDT": 5.0})
        fills, lapses = due([order("X", at_us=AT)], snapshot, GAP, costs, SPECS)
        assert (len(fills), lapses) == (n_fills, [])


def test_a_scans_quote_is_the_price_and_half_the_spread_on_each_side():
    (fill,), _ = due(
        [order("X", at_us=AT)],
        MarketSnapshot(now_us=AT + WAIT, prices={"BTCUSDT": 100.0}),
        GAP, COSTS, SPECS,
    )  # fmt: skip
    quote = msgspec.structs.asdict(fill.quote)
    assert quote == {"asset": "BTCUSDT", "mid": 100.0, "bid": 99.9, "ask": 100.1,
                     "at_us": AT + WAIT, "source": "scan"}  # fmt: skip


def test_a_new_portfolio_holds_nothing_and_knows_of_nothing():
    new = Portfolio("X")
    assert (new.unpriced, new.in_flight, new.prices, new.changes) == ({}, {}, {}, {})
    assert (new.last_us, new.last_key, new.n_flattened) == (0, None, 0)
