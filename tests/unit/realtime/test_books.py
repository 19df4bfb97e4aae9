"""Recorded order books: the record, the archive, and back into a feed."""

from datetime import timedelta

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dolphin_realtime.books.archive import BookLine, archive_books
from dolphin_realtime.books.files import read_books
from dolphin_realtime.model.errors import BookSourceError, SettingsError
from dolphin_realtime.model.instant import from_us, to_us
from dolphin_realtime.model.market.order_book import features
from dolphin_realtime.scans.retention import clear_books
from dolphin_realtime.services.orderbook.record import BookRecord
from tests.scans import NOON_US

NOON = from_us(NOON_US)


def books(at, bid=99.0, ask=101.0):
    sides = [(bid, 2.0), (bid - 1, 5.0)], [(ask, 3.0), (ask + 1, 5.0)]
    return {name: features(*sides, at) for name in ("A", "B")}


def record(folder, offsets_s, every_s=5.0, simulated="seeded"):
    kept = BookRecord(folder, every_s, simulated)
    for offset in offsets_s:
        kept.record(books(NOON + timedelta(seconds=offset)))
    kept.record({})
    kept.close()
    return kept


def test_one_line_every_few_seconds_of_market_time(tmp_path):
    record(tmp_path, [0, 1, 4.9, 5, 6, 10, 43_200])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2024-08-07.jsonl", "2024-08-08.jsonl"]
    lines = (tmp_path / "2024-08-07.jsonl").read_bytes().splitlines()
    found = [msgspec.json.decode(line, type=BookLine) for line in lines]
    assert [(line.at - NOON).total_seconds() for line in found] == [0.0, 5.0, 10.0]
    assert found[0].assets["A"].bids == [(99.0, 2.0)]


def test_a_record_that_cannot_be_written_is_counted(tmp_path):
    (tmp_path / "file").write_text("")
    assert record(tmp_path / "file", [0]).n_failed == 1


def test_a_day_is_archived_and_judged(tmp_path):
    record(tmp_path, [0, 5, 10, 15, 60, 65])
    raw = tmp_path / "2024-08-07.jsonl"
    with raw.open("ab") as file:
        file.write(b'{"at": "torn')
    facts = archive_books(raw, tmp_path / "out" / "2024-08-07.parquet")
    assert (facts.rows, facts.records, facts.assets, facts.cadence_s) == (12, 6, 2, 5.0)
    assert [(b - a) / 1e6 for a, b in facts.gaps] == [45.0]
    assert (facts.crossed, facts.bad_lines, facts.simulated) == (0, 1, "seeded")
    table = pq.read_table(tmp_path / "out" / "2024-08-07.parquet")
    assert table["bid"].to_pylist() == [99.0] * 12


def test_a_crossed_book_is_counted(tmp_path):
    line = BookLine(at=NOON, assets=books(NOON, bid=105.0))
    raw = tmp_path / "2024-08-07.jsonl"
    raw.write_bytes(msgspec.json.encode(line) + b"\n")
    assert archive_books(raw, tmp_path / "out.parquet").crossed == 2


def test_nothing_recorded_makes_no_archive(tmp_path):
    raw = tmp_path / "2024-08-07.jsonl"
    raw.write_bytes(b"\n")
    with pytest.raises(BookSourceError, match="no usable record"):
        archive_books(raw, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_an_archive_feeds_the_gates_and_never_the_future(tmp_path):
    record(tmp_path / "raw", [0, 5, 10])
    day = "2024-08-07"
    archive_books(tmp_path / "raw" / f"{day}.jsonl", tmp_path / "books" / f"{day}.parquet")
    feed = read_books(tmp_path / "books", [day, "2024-08-08"])
    first = list(feed.until(to_us(NOON) + 5_000_000))
    assert len(first) == 2
    view = first[1]["A"]
    assert (view.book.event_us, view.bids, view.source) == (
        to_us(NOON) + 5_000_000,
        [],
        "simulated book",
    )
    assert view.book.imbalance_5 == pytest.approx(books(NOON)["A"].imbalance_5)
    assert len(list(feed.until(1 << 62))) == 1


def test_a_wrong_archive_is_named(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(SettingsError, match=r"x\.parquet"):
        read_books(tmp_path / "x.parquet", [])


def test_only_archived_records_are_cleared(tmp_path):
    raw, archive = tmp_path / "raw", tmp_path / "archive"
    record(raw, [0, 86_400, 172_800, 259_200, 345_600])
    days = sorted(p.stem for p in raw.iterdir())
    for day in days[:3]:
        archive_books(raw / f"{day}.jsonl", archive / f"{day}.parquet")
    more = BookLine(at=NOON + timedelta(days=1, seconds=60), assets=books(NOON))
    with (raw / f"{days[1]}.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(more) + b"\n")
    other = BookLine(at=NOON + timedelta(days=2), assets=books(NOON, bid=98.0))
    (raw / f"{days[2]}.jsonl").write_bytes(msgspec.json.encode(other) + b"\n")
    cleared = clear_books(raw, archive, 1)
    assert cleared.removed == [days[0]]
    assert cleared.kept == dict.fromkeys(days[1:3], "not archived whole")
    assert clear_books(raw, archive, 0).removed == []


def test_a_late_line_keeps_its_file(tmp_path):
    record(tmp_path, [0, 86_400 * 9])
    raw = tmp_path / "2024-08-07.jsonl"
    line = BookLine(at=NOON - timedelta(seconds=9), assets=books(NOON))
    with raw.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
    assert archive_books(raw, tmp_path / "out" / "2024-08-07.parquet").late_lines == 1
    assert "out of order" in clear_books(tmp_path, tmp_path / "out", 1).kept["2024-08-07"]


def test_what_was_archived_before_stays(tmp_path):
    record(tmp_path, [0, 5, 10])
    raw, out = tmp_path / "2024-08-07.jsonl", tmp_path / "out.parquet"
    archive_books(raw, out)
    raw.unlink()
    record(tmp_path, [20])
    assert archive_books(raw, out).records == 4
    assert pq.read_table(out)["timestamp"].to_pylist() == sorted(
        pq.read_table(out)["timestamp"].to_pylist()
    )


@pytest.mark.parametrize("value", [None, "text"])
def test_an_archive_with_a_wrong_number_is_left_out_or_named(tmp_path, value):
    record(tmp_path, [0])
    out = tmp_path / "out.parquet"
    archive_books(tmp_path / "2024-08-07.jsonl", out)
    rows = [{**row, "imbalance_5": value} for row in pq.read_table(out).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows), out)
    if value is None:
        assert list(read_books(out, []).until(1 << 62)) == []
    else:
        with pytest.raises(SettingsError, match=r"out\.parquet"):
            read_books(out, [])
