"""Books over a real websocket: the replayed venue on loopback, and what it may do wrong."""

import asyncio
import tempfile
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from dolphin_realtime.bench.stack import free_port
from dolphin_realtime.factors.polite_client import PoliteClient, host_name
from dolphin_realtime.factors.source_memory import SourceMemory
from dolphin_realtime.infra.backoff import backoff_s
from dolphin_realtime.model.errors import BookSourceError
from dolphin_realtime.model.market.order_book import features
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.replay.books import RecordedBooks, ReplayClock, SeededBooks
from dolphin_realtime.replay.venue import ReplayVenue
from dolphin_realtime.services.orderbook.keeper import BookKeeper
from dolphin_realtime.services.orderbook.snapshots import Snapshots
from dolphin_realtime.services.orderbook.stream import stream_url, updates
from dolphin_realtime.venues.public_stream import BACKOFF_S
from tests.shared_data import SHARED, require

NOW_US = 1_723_161_256_000_000


def clock_at(prices):
    clock = ReplayClock(1.0)
    scans = [
        Scan(
            scan_number=n,
            timestamp_us=NOW_US + n * 60_000_000,
            assets=list(prices),
            prices=list(prices.values()),
            eigenvalues=[],
        )
        for n in (0, 1)
    ]
    clock.show(*scans)
    return clock


@asynccontextmanager
async def following(source, clock, assets):
    """Serve a venue and keep its books; yields (venue, keeper, counts)."""
    venue, port, counts = ReplayVenue(source, clock, assets), free_port(), Counter()
    async with await venue.serve(port), httpx2.AsyncClient(trust_env=False) as http:
        base = f"127.0.0.1:{port}"
        with tempfile.TemporaryDirectory() as folder:
            snapshots = Snapshots(PoliteClient(http, f"http://{base}", SourceMemory(Path(folder))))
        keeper = BookKeeper(assets, snapshots.fetch, counts)

        def on_fault(why):
            counts[why.split(":")[0]] += 1

        async def follow():
            async for update in updates(stream_url(f"ws://{base}", assets, 100), on_fault):
                if update is None:
                    keeper.begin_again()
                else:
                    keeper.apply(update)

        task = asyncio.create_task(follow())
        try:
            yield venue, keeper, counts
        finally:
            keeper.stop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def tick_until(venue, is_so, timeout_s=15.0):
    async with asyncio.timeout(timeout_s):
        while not is_so():
            await venue.tick()
            await asyncio.sleep(0.02)


def books(keeper, stale_s=60.0):
    return keeper.features(datetime.now(UTC), stale_s)[0]


async def test_recorded_books_arrive_level_by_level():
    require(SHARED / "orderbook_btcusdt_usdm_1s_20240808.parquet")
    source = RecordedBooks(SHARED, None, None)
    clock = clock_at(dict.fromkeys(source.assets))
    async with following(source, clock, source.assets) as (venue, keeper, counts):
        await tick_until(venue, lambda: len(books(keeper)) == len(source.assets))
        for _ in range(50):
            await venue.tick()
        for asset in source.assets:
            shown = venue._served[asset]
            kept = keeper._kept[asset].book
            await tick_until(venue, lambda k=kept, s=shown: k.last_id == s.last_id)
        tick = venue._n_ticks - 1
        await asyncio.sleep(0)
        for asset in source.assets:
            bids, asks = source.book(asset, tick)
            expected = features(bids, asks, books(keeper)[asset].event_time)
            assert books(keeper)[asset] == expected
        assert not counts


async def test_a_broken_chain_fetches_the_book_anew():
    clock = clock_at({"AUSDT": 10.0, "BUSDT": 20.0})
    async with following(SeededBooks(clock, 1), clock, ["AUSDT", "BUSDT"]) as (
        venue,
        keeper,
        counts,
    ):
        await tick_until(venue, lambda: len(books(keeper)) == 2)
        venue.skip.add("AUSDT")
        await tick_until(venue, lambda: counts["chain_broken"])
        await tick_until(venue, lambda: len(books(keeper)) == 2)
        shown, kept = venue._served["AUSDT"], keeper._kept["AUSDT"].book
        await tick_until(venue, lambda: kept.last_id == shown.last_id)
        assert kept.top() == (sorted(shown.sides[0], reverse=True), sorted(shown.sides[1]))


async def test_a_crossed_book_and_an_old_one_are_no_books():
    clock = clock_at({"AUSDT": 10.0})
    async with following(SeededBooks(clock, 1), clock, ["AUSDT"]) as (venue, keeper, counts):
        await tick_until(venue, lambda: books(keeper))
        assert not books(keeper, stale_s=-1.0)
        venue.cross.add("AUSDT")
        await tick_until(venue, lambda: not books(keeper))
        assert counts["crossed"]
        venue.cross.clear()
        await tick_until(venue, lambda: books(keeper))


async def test_a_hung_up_connection_is_made_again_and_nonsense_is_counted():
    clock = clock_at({"AUSDT": 10.0})
    async with following(SeededBooks(clock, 1), clock, ["AUSDT"]) as (venue, keeper, counts):
        await tick_until(venue, lambda: books(keeper))
        for connection in list(venue._subscribers):
            await connection.send("<html>")
            await connection.send('{"stream": "x", "data": {"e": "depthUpdate"}}')
        await venue.hang_up()
        await tick_until(venue, lambda: counts["stream_lost"] and venue._subscribers)
        await tick_until(venue, lambda: books(keeper))
        assert counts["bad_message"] == 2


async def test_an_unknown_symbol_has_no_book_and_the_others_have():
    clock = clock_at({"AUSDT": 10.0})
    venue_assets = ["AUSDT"]
    async with following(SeededBooks(clock, 1), clock, venue_assets) as (venue, keeper, _):
        keeper._kept["NOSUCH"] = type(keeper._kept["AUSDT"])()
        keeper._resync("NOSUCH")
        await tick_until(venue, lambda: keeper.counts["snapshot_failed"])
        await tick_until(venue, lambda: list(books(keeper)) == ["AUSDT"])


def test_back_off_doubles_up_to_its_cap():
    bounds = BACKOFF_S
    assert [backoff_s(n, 1.0, *bounds) for n in (0, 1, 2)] == [0.2, 0.4, 0.8]
    assert backoff_s(30, 1.0, *bounds) == 20.0
    assert backoff_s(0, 0.0, *bounds) == 0.1
    assert backoff_s(5000, 1.0, *bounds) == 20.0, "a venue that is away for hours"


def test_a_seeded_book_lies_around_the_next_scans_price_and_never_crosses():
    clock = clock_at({"AUSDT": 0.0123})
    for tick in range(200):
        bids, asks = SeededBooks(clock, 1).book("AUSDT", tick)
        assert bids[0][0] < 0.0123 < asks[0][0]
    assert SeededBooks(clock, 1).book("AUSDT", 5) == SeededBooks(clock, 1).book("AUSDT", 5)
    assert SeededBooks(clock, 1).book("BUSDT", 5) is None


class Refusing(httpx2.AsyncBaseTransport):
    """A venue that answers with what it is given, in turn, and then with a book."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    async def handle_async_request(self, request):
        self.asked += 1
        if self.answers:
            status, headers = self.answers.pop(0)
            return httpx2.Response(status, headers=headers)
        book = {"lastUpdateId": 1, "E": 1_700_000_000_000, "bids": [], "asks": []}
        return httpx2.Response(200, json=book)


@pytest.mark.parametrize(
    ("status", "headers", "pause_s"),
    [
        (429, {}, 120), (418, {}, 120), (418, {"Retry-After": "7200"}, 7200),
        (429, {"Retry-After": "30"}, 30), (503, {"Retry-After": "9"}, 9), (503, {}, None),
    ],
)  # fmt: skip
async def test_a_venue_that_asks_to_be_left_alone_is_left_alone(tmp_path, status, headers, pause_s):
    venue, memory = Refusing((status, headers)), SourceMemory(tmp_path)
    async with httpx2.AsyncClient(transport=venue) as http:
        snapshots = Snapshots(PoliteClient(http, "http://venue", memory))
        with pytest.raises(BookSourceError):
            await snapshots.fetch("AUSDT")
        if pause_s is None:
            await snapshots.fetch("AUSDT")
            return
        for _ in range(5):
            with pytest.raises(BookSourceError, match=f"left alone until.*{status}"):
                await snapshots.fetch("BUSDT")
    assert venue.asked == 1
    known = memory.host("orderbook")
    assert (known.not_before - known.told_at).total_seconds() == pause_s


def test_the_venue_of_the_factors_has_one_memory_with_them():
    assert host_name("https://fapi.binance.com/") == "binance"
    assert host_name("https://testnet.binancefuture.com") == "orderbook"
