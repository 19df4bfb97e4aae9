"""The scanner's work beside its loop: what ends, what is asked again, what is believed."""

import asyncio

import msgspec
import pytest

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import BookSourceError
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.scanner import service
from dolphin_realtime.services.scanner.listing import past_closes, universe
from dolphin_realtime.services.scanner.service import Scanner

PERPETUAL = {"status": "TRADING", "contractType": "PERPETUAL", "quoteAsset": "USDT"}


class Venue:
    """Answers by path; an answer that is an exception is raised, one that is None never comes."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    async def get(self, path, what, **params):
        self.asked.append((path, params))
        found = self.answers[path.rpartition("/")[2]]
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return msgspec.json.encode(found)


def listing(*names):
    return {"symbols": [{"symbol": name, **PERPETUAL} for name in names]}


def scanner(tmp_path, venue):
    settings = msgspec.structs.replace(Settings(), home=tmp_path, scanner_ws="ws://127.0.0.1:1")
    context = ServiceContext("scanner", settings, None)
    return Scanner(context, venue), context


async def never(*_):
    await asyncio.Event().wait()
    yield


async def broken(*_):
    raise RuntimeError("a fault of the stream")
    yield


async def test_work_that_ends_ends_the_service(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "marks", broken)
    monkeypatch.setattr(service, "contracts", never)
    made, _ = scanner(tmp_path, Venue(exchangeInfo=BookSourceError("away")))
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.timeout(10):
            await made.run()
    assert ended.group_contains(RuntimeError, match="a fault of the stream")


async def test_a_stop_ends_all_work(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "marks", never)
    monkeypatch.setattr(service, "contracts", never)
    made, context = scanner(tmp_path, Venue(exchangeInfo=None))
    running = asyncio.create_task(made.run())
    await asyncio.sleep(0.1)
    context.stopping.set()
    async with asyncio.timeout(10):
        await running
    assert context.phase == "no_listing"


@pytest.mark.parametrize(
    ("turnovers", "chosen"),
    [({"A": "1", "B": "NaN", "C": "100", "D": "", "E": "50"}, ["C", "E"]),
     ({"A": "0", "B": "-1", "C": "1e9"}, ["A", "B"])],
)  # fmt: skip
async def test_a_turnover_that_is_no_number_counts_as_none(turnovers, chosen):
    days = [{"symbol": name, "quoteVolume": text} for name, text in turnovers.items()]
    venue = Venue(exchangeInfo=listing(*turnovers), **{"24hr": days})
    assert await universe(venue, "", 2) == chosen


async def test_names_are_asked_for_once_and_only_names():
    venue = Venue(exchangeInfo=listing("BTCUSDT", "<b>", "X" * 1000, "ETHUSDT"))
    wanted = "ethusdt,BTCUSDT,ETHUSDT,<b>,MISSING"
    assert await universe(venue, wanted, 50) == ["ETHUSDT", "BTCUSDT"]


@pytest.mark.parametrize("answer", [listing(), {"symbols": 7}, "x", BookSourceError("429")])
async def test_a_listing_of_nothing_is_no_listing(answer):
    with pytest.raises(BookSourceError):
        await universe(Venue(exchangeInfo=answer), "BTCUSDT", 50)


@pytest.mark.parametrize("answer", [[[None] * 6], [["x"]], [[1, 2]], {"code": -1}, None])
async def test_candles_that_are_none_are_given_up_for_that_asset(answer, monkeypatch):
    monkeypatch.setattr("dolphin_realtime.services.scanner.listing.FILL_S", 0.2)
    assert await past_closes(Venue(markPriceKlines=answer), ["A", "B"], 10) == {}


async def test_a_candle_that_is_not_over_is_left_out():
    candles = [[n * 60_000, "1", "1", "1", str(n + 0.5)] for n in range(8, 13)]
    found = await past_closes(Venue(markPriceKlines=candles), ["A"], 10)
    assert found == {"A": [(8, 8.5), (9, 9.5), (10, 10.5)]}
