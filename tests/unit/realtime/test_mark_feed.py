"""What a venue's marks say, and what decides about nothing but itself."""

import pytest

from dolphin_realtime.model.market.mark_feed import Mark, MarkFeed, price_of
from dolphin_realtime.model.market.return_window import ReturnWindow

MINUTE = 30_000_000
AT_S = MINUTE * 60
WALL_US = (AT_S + 86_400) * 1_000_000
ASSETS = ("A", "B", "C")


def mark(asset, second, price="100"):
    return Mark(asset, (AT_S + second) * 1000, price)


class Told:
    def __init__(self):
        self.window = ReturnWindow(240, 2)
        self.feed = MarkFeed(self.window)

    def note(self, *marks, wall_us=WALL_US):
        return list(self.feed.note(marks, ASSETS, wall_us))

    def all_at(self, second, price="100"):
        return self.note(*(mark(a, second, price) for a in ASSETS))

    def closes(self, minute=MINUTE):
        return [
            self.window.close(a, minute) if self.window.has(a, minute) else None for a in ASSETS
        ]


@pytest.fixture
def told():
    return Told()


def test_the_last_mark_of_a_minute_is_its_close(told):
    for second in (57, 58, 59, 60):
        assert told.all_at(second, str(second)) == []
    assert told.closes() == [59.0] * 3
    assert told.feed.prices(ASSETS) == [60.0] * 3


def test_a_mark_from_before_a_loss_is_no_close(told):
    told.all_at(5, "100")
    told.feed.begin()
    told.all_at(62, "110")
    assert told.closes() == [None] * 3
    assert not told.feed.is_past_edge(5_000_000), (
        "the minute that was cut is not over by five seconds"
    )
    told.all_at(65, "110")
    assert told.feed.is_past_edge(5_000_000)


def test_a_mark_long_before_the_end_of_its_minute_is_no_close(told):
    told.all_at(40)
    told.all_at(61)
    assert told.closes() == [None] * 3


def test_one_assets_clock_decides_about_that_asset_alone(told):
    (why,) = told.note(mark("A", 10), mark("B", 10), mark("C", 71))
    assert why.startswith("bad_mark: C: its clock is 61 s off")
    assert told.feed.prices(ASSETS) == [100.0, 100.0, None]
    assert told.feed.now_us == (AT_S + 10) * 1_000_000


@pytest.mark.parametrize("off_s", [3_600, 10**14])
def test_a_message_from_the_future_is_refused_and_the_next_is_not(told, off_s):
    (why,) = told.all_at(86_400 + off_s)
    assert why.startswith("from_the_future")
    assert told.feed.now_us == 0
    assert told.all_at(10) == []
    assert told.feed.prices(ASSETS) == [100.0] * 3


def test_who_is_not_scanned_has_no_say_and_is_not_kept(told):
    others = [Mark(f"X{n}", 10**17, "1") for n in range(1000)]
    assert told.note(*others, *(mark(a, 10) for a in ASSETS)) == []
    assert told.feed.now_us == (AT_S + 10) * 1_000_000
    assert len(told.feed._last) == 3


def test_a_late_mark_is_not_the_newest(told):
    told.all_at(59, "100")
    told.all_at(60, "101")
    told.all_at(58, "90")
    assert told.feed.prices(ASSETS) == [101.0] * 3
    told.all_at(61, "102")
    assert told.closes() == [100.0] * 3


def test_an_asset_without_a_mark_for_half_a_minute_has_no_price(told):
    told.all_at(10)
    for second in range(11, 41):
        told.note(mark("A", second), mark("B", second))
    assert told.feed.prices(ASSETS) == [100.0, 100.0, None]
    assert told.feed.quiet(ASSETS, 20_000_000) == ["C"]
    assert told.feed.quiet(ASSETS, 31_000_000) == []


@pytest.mark.parametrize(
    "text", ["nan", "-1", "0", "0.0", "inf", "1e308", "1_000", "", " 1", "1,0", "٣", "9" * 400]
)
def test_a_text_that_is_no_price_is_refused_alone(told, text):
    assert price_of(text) is None
    (why,) = told.note(mark("A", 10, text), mark("B", 10), mark("C", 10))
    assert why.startswith("bad_mark: A: ")
    assert told.feed.prices(ASSETS) == [None, 100.0, 100.0]
