"""`exf_latest`: merging, expiry, and what comes back of the history."""

from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.factors.documents import factors_of, read_factor_document
from dolphin_realtime.factors.files import read_factors
from dolphin_realtime.factors.store import HOURLY, Row, append, hourly_closes, newest
from dolphin_realtime.grid.wire import encode
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.factors.document import (
    CLOCK_STEP,
    FORGOTTEN,
    FactorReading,
    document_of,
    expiry,
    interval_of,
    merge,
    readings_of,
)
from dolphin_realtime.model.instant import to_us
from dolphin_realtime.trading.factor_cache import FactorCache

T = datetime(2025, 5, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def reading(value, at=T, lifetime_s=3600.0, **more):
    return FactorReading(
        value=value, unit="u", event_time=at, fetch_time=at, lifetime_s=lifetime_s,
        expires_at=expiry(at, lifetime_s), source="test/x", **more,
    )  # fmt: skip


def test_a_document_comes_back_as_it_went():
    readings = {("vix", None): reading(20.0), ("funding", "A"): reading(1e-4, simulated="seed 1")}
    document = document_of(readings, "wall", T)
    assert document.simulated == "seed 1"
    assert document.readings["funding"]["A"]["value"] == 1e-4
    assert readings_of(msgspec.json.decode(encode(document))) == readings
    assert "simulated" not in encode(document_of({("vix", None): reading(20.0)}, "wall", T))
    assert '"_pushed_at":"' in encode(document)


def test_what_is_malformed_is_left_out():
    raw = {"vix": {"value": "high"}, "funding": {"A": 3, "B": {}}, "x": None, "y": []}
    assert readings_of({"readings": raw}) == {}
    assert readings_of({"readings": 7}) == {}
    assert readings_of(None) == {}


def test_a_reading_past_its_lifetime_stays_as_it_was_and_is_marked():
    held = {("vix", None): reading(20.0), ("fees", None): reading(3.0, lifetime_s=60.0)}
    merged = merge(held, {("dvol_btc", None): reading(50.0, T + HOUR)}, T + HOUR)
    assert not merged[("vix", None)].expired
    dead = merged[("fees", None)]
    assert dead.expired
    assert msgspec.structs.replace(dead, expired=False) == held[("fees", None)]
    again = merge(merged, {("fees", None): reading(4.0, T + 2 * HOUR, 60.0)}, T + 2 * HOUR)
    assert not again[("fees", None)].expired


def test_a_slower_writer_does_not_undo_a_quicker_one():
    newer, older = reading(2.0, T + timedelta(seconds=5)), reading(1.0, T)
    key = ("vix", None)
    assert merge({key: newer}, {key: older}, T)[key].value == 2.0
    assert merge({key: older}, {key: newer}, T + timedelta(seconds=5))[key].value == 2.0
    assert merge({key: reading(1.0)}, {key: reading(2.0)}, T)[key].value == 2.0, "of one instant"
    ahead = reading(9.0, T + CLOCK_STEP + HOUR)
    assert merge({key: ahead}, {key: older}, T)[key].value == 1.0, "a clock that was set back"


def test_funding_carries_its_interval_while_that_is_current():
    held = {("funding", "A"): reading(1e-4, lifetime_s=1e6), ("funding", "B"): reading(2e-4)}
    merged = merge(held, {("funding_interval", "A"): reading(4.0)}, T)
    assert merged[("funding", "A")].interval_h == 4.0
    assert merged[("funding", "B")].interval_h is None
    assert merge(merged, {}, T + 2 * HOUR)[("funding", "A")].interval_h is None


@pytest.mark.parametrize(
    ("nexts", "listed", "hours"),
    [
        ([8, 16], 8.0, 8.0), ([8, 12], 8.0, 4.0), ([16, 12], 8.0, 4.0), ([16, 9], 8.0, 1.0),
        ([8, 9], None, 1.0), ([8, 8], 8.0, 8.0), ([8, 13], 8.0, 8.0), ([None, 16], 4.0, 4.0),
    ],
    ids=["usual", "next_sooner", "brought_forward", "to_hourly", "unlisted", "same", "odd", "untold"],
)  # fmt: skip
def test_the_interval_follows_the_venues_next_instants(nexts, listed, hours):
    """8 h by the list; what the venue says of the next settlement with a rate is newer."""
    first, second = (
        msgspec.structs.replace(
            reading(1e-4, T + n * HOUR / 12, 1e6),
            next_time=None if at is None else T.replace(hour=0) + at * HOUR,
        )
        for n, at in enumerate(nexts)
    )
    key, merged = ("funding", "A"), {}
    if listed is not None:
        merged = merge(merged, {("funding_interval", "A"): reading(listed, T - HOUR, 1e6)}, T)
    merged = merge(merged, {key: first}, T)
    merged = merge(merged, {key: second}, T + HOUR / 12)
    assert merged[key].interval_h == hours


def test_settlements_that_nobody_saw_do_not_make_the_interval_longer():
    """A 4 h rate whose source is away from 07:00 to 13:00: 08:00, then 16:00."""
    key, day = ("funding", "A"), T.replace(hour=0)
    seen = [(7, 8), (13, 16)]
    merged = {("funding_interval", "A"): reading(4.0, day, 1e6)}
    for at, after in seen:
        new = msgspec.structs.replace(
            reading(1e-4, day + at * HOUR, 1e6), next_time=day + after * HOUR
        )
        merged = merge(merged, {key: new}, day + at * HOUR)
    assert merged[key].interval_h == 4.0


names = st.sampled_from(["vix", "funding", "funding_interval", "dvol_btc"])
keys = st.tuples(names, st.sampled_from([None, "A", "B"]))
parts = st.dictionaries(keys, st.integers(0, 60).map(lambda m: reading(m, T + m * HOUR / 60)))


@given(parts, parts, parts)
def test_no_merge_loses_a_reading(held, one, other):
    now = T + HOUR
    both = merge(merge(held, one, now), other, now)
    assert set(both) == set(held) | set(one) | set(other)
    swapped = merge(merge(held, other, now), one, now)
    newest_of = {k: max(p[k].fetch_time for p in (held, one, other) if k in p) for k in both}
    assert {k: r.fetch_time for k, r in both.items()} == newest_of
    assert {k: r.fetch_time for k, r in swapped.items()} == newest_of


@given(parts)
def test_the_trader_reads_the_same_fast_and_slowly(readings):
    named = {key: r for key, r in readings.items() if (key[1] is None) == (key[0] == "dvol_btc")}
    document = document_of(merge({}, named, T), "wall", T)
    assert read_factor_document(encode(document)) == factors_of(msgspec.to_builtins(document))


def test_the_trader_reads_around_what_is_malformed():
    good = msgspec.to_builtins(reading(1e-4))
    for bad in (3, {**good, "value": "x"}, {**good, "fetch_time": "2025-05-14T12:00:00"}):
        document = {"readings": {"funding": {"A": good, "B": bad}, "dvol_btc": bad}}
        factors = read_factor_document(encode(document))
        assert set(factors.funding) == {"A"}
        assert factors.dvol_btc is None
    with pytest.raises(ValueError, match="truncated"):
        read_factor_document("{")


def rows(*pairs):
    return [Row(key=key, reading=r) for key, r in pairs]


def test_a_reading_is_kept_once_and_lies_in_its_days_file(tmp_path):
    vix, a = ("vix", None), ("funding", "A")
    first = rows((vix, reading(20.0)), (a, reading(1e-4)), (a, reading(2e-4, T + 24 * HOUR)))
    assert append(tmp_path, first) == 3
    assert append(tmp_path, rows((vix, reading(21.0)), (a, reading(3e-4, T + HOUR)))) == 1
    assert sorted(p.name for p in tmp_path.glob("*.parquet")) == [
        "2025-05-14.parquet", "2025-05-15.parquet",
    ]  # fmt: skip
    found = newest(tmp_path, T + 48 * HOUR)
    assert found[vix].value == 20.0, "the first that was written stays"
    assert found[a].value == 2e-4
    assert newest(tmp_path, T + HOUR)[a].value == 3e-4, "what came later is not known yet"
    assert newest(tmp_path, T, ["vix"]) == {vix: reading(20.0)}
    history = read_factors(tmp_path, "2025-05-14", "2025-05-14")
    assert history.at(to_us(T + HOUR)).funding["A"].value == 3e-4


def test_the_backtest_knows_the_interval_as_the_trader_does(tmp_path):
    a, interval = ("funding", "A"), ("funding_interval", "A")
    append(tmp_path, rows((a, reading(1e-4, T, 1e5)), (interval, reading(4.0, T + HOUR))))
    append(tmp_path, rows((a, reading(2e-4, T + 3 * HOUR, 1e5))))
    history = read_factors(tmp_path)
    hours = [history.at(to_us(T + n * HOUR)).funding["A"].interval_h for n in (0, 1, 3)]
    assert hours == [None, 4.0, None]


def test_hourly_closes_are_those_told_as_such(tmp_path):
    live, hourly = ("dvol_btc", None), (f"dvol_btc{HOURLY}", None)
    append(tmp_path, rows(*((live, reading(m, T + timedelta(minutes=m))) for m in (0, 59, 60))))
    append(tmp_path, rows(*((hourly, reading(float(n), T + n * HOUR)) for n in range(3))))
    closes = hourly_closes(tmp_path, "dvol_btc", T, T + 2 * HOUR)
    assert closes == {T + HOUR: 1.0, T + 2 * HOUR: 2.0}


def test_a_file_of_another_hand_is_read_where_it_can_be_and_named_where_not(tmp_path):
    path = tmp_path / f"{T:%Y-%m-%d}.parquet"
    columns = ("name", "asset", "value", "unit", "event_time", "fetch_time", "lifetime_s", "source")
    append(tmp_path, rows((("vix", None), reading(20.0))))
    pq.write_table(pq.read_table(path).select(columns), path)
    assert append(tmp_path, rows((("vix", None), reading(21.0, T + HOUR)))) == 1
    assert newest(tmp_path, T + HOUR)[("vix", None)].value == 21.0
    path.write_bytes(b"no parquet")
    assert newest(tmp_path, T + HOUR) == {}, "what cannot be read is left out"
    with pytest.raises(SettingsError, match=path.name):
        read_factors(tmp_path)
    assert append(tmp_path, rows((("vix", None), reading(22.0, T + HOUR)))) == 1
    (aside,) = tmp_path.glob("*.unreadable-*")
    assert aside.read_bytes() == b"no parquet", "set aside, not written over"


def test_an_asset_that_left_is_forgotten_after_a_week():
    gone, market = ("funding", "OLD"), ("vix", None)
    held = {gone: reading(1e-4), market: reading(20.0)}
    later = T + HOUR + FORGOTTEN
    assert merge(held, {}, later).keys() == {gone, market}
    assert merge(held, {}, later + HOUR).keys() == {market}


def test_a_scan_older_than_a_document_gets_what_was_known_at_its_instant():
    cache, key = FactorCache(), ("dvol_btc", None)
    for n, value in enumerate((50.0, 60.0)):
        at = T + n * HOUR
        cache.update(encode(document_of({key: reading(value, at, 1e5)}, "wall", at)))
    assert cache.at(to_us(T + HOUR)).dvol_btc.value == 60.0
    assert cache.at(to_us(T + HOUR) - 1).dvol_btc.value == 50.0
    assert cache.at(to_us(T) - 1).dvol_btc.fetch_us == to_us(T + HOUR), "not known: gate 1"


def test_each_of_the_documents_before_is_asked_the_newest_first():
    cache, key = FactorCache(), ("funding", "A")
    for n, value in enumerate((1e-4, 2e-4, 3e-4, 4e-4)):
        at = T + n * HOUR
        cache.update(encode(document_of({key: reading(value, at, 1e5)}, "wall", at)))
    known = [cache.at(to_us(T + n * HOUR)).funding["A"].value for n in range(4)]
    assert known == [1e-4, 2e-4, 3e-4, 4e-4]
    before = [cache.funding_before("A", to_us(T + n * HOUR)) for n in range(1, 5)]
    assert [r.value for r in before] == [1e-4, 2e-4, 3e-4, 4e-4]
    assert cache.funding_before("A", to_us(T)) is cache.funding_before("B", to_us(T)) is None


def test_funding_of_a_source_that_told_nothing_new_keeps_what_it_knew():
    first = reading(1e-4, T, 1e6, next_time=T + 8 * HOUR, interval_h=4.0)
    told = reading(8.0, T - HOUR)
    newer = reading(2e-4, T + 12 * HOUR, 1e6, next_time=T + 16 * HOUR)
    assert interval_of(newer, first, told) == 4.0, "settlements in between were missed"
    assert interval_of(newer, first, reading(8.0, T + HOUR)) == 8.0, "listed since"
    assert interval_of(newer, first, reading(8.0, T)) == 4.0, "listed as early as the rate"
    sooner = msgspec.structs.replace(newer, fetch_time=T + 12 * HOUR - timedelta(seconds=1))
    assert interval_of(sooner, first, told) == 8.0, "as far apart as the instants"
    assert interval_of(newer, None, told) == 8.0
    assert interval_of(reading(2e-4, T), first, told) == 8.0, "it has no next instant"
    assert interval_of(newer, reading(1e-4, T), told) == 8.0, "the one before had none"
    assert interval_of(newer, None, None) is None
