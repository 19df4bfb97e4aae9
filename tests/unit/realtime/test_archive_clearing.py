"""Which folders and files an archive may clear: verified, old, and nothing that came since."""

from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from dolphin_realtime.scans.files import scan_path, to_bytes, write_scan
from dolphin_realtime.scans.merge import merge_day
from dolphin_realtime.scans.retention import NotHeld, clear, verified
from tests.scans import make_scan, walk
from tests.unit.realtime.test_archive import DAY, day

__all__ = ["day"]


def test_only_a_verified_old_folder_is_cleared(tmp_path):
    scans, archive = tmp_path / "scans", tmp_path / "archive"
    days = [f"2024-08-{d:02d}" for d in (5, 6, 7, 8)]
    for n, name in enumerate(days):
        for scan in walk(3):
            scan = msgspec.structs.replace(
                scan, timestamp_us=scan.timestamp_us + (n - 2) * 86_400_000_000
            )
            write_scan(scans, scan)
        merge_day(scans / name, archive / f"{name}.parquet")
    altered = min((scans / days[1]).iterdir())
    other = walk(3)[0]
    other = msgspec.structs.replace(other, timestamp_us=other.timestamp_us - 86_400_000_000)
    other = msgspec.structs.replace(other, prices=[5.0] * 12)
    altered.write_bytes(to_bytes(other))
    cleared = clear(scans, archive, 1)
    assert cleared.removed == [days[0]]
    assert "not in the archive as it is" in cleared.kept[days[1]]
    assert sorted(p.name for p in scans.iterdir()) == days[1:]
    assert clear(scans, archive, 0).removed == []


def test_what_is_not_held_stays(day, tmp_path):
    folder, archive, scans = day
    with pytest.raises(NotHeld, match="not archived"):
        verified(folder, archive)
    merge_day(folder, archive)
    assert len(verified(folder, archive)) == 40
    (folder / "notes.txt").write_text("of a person")
    with pytest.raises(NotHeld, match="does not know of it"):
        verified(folder, archive)
    (folder / "notes.txt").unlink()
    wider = pa.ipc.open_file(to_bytes(scans[0])).read_all().append_column("volumes", [[1.0]])
    with pa.ipc.new_file(folder / "scan_000001_060100.arrow", wider.schema) as writer:
        writer.write_table(wider)
    with pytest.raises(NotHeld, match="has volumes, which the archive does not keep"):
        verified(folder, archive)


def test_a_file_that_cannot_be_read_is_never_taken_for_none(day, monkeypatch):
    folder, archive, _ = day
    victim = min(folder.iterdir())
    read = Path.read_bytes

    def failing(path):
        if path == victim:
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    merged = merge_day(folder, archive)
    assert (merged.rows, merged.unread, merged.left_out) == (39, 1, {})
    with pytest.raises(OSError, match="Input/output"):
        verified(folder, archive)
    monkeypatch.undo()
    assert merge_day(folder, archive).added == 1


def test_a_file_that_comes_while_a_folder_is_cleared_stays(tmp_path, monkeypatch):
    scans, archive = tmp_path / "scans", tmp_path / "archive"
    for n in (0, 5):
        for scan in walk(3):
            scan = msgspec.structs.replace(
                scan, timestamp_us=scan.timestamp_us + n * 86_400_000_000
            )
            write_scan(scans, scan)
    merge_day(scans / DAY, archive / f"{DAY}.parquet")
    unlink = Path.unlink

    def racing(path, **more):
        write_scan(scans, make_scan(999, [1.0] * 12))
        unlink(path, **more)

    monkeypatch.setattr(Path, "unlink", racing)
    cleared = clear(scans, archive, 1)
    assert cleared.removed == []
    assert [p.name for p in (scans / DAY).iterdir()] == [scan_path(scans, make_scan(999, [])).name]
