"""What sources tell of the past: whole, known no sooner than it could be, percentiles as numpy's."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from dolphin_dagster.factors.ask import Observation
from dolphin_dagster.factors.exchange_sessions import is_session, next_open, session_at
from dolphin_dagster.factors.past import holes
from dolphin_dagster.factors.publish import backfilled, vet
from dolphin_dagster.factors.registry import external
from dolphin_dagster.indicators import dvol, fear_greed, funding, vix
from dolphin_realtime.factors.files import read_factors
from dolphin_realtime.factors.store import Row, append
from dolphin_realtime.model.errors import SourceFormatChanged
from dolphin_realtime.model.factors.document import FactorReading, expiry
from dolphin_realtime.model.instant import to_us
from tests.factors.sources import NOW, Replayed

FIRST, LAST = datetime(2025, 4, 13, tzinfo=UTC), datetime(2025, 5, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def replayed(tmp_path):
    with Replayed(tmp_path).serving() as replayed:
        yield replayed


def past(replayed, name):
    indicator = external()[name]
    return indicator.history.fetch(replayed.ask(indicator), FIRST, LAST)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("funding", 90 + 90 + 180), ("open_interest", 2 * 720), ("dvol", 2 * 720), ("fear_greed", 30)],
)
def test_thirty_days_are_whole(replayed, name, expected):
    found = past(replayed, name)
    assert len(found) == expected
    assert len({(o.name, o.asset, o.event_time) for o in found}) == expected
    assert all(FIRST <= o.event_time < LAST for o in found)


def test_vix_has_every_session_and_is_known_in_the_evening(replayed):
    found = past(replayed, "vix")
    days = {o.event_time.date() for o in found}
    sessions = {FIRST.date() + timedelta(days=n) for n in range(30)}
    assert {day for day in sessions if is_session(day)} <= days
    assert all(o.known_at - o.event_time == timedelta(hours=4) for o in found)


def test_dvols_percentile_is_of_the_thirty_days_before_each_hour(replayed):
    found = {o.event_time: o for o in past(replayed, "dvol") if o.name == "dvol_btc"}
    indicator = external()["dvol"]
    ask = replayed.ask(indicator)
    hours = dvol.closes(ask, "BTC", FIRST - timedelta(days=31), LAST, HOUR)
    for end in (FIRST, FIRST + 5 * HOUR, LAST - HOUR):
        window = [v for t, v in hours.items() if end - timedelta(days=30) < t <= end]
        assert len(window) == 720
        assert found[end].percentile_90 == pytest.approx(np.quantile(window, 0.9), abs=1e-12)


def test_a_percentile_needs_seven_days_of_hours():
    assert dvol.percentile_90([50.0] * 167) is None
    assert dvol.percentile_90([float(n) for n in range(168)]) == pytest.approx(150.3)


def keep(ask, indicator, learnt):
    """Keep hours for percentiles as a run does; return the history."""
    append(ask.history, backfilled(indicator, learnt, HOUR, NOW, "seed"))
    return ask.history


def test_a_live_run_fills_the_hours_its_percentile_lacks(replayed):
    indicator = external()["dvol"]
    ask = replayed.ask(indicator)
    found, learnt = indicator.percentiles(ask)
    assert set(found) == {"dvol_btc", "dvol_eth"}
    assert len(learnt) == 2 * 720
    assert not read_factors(keep(ask, indicator, learnt)).at(to_us(NOW)).dvol_btc
    asked = replayed.server.asked[indicator.path]
    again, nothing = indicator.percentiles(replayed.ask(indicator))
    assert again == found
    assert nothing == []
    assert replayed.server.asked[indicator.path] == asked, "not asked again within the hour"


def test_a_backfill_after_live_runs_still_brings_its_percentiles(replayed):
    indicator, folder = external()["dvol"], replayed.folder / "factors"
    ask = replayed.ask(indicator)
    _, learnt = indicator.percentiles(ask)
    keep(ask, indicator, learnt)
    rows = backfilled(indicator, past(replayed, "dvol"), indicator.history.lifetime, NOW, "seed")
    append(folder, rows)
    at = read_factors(folder, "2025-05-01", "2025-05-02").at(to_us(FIRST + timedelta(days=20)))
    assert at.dvol_btc.percentile_90 is not None


def test_backfilled_funding_knows_its_interval(replayed):
    hours = {o.asset: o.interval_h for o in past(replayed, "funding")}
    assert hours == {"BTCUSDT": 8.0, "ETHUSDT": 8.0, "ENAUSDT": 4.0}
    assert {o.interval_h for o in past(replayed, "funding") if o.asset == "ENAUSDT"} == {4.0}
    assert funding.intervals([FIRST]) == {FIRST: None}


def test_a_page_that_repeats_itself_ends(replayed, monkeypatch):
    row = {
        "symbol": "BTCUSDT",
        "fundingRate": "0.0001",
        "fundingTime": int(FIRST.timestamp()) * 1000,
    }
    monkeypatch.setattr(funding, "PAGE", 1)
    monkeypatch.setitem(replayed.sources.routes, funding.PAST, lambda _q, _t: [row])
    found = funding.settlements(replayed.ask(external()["funding"]), "BTCUSDT", FIRST, LAST)
    assert [o.event_time for o in found] == [FIRST]
    row["symbol"] = "DOGEUSDT"
    with pytest.raises(SourceFormatChanged, match="symbol is 'DOGEUSDT': expected BTCUSDT"):
        funding.settlements(replayed.ask(external()["funding"]), "BTCUSDT", FIRST, LAST)


def test_holes_are_judged_asset_by_asset_from_its_first_day_on():
    days = [date(2025, 4, n) for n in (13, 14, 15)]

    def told(asset, *wanted):
        return [
            Observation(name="x", asset=asset, value=1.0, event_time=FIRST + timedelta(days=n))
            for n in wanted
        ]

    assert holes(told("A", 0, 1, 2) + told("B", 1, 2), days) == []
    assert holes(told("A", 0, 2), days) == ["A on 2025-04-14"]
    assert holes(told(None, 1, 2), days) == ["x on 2025-04-13"]
    assert holes([], days) == ["2025-04-13", "2025-04-14", "2025-04-15"]
    assert len(holes(told(None, 0, 1, 2), days, ("x", "y"))) == 3, "y is wholly missing"


def test_one_odd_asset_does_not_stop_the_others(replayed, monkeypatch):
    indicator = external()["funding"]
    assets = [f"A{n}USDT" for n in range(9)] + ["BTCUSDT", "NOSUCH"]
    real = replayed.sources.routes[indicator.path]

    def answer(query, now_us):
        (row, *_) = real(query, now_us)
        rows = [{**row, "symbol": asset} for asset in assets[:-1]]
        rows[0]["markPrice"] = "9999999.0"
        return rows

    monkeypatch.setitem(replayed.sources.routes, indicator.path, answer)
    ask = replayed.ask(indicator, assets)
    assert {o.asset for o in indicator.fetch(ask)} == set(assets[1:-1])
    assert "NOSUCH is not listed" in ask.left_out
    assert any("markPrice of A0USDT is '9999999.0'" in said for said in ask.left_out)


@pytest.mark.parametrize(
    ("value", "said", "taken"),
    [("25", "Extreme Fear", True), ("46", "Fear", True), ("54", "Greed", True),
     ("30", "Extreme Fear", False), ("60", "Fear", False), ("101", "Extreme Greed", False)],
)  # fmt: skip
def test_words_of_fear_and_greed_may_be_either_near_a_border(replayed, value, said, taken):
    entry = fear_greed.Entry(value, said, str(int(NOW.timestamp())))
    ask = replayed.ask(external()["fear_greed"])
    if taken:
        assert fear_greed.read(ask, entry).value == float(value)
    else:
        with pytest.raises(SourceFormatChanged, match="alternative/fng/: value"):
            fear_greed.read(ask, entry)


def test_the_vix_of_a_half_day_is_taken_in_the_early_afternoon(replayed):
    replayed.now = datetime(2025, 11, 28, 18, 45, tzinfo=UTC)
    ask = replayed.ask(external()["vix"])
    text = "DATE,OPEN,HIGH,LOW,CLOSE\n11/26/2025,17,17,17,17.5\n11/28/2025,17,17,17,16.4\n"
    half = vix.read(ask, text, date(2025, 11, 1))
    assert [o.event_time for o in half] == [
        datetime(2025, 11, 26, 21, 15, tzinfo=UTC), datetime(2025, 11, 28, 18, 15, tzinfo=UTC),
    ]  # fmt: skip
    for day in ("01/02/2925", "12/31/9999"):
        with pytest.raises(SourceFormatChanged, match=f"cboe.*DATE is '{day}'"):
            vix.read(ask, f"DATE,CLOSE\n{day},17.0\n", date(2025, 11, 1))
    with pytest.raises(SourceFormatChanged, match="CSV"):
        vix.read(ask, "DATE,CLOSE\n" + "x" * 200_000, date(2025, 11, 1))


def test_a_backtest_sees_backfilled_values_no_sooner_than_they_were_known(replayed):
    indicator = external()["dvol"]
    rows = backfilled(indicator, past(replayed, "dvol"), indicator.history.lifetime, NOW, "seed")
    append(replayed.folder / "factors", rows)
    history = read_factors(replayed.folder / "factors", "2025-04-20", "2025-04-21")
    noon = datetime(2025, 4, 20, 12, tzinfo=UTC)
    values = {row.reading.event_time: row.reading for row in rows if row.key[0] == "dvol_btc"}
    known = noon + timedelta(minutes=1)
    just_before = history.at(to_us(known) - 1).dvol_btc
    at = history.at(to_us(known)).dvol_btc
    assert just_before.value == values[noon - HOUR].value
    assert (at.value, at.percentile_90) == (values[noon].value, values[noon].percentile_90)
    assert at.is_current(to_us(noon + HOUR))


@pytest.mark.parametrize(
    ("day", "trades"),
    [(date(2025, 7, 3), True), (date(2025, 7, 4), False), (date(2025, 4, 18), False),
     (date(2025, 7, 5), False), (date(2024, 12, 31), True)],
)  # fmt: skip
def test_new_yorks_sessions(day, trades):
    assert is_session(day) is trades


def test_new_yorks_half_days_and_the_next_opening():
    noon = datetime(2025, 7, 3, 16, tzinfo=UTC)
    assert session_at(noon)[1] == datetime(2025, 7, 3, 17, tzinfo=UTC)
    assert session_at(noon + HOUR) is None
    assert next_open(noon + HOUR) == datetime(2025, 7, 7, 13, 30, tzinfo=UTC)
    assert next_open(datetime(2025, 12, 31, 22, tzinfo=UTC)) == datetime(
        2026, 1, 2, 14, 30, tzinfo=UTC
    )


def test_a_small_coin_without_a_number_is_left_out(replayed, monkeypatch):
    indicator = external()["stablecoin_supply"]
    real = replayed.sources.routes[indicator.path]

    def answer(query, now_us):
        body = real(query, now_us)
        small = [
            {
                "symbol": f"S{n}",
                "pegType": "peggedUSD",
                "circulating": {"peggedUSD": worth.get(n, 0.0)},
            }
            for n in range(12)
        ]
        return {"peggedAssets": [*body["peggedAssets"], *small]}

    before = {key: r.value for key, r in replayed.read(indicator).items()}
    worth = {3: None}
    monkeypatch.setitem(replayed.sources.routes, indicator.path, answer)
    ask = replayed.ask(indicator)
    assert {(o.name, o.asset): o.value for o in indicator.fetch(ask)} == before
    assert ask.left_out == ["S3"]
    for bad in ({3: None, 4: None}, {3: -5e10}):
        worth = bad
        with pytest.raises(SourceFormatChanged, match="circulating is"):
            indicator.fetch(replayed.ask(indicator))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"markPrice": "0", "indexPrice": "0"},
        {"lastFundingRate": "0.06"},
        {"time": int((NOW - timedelta(days=3)).timestamp() * 1000)},
        {"lastFundingRate": ""},
    ],
)
def test_an_asset_that_is_being_delisted_does_not_stop_funding(replayed, monkeypatch, spoilt):
    indicator = external()["funding"]
    assets = [f"A{n}USDT" for n in range(10)]
    real = replayed.sources.routes[indicator.path]

    def answer(query, now_us):
        (row, *_) = real(query, now_us)
        rows = [{**row, "symbol": asset} for asset in assets]
        rows[0] |= spoilt
        return rows

    monkeypatch.setitem(replayed.sources.routes, indicator.path, answer)
    ask = replayed.ask(indicator, assets)
    kept, refused = vet(indicator, indicator.fetch(ask), NOW, NOW)
    assert {o.asset for o in kept} == set(assets[1:])
    assert len(refused) + len(ask.left_out) == 1


def test_a_backfilled_row_gives_way_to_what_a_live_reading_still_tells(tmp_path):
    key, noon = ("dvol_btc", None), datetime(2025, 4, 20, 12, tzinfo=UTC)

    def reading(value, at, lifetime_s=600.0):
        return FactorReading(
            value=value, unit="u", event_time=at, fetch_time=at, lifetime_s=lifetime_s,
            expires_at=expiry(at, lifetime_s), source="test", percentile_90=60.0,
        )  # fmt: skip

    live = [Row(key=key, reading=reading(50.0, noon - timedelta(minutes=5)))]
    told = [
        Row(key=key, reading=reading(n, noon + n * HOUR, 4200.0), backfilled_at=NOW)
        for n in range(3)
    ]
    append(tmp_path, [*live, *told])
    history = read_factors(tmp_path)
    assert history.at(to_us(noon)).dvol_btc.value == 50.0, "the trader had that"
    assert history.at(to_us(noon + HOUR)).dvol_btc.value == 1.0, "it had nothing any more"
