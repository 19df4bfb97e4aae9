"""Finding, reading and remembering scan files."""

import math
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.errors import (
    ScanFileError,
    ScanIncomplete,
    ScanOutOfOrder,
    ScanSchemaError,
)
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.market.scan import (
    ScanOrder,
    decode_scan,
    encode_scan,
    refuse_implausible,
)
from dolphin_realtime.replay import faults
from dolphin_realtime.scans.files import parse_scan, scan_path, to_bytes, write_scan
from dolphin_realtime.services.bridge import reader as reading
from dolphin_realtime.services.bridge.reader import Reader
from dolphin_realtime.services.bridge.service import Polling
from dolphin_realtime.services.bridge.watch import FolderWatch
from tests.scans import walk

SCANS = walk(30)


def look_until_idle(reader):
    found = []
    while batch := reader.look():
        found += batch
    return found


def test_new_files_are_found_once_and_read_in_order(tmp_path):
    for scan in reversed(SCANS[:5]):
        write_scan(tmp_path, scan)
    reader = Reader(tmp_path, tmp_path.with_name("ledger"))
    found = look_until_idle(reader)
    assert sorted(f.scan.scan_number for f in found) == [1, 2, 3, 4, 5]
    assert look_until_idle(reader) == []
    write_scan(tmp_path, SCANS[5])
    assert [f.scan.scan_number for f in look_until_idle(reader)] == [6]


def test_a_name_written_again_is_new_by_its_time_and_size(tmp_path):
    path = write_scan(tmp_path, SCANS[0])
    reader = Reader(tmp_path, tmp_path.with_name("ledger"))
    look_until_idle(reader)
    os.utime(path, ns=(1, 1))
    reader.sweep_next()
    assert [f.scan.scan_number for f in look_until_idle(reader)] == [1]


def test_a_cut_off_file_is_waited_for_then_bad(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(reading.time, "monotonic", lambda: clock[0])
    path = faults.write_cut_off(tmp_path, SCANS[0])
    reader = Reader(tmp_path, tmp_path.with_name("ledger"))
    assert reader.look() == []
    clock[0] = reading.PATIENCE_S - 0.1
    assert reader.look() == []
    clock[0] = reading.PATIENCE_S + 0.1
    (found,) = reader.look()
    assert found.scan is None
    assert "unchanged for 3 s" in found.reason
    path.write_bytes(to_bytes(SCANS[0]))
    reader.sweep_next()
    assert [f.scan.scan_number for f in reader.look()] == [1]


@given(st.integers(0, 3000))
def test_every_cut_of_a_scan_file_is_incomplete(n):
    data = to_bytes(SCANS[0])
    if n < len(data):
        with pytest.raises(ScanIncomplete):
            parse_scan(data[:n], "cut")


@given(st.binary(min_size=8, max_size=200))
def test_garbage_is_a_file_error_or_incomplete(data):
    with pytest.raises((ScanFileError, ScanIncomplete)):
        parse_scan(data, "garbage")


def test_a_scan_file_holds_what_was_written(tmp_path):
    scan = msgspec.structs.replace(SCANS[0], simulated="seed 1")
    path = write_scan(tmp_path, scan)
    assert path == scan_path(tmp_path, scan)
    assert path.name == f"scan_000001_{from_us(scan.timestamp_us):%H%M%S}.arrow"
    read = parse_scan(path.read_bytes(), path.name)
    assert read == scan


def test_a_document_holds_what_was_published():
    scan = msgspec.structs.replace(SCANS[0], seq=7, epoch=2)
    scan = msgspec.structs.replace(scan, prices=[float("nan"), *scan.prices[1:]])
    moment = from_us(scan.timestamp_us)
    read = decode_scan(encode_scan(scan, moment))
    assert read.prices[0] is None
    assert read.prices[1:] == scan.prices[1:]
    assert (read.seq, read.epoch, read.bridge_ts) == (7, 2, moment)
    assert b"simulated" not in encode_scan(scan, moment).encode()


@given(st.text(max_size=50))
def test_a_text_that_is_no_document_is_refused(text):
    with pytest.raises(ScanSchemaError):
        decode_scan(text)


def test_a_watched_folder_forgets_files_of_days_long_gone(tmp_path):
    scans = walk(2)
    day = scan_path(tmp_path, scans[0]).parent.name
    write_scan(tmp_path, scans[0])
    old = {f"2020-01-{day:02d}/a.arrow": (1, 1) for day in range(1, 12)}
    watch = FolderWatch(tmp_path, dict(old))
    assert [path.split("/")[0] for path in watch.new_names(math.inf)] == [day]
    assert [f"{d}/a.arrow" for d in watch.known if d != day] == list(old)[-8:]


def test_scan_order_over_restarts():
    order = ScanOrder()
    assert order.accept(5, 100)
    assert not order.accept(5, 100)
    assert not order.accept(5, 99)
    assert order.accept(6, 200)
    with pytest.raises(ScanOutOfOrder):
        order.accept(7, 200)
    with pytest.raises(ScanOutOfOrder):
        order.accept(1, 150)
    assert order.accept(1, 300)
    assert order.epoch == 2


def test_ng6_that_dies_after_its_first_scan_again_and_again_is_followed():
    order = ScanOrder()
    assert [order.accept(1, at) for at in (100, 200, 300)] == [True] * 3
    assert order.epoch == 3
    assert not order.accept(1, 300)


def test_polling_is_dense_around_the_expected_scan_and_idle_when_it_is_long_overdue():
    polling = Polling(idle_poll_s=5.0, dense_poll_s=0.002)
    assert polling.poll_s(0.0)[0] == 0.05
    for n in range(5):
        polling.cadence.note(n * 7.0)
    assert polling.poll_s(28.5)[0] == 0.05
    assert polling.poll_s(34.5)[0] == 0.002
    assert polling.poll_s(36.0)[0] == 0.002
    assert polling.poll_s(60.0)[0] == 5.0


def test_no_entry_of_a_day_folder_stops_the_scans_beside_it(tmp_path):
    good = write_scan(tmp_path, SCANS[0])
    day = good.parent
    (day / "scan_dangling.arrow").symlink_to(day / "nowhere")
    (day / "scan_loop.arrow").symlink_to(day / "scan_loop.arrow")
    (day / "scan_folder.arrow").mkdir()
    os.mkfifo(day / "scan_fifo.arrow")
    (day / os.fsdecode(b"scan_\xff.arrow")).write_bytes(b"x")
    (day / "scan_empty.arrow").write_bytes(b"")
    with (day / "scan_huge.arrow").open("wb") as f:
        f.truncate(1 << 40)
    (tmp_path / "9998-junk").mkdir()
    (tmp_path / "9999-12-31").mkdir()
    found = {f.path: f for f in look_until_idle(Reader(tmp_path, tmp_path.with_name("ledger")))}
    assert found[f"{day.name}/{good.name}"].scan == SCANS[0]
    for name in ("scan_folder.arrow", "scan_fifo.arrow", "scan_huge.arrow"):
        assert "not a regular file" in found[f"{day.name}/{name}"].reason


def test_a_text_that_is_no_utf8_and_an_impossible_instant_are_file_errors():
    table = pa.table(
        {
            "scan_number": [1],
            "timestamp": pa.array([2**63 - 1], pa.timestamp("us", tz="UTC")),
            "assets": [["A"]],
            "asset_prices": [[1.0]],
            "eigenvalues": [[1.0]],
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ScanFileError, match=r"f\.arrow"):
        parse_scan(sink.getvalue().to_pybytes(), "f.arrow")


@pytest.mark.parametrize(
    ("ahead_s", "is_replay", "is_refused"),
    [(299, False, False), (301, False, True), (6 * 86400, True, False), (8 * 86400, True, True)],
)
def test_a_scan_from_the_future_is_refused_before_it_shuts_out_the_right_ones(
    ahead_s, is_replay, is_refused
):
    last = now = 1_700_000_000_000_000
    if is_refused:
        with pytest.raises(ScanOutOfOrder, match="beyond"):
            refuse_implausible(now + ahead_s * 1_000_000, last, now, is_replay=is_replay)
    else:
        refuse_implausible(now + ahead_s * 1_000_000, last, now, is_replay=is_replay)


def test_folders_of_days_to_come_hide_no_scan_of_today(tmp_path):
    today = datetime.now(UTC)
    folder = tmp_path / f"{today:%Y-%m-%d}"
    folder.mkdir()
    for ahead in (1, 2):
        (tmp_path / f"{today + timedelta(days=ahead):%Y-%m-%d}").mkdir()
    reader = Reader(tmp_path, tmp_path.with_name("ledger"))
    for n in range(3):
        (folder / f"scan_{n:06d}_000000.arrow").write_bytes(to_bytes(SCANS[n]))
        assert [one.scan for one in reader.look()] == [SCANS[n]]


def test_a_file_that_is_whole_when_the_sweep_names_it_is_found_once(tmp_path):
    path = write_scan(tmp_path, SCANS[0])
    reader = Reader(tmp_path, tmp_path.with_name("ledger"))
    assert len(reader.look()) == 1
    path.write_bytes(to_bytes(SCANS[0])[:700])
    reader.sweep_next()
    assert reader.look() == []
    path.write_bytes(to_bytes(SCANS[1]))
    reader.sweep_next()
    assert len(reader.look()) == 1
    assert reader.look() == []


def test_no_damaged_byte_of_a_compressed_file_ends_the_reader():
    table = pa.ipc.open_file(pa.py_buffer(to_bytes(SCANS[0]))).read_all()
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    whole = sink.getvalue().to_pybytes()
    assert parse_scan(whole, "whole") == SCANS[0]
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        with suppress(ScanFileError, ScanIncomplete):
            parse_scan(bytes(damaged), "damaged")
