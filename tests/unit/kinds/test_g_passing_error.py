"""Kind G, a passing error is taken for a bad file: what may yet be a scan is looked at again."""

import errno
import os

import pytest

from dolphin_realtime.scans.files import scan_path, to_bytes, write_scan
from dolphin_realtime.services.bridge import reader as reading
from dolphin_realtime.services.bridge.reader import Reader
from tests.scans import walk

SCANS = walk(6)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(reading.time, "monotonic", lambda: now[0])
    return now


def look(reader, clock, seconds, step=0.1):
    found = []
    for _ in range(round(seconds / step)):
        clock[0] += step
        found += reader.look()
    return found


def failing(monkeypatch, name, code, times):
    """Have reading a file fail some times, as a share or a lock would."""
    left = [times]
    real = reading.Path.read_bytes

    def read(path):
        if path.name == name and left[0]:
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return real(path)

    monkeypatch.setattr(reading.Path, "read_bytes", read)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EAGAIN, errno.ESTALE, errno.EBUSY])
def test_an_error_that_passes_costs_nothing_but_time(tmp_path, clock, monkeypatch, code):
    path = write_scan(tmp_path / "scans", SCANS[0])
    failing(monkeypatch, path.name, code, 4)
    reader = Reader(tmp_path / "scans", tmp_path / "seen")
    found = look(reader, clock, 5.0)
    assert [(one.scan is not None, one.reason) for one in found] == [(True, "")]


def test_an_error_that_stays_is_said_in_the_end_with_its_reason(tmp_path, clock, monkeypatch):
    path = write_scan(tmp_path / "scans", SCANS[0])
    failing(monkeypatch, path.name, errno.EACCES, 10**6)
    reader = Reader(tmp_path / "scans", tmp_path / "seen")
    assert look(reader, clock, reading.LOCK_PATIENCE_S - 1) == []
    (found,) = look(reader, clock, 3.0)
    assert "Permission denied; unchanged for 30 s" in found.reason


@pytest.mark.parametrize("n_zeros", [8, 200, 10_000_000])
def test_zeros_at_the_head_of_a_copy_are_not_yet_a_bad_file(tmp_path, clock, n_zeros):
    path = scan_path(tmp_path / "scans", SCANS[0])
    path.parent.mkdir(parents=True)
    data = to_bytes(SCANS[0])
    n = min(n_zeros, len(data))
    path.write_bytes(bytes(n) + data[n:])
    reader = Reader(tmp_path / "scans", tmp_path / "seen")
    assert look(reader, clock, 2.0) == []
    path.write_bytes(data)
    (found,) = look(reader, clock, 2.0)
    assert found.scan == SCANS[0]


def test_patience_counts_from_the_last_change_of_the_content(tmp_path, clock):
    """A preallocated copy: size and time stand still while the content comes."""
    path = scan_path(tmp_path / "scans", SCANS[0])
    path.parent.mkdir(parents=True)
    data = to_bytes(SCANS[0])
    reader = Reader(tmp_path / "scans", tmp_path / "seen")
    for n in range(0, 1200, 200):
        path.write_bytes(data[:n] + bytes(len(data) - n))
        os.utime(path, ns=(10**18, 10**18))
        assert look(reader, clock, 2.0) == []
    path.write_bytes(data)
    os.utime(path, ns=(10**18, 10**18))
    (found,) = look(reader, clock, 2.0)
    assert found.scan == SCANS[0]


def test_bad_files_that_wait_keep_no_new_scan_waiting(tmp_path, clock):
    for scan in SCANS[:4]:
        path = write_scan(tmp_path / "scans", scan)
        path.write_bytes(b"<html>503 Service Unavailable</html>")
    reader = Reader(tmp_path / "scans", tmp_path / "seen")
    assert look(reader, clock, 1.0) == []
    write_scan(tmp_path / "scans", SCANS[5])
    (found,) = look(reader, clock, 0.2)
    assert found.scan == SCANS[5]
    assert len(look(reader, clock, 4.0)) == 4
