"""Kind I, left out without a word: what a run did not use is counted, by reason and day."""

import msgspec
import pytest

from dolphin_realtime.backtest.signals import write_signals
from dolphin_realtime.model.instant import DAY_US, day_of, day_us
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.scans.coverage import Reading, coverage_of, line_of, reasons_of
from dolphin_realtime.scans.days import ScanDays, read_scans
from dolphin_realtime.scans.files import scan_path, to_bytes, write_scan
from dolphin_realtime.scans.merge import merge_day
from tests.scans import walk

SCANS = walk(40)
DAY = day_of(SCANS[0].timestamp_us)


@pytest.fixture
def folder(tmp_path):
    """A day of forty files: one cut off, one of zeros, one a web page, one unreadable, one twice."""
    for scan in SCANS:
        write_scan(tmp_path / "scans", scan)
    paths = [scan_path(tmp_path / "scans", scan) for scan in SCANS]
    paths[3].write_bytes(to_bytes(SCANS[3])[:900])
    paths[4].write_bytes(bytes(2000))
    paths[5].write_bytes(b"<html>503</html>")
    paths[6].unlink()
    paths[6].symlink_to("/proc/self/mem")
    again = msgspec.structs.replace(SCANS[8], timestamp_us=SCANS[8].timestamp_us)
    (paths[8].parent / "scan_000009_again.arrow").write_bytes(to_bytes(again))
    return tmp_path / "scans"


def left_out_of(folder):
    reading = Reading()
    n = sum(1 for _ in read_scans(folder, reading))
    (day,) = reading.days()
    return n, day


def test_each_unreadable_file_has_its_reason(folder):
    n, day = left_out_of(folder)
    assert sum(day.left_out.values()) >= 3
    assert any("without an Arrow footer" in why for why in day.left_out)
    assert any("not an Arrow file" in why or "begins with" in why for why in day.left_out)
    assert n == day.scans


def test_a_repeat_is_said_by_the_run_that_refuses_it(folder, tmp_path):
    result = write_signals(folder, tmp_path / "s.parquet", SignalParams(), None, None)
    (day,) = result.days
    assert day.left_out["a repeat of the scan before"] == result.duplicates == 1


def test_an_archive_remembers_what_its_day_left_out(folder, tmp_path):
    merge_day(folder / DAY, tmp_path / "archive" / f"{DAY}.parquet")
    n, day = left_out_of(tmp_path / "archive")
    assert n == day.scans
    assert sum(day.left_out.values()) >= 4
    assert any("repeats" in why for why in day.left_out)


def test_scans_of_another_day_are_said(tmp_path):
    write_scan(tmp_path, SCANS[0])
    other = msgspec.structs.replace(SCANS[1], timestamp_us=SCANS[1].timestamp_us + 3 * DAY_US)
    (tmp_path / DAY / "scan_000002_000000.arrow").write_bytes(to_bytes(other))
    found = ScanDays.of(tmp_path)
    assert len(list(found.scans(DAY))) == 1
    assert sum(found.left_out[DAY].values()) == 1


@pytest.mark.parametrize(
    ("minutes", "covered", "hole_s", "is_whole"),
    [
        (range(1440), 1.0, 60, True),
        ([m for m in range(1440) if not 500 < m < 800], 1141 / 1440, 300 * 60, False),
        ([m for m in range(1440) if m % 3], 960 / 1440, 120, False),
        (range(700), 700 / 1440, 741 * 60, False),
        ([], 0.0, 86_400, False),
    ],
)
def test_the_share_and_the_longest_hole_of_a_day(minutes, covered, hole_s, is_whole):
    day = coverage_of("2025-03-12", [day_us("2025-03-12") + m * 60_000_000 for m in minutes], {})
    assert day.covered == pytest.approx(covered, abs=1e-9)
    assert day.hole_s == pytest.approx(hole_s, abs=61)
    assert day.is_whole == is_whole
    assert "2025-03-12" in day.words
    assert (day.words in line_of([day])) != is_whole


def test_reasons_are_counted_by_kind_not_by_file():
    found = reasons_of({
        "a.arrow": "a.arrow: 1500 bytes without an Arrow footer",
        "b.arrow": "b.arrow: 900 bytes without an Arrow footer",
        "c.arrow": "Permission denied",
        "d.arrow": "out of order: scan 7 at 2025-03-12T00:00:00 is not later than scan 8",
        "e.arrow": "out of order: scan 9 at 2025-03-12T00:01:00 is not later than scan 10",
    })  # fmt: skip
    assert found == {
        "N bytes without an Arrow footer": 2, "Permission denied": 1, "out of order": 2
    }  # fmt: skip


def test_a_refused_scan_is_not_counted_and_a_day_of_faults_alone_is_said():
    reading = Reading()
    for n, scan in enumerate(reading.of(iter(SCANS[:4]), DAY)):
        if n == 3:
            reading.refuse(scan, "out of order")
    reading.leave_out("2024-08-08", {"bad": 5})
    first, second = reading.days()
    assert (first.scans, first.left_out) == (3, {"out of order": 1})
    assert (second.scans, second.left_out) == (0, {"bad": 5})
    assert "left out 6" in line_of([first, second])
