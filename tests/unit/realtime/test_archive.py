"""The scan archive: merging, facts and gaps, clearing away only what is verified."""

import shutil

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dolphin_realtime.model.errors import ScanFileError
from dolphin_realtime.scans.archive import read_archive, read_simulated, write_archive
from dolphin_realtime.scans.day_facts import find_gaps, read_facts
from dolphin_realtime.scans.days import FOREIGN, ScanDays
from dolphin_realtime.scans.files import to_bytes, write_scan
from dolphin_realtime.scans.merge import merge_day
from dolphin_realtime.scans.retention import clear
from tests.scans import make_scan, walk

DAY = "2024-08-07"


def sourced(scans, source="test"):
    return ((scan, source) for scan in scans)


def rows(path):
    return [(s.epoch, s.scan_number, s.timestamp_us, s.prices) for s in read_archive(path)]


@pytest.fixture
def day(tmp_path):
    """A folder of 40 scans of one day, written in reverse."""
    scans = walk(40)
    for scan in reversed(scans):
        write_scan(tmp_path / "scans", scan)
    return tmp_path / "scans" / DAY, tmp_path / "archive" / f"{DAY}.parquet", scans


def test_a_day_is_sorted_and_each_scan_is_there_once(day):
    folder, archive, scans = day
    merged = merge_day(folder, archive)
    assert (merged.rows, merged.added, merged.left_out) == (40, 40, {})
    assert [s.scan_number for s in read_archive(archive)] == list(range(1, 41))
    again = list(read_archive(archive))
    assert [s.prices for s in again] == [s.prices for s in scans]
    assert [s.assets for s in again] == [s.assets for s in scans]
    assert pq.read_table(archive)["source"].to_pylist()[15].startswith("scan_000016")
    assert pq.ParquetFile(archive).metadata.row_group(0).column(0).compression == "ZSTD"


def test_more_scans_are_added_and_what_was_archived_stays(day):
    folder, archive, scans = day
    write_archive(archive, sourced(scans[:20], "first"))
    other = make_scan(5, [999.0] * 12)
    write_scan(folder.parent, other)
    merged = merge_day(folder, archive)
    assert (merged.rows, merged.added) == (40, 20)
    assert next(s for s in read_archive(archive) if s.scan_number == 5).prices == scans[4].prices
    shutil.rmtree(folder)
    before = archive.read_bytes()
    assert merge_day(folder, archive).rows == 40
    assert archive.read_bytes() == before


def test_what_cannot_be_archived_is_on_record(day):
    folder, archive, scans = day
    (folder / "scan_000099_000000.arrow").write_bytes(b"not arrow")
    (folder / "scan_000100_000000.arrow").write_bytes(to_bytes(scans[3]))
    merge_day(folder, archive)
    left_out = read_facts(archive).left_out
    assert "not an Arrow file" in left_out["scan_000099_000000.arrow"]
    assert left_out["scan_000100_000000.arrow"].startswith("repeats scan_000004")
    (folder / "scan_000101_000000.arrow").write_bytes(b"nor this")
    merge_day(folder, archive)
    assert len(read_facts(archive).left_out) == 3


def test_a_restart_of_ng6_begins_an_epoch(tmp_path):
    scans = [make_scan(n, [1.0 + n] * 12, at_s=60 * i) for i, n in enumerate([7, 8, 9, 1, 2])]
    for scan in scans:
        write_scan(tmp_path, scan)
    merge_day(tmp_path / DAY, tmp_path / "day.parquet")
    assert [(r[0], r[1]) for r in rows(tmp_path / "day.parquet")] == [
        (1, 7), (1, 8), (1, 9), (2, 1), (2, 2)
    ]  # fmt: skip


def test_no_scan_makes_no_archive(tmp_path):
    assert merge_day(tmp_path / "none", tmp_path / "day.parquet").rows == 0
    assert not (tmp_path / "day.parquet").exists()


def test_a_failed_write_leaves_the_old_archive(day):
    folder, archive, scans = day
    merge_day(folder, archive)
    before = archive.read_bytes()

    def breaking():
        yield scans[0], "x"
        raise ScanFileError("gone")

    with pytest.raises(ScanFileError, match="gone"):
        write_archive(archive, breaking())
    assert archive.read_bytes() == before
    assert [p.name for p in archive.parent.iterdir()] == [archive.name]


def test_what_is_simulated_stays_so(tmp_path):
    scans = walk(3)
    scans[1] = msgspec.structs.replace(scans[1], simulated="seeded walk")
    write_archive(tmp_path / "day.parquet", sourced(scans))
    assert read_simulated(tmp_path / "day.parquet") == "seeded walk"
    assert {s.simulated for s in read_archive(tmp_path / "day.parquet")} == {"seeded walk"}


def test_a_nan_and_changing_assets_come_back(tmp_path):
    scans = walk(4)
    scans[1].prices[2] = float("nan")
    scans[2] = msgspec.structs.replace(scans[2], assets=[*scans[2].assets[:-1], "NEW"])
    write_archive(tmp_path / "day.parquet", sourced(scans))
    again = list(read_archive(tmp_path / "day.parquet"))
    assert repr(again[1].prices[2]) == "nan"
    assert [s.assets[-1] for s in again] == ["A11", "A11", "NEW", "A11"]


def test_an_archive_of_other_columns_is_refused(tmp_path):
    path = tmp_path / "day.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(ScanFileError, match=r"day\.parquet"):
        list(read_archive(path))


def test_facts_of_a_sound_day(day):
    folder, archive, _ = day
    merge_day(folder, archive)
    facts = read_facts(archive)
    assert (facts.rows, facts.expected, facts.cadence_s) == (40, 1440, 60.0)
    assert (facts.gaps, facts.incoherent, facts.churn) == ([], 0, 0.0)


def test_incoherent_eigenvalues_and_churn_are_counted(tmp_path):
    scans = walk(6)
    scans[1] = msgspec.structs.replace(scans[1], eigenvalues=[5.0] * 12)
    scans[2] = msgspec.structs.replace(scans[2], eigenvalues=scans[2].eigenvalues[:-1])
    scans[3] = msgspec.structs.replace(
        scans[3], eigenvalues=[float("nan"), *scans[3].eigenvalues[1:]]
    )
    scans[5] = msgspec.structs.replace(scans[5], assets=["NEW", "NEWER", *scans[5].assets[2:]])
    write_archive(tmp_path / "day.parquet", sourced(scans))
    facts = read_facts(tmp_path / "day.parquet")
    assert facts.incoherent == 3
    assert (facts.appeared, facts.vanished) == (["NEW", "NEWER"], ["A00", "A01"])
    assert facts.churn == pytest.approx(4 / 14)


MINUTE = 60_000_000


def test_gaps_and_what_explains_them():
    base = walk(1)[0].timestamp_us
    at = [0, 1, 2, 6, 7, 8, 12, 13, 20]
    times = [base + n * MINUTE for n in at]
    epochs = [1, 1, 1, 1, 1, 1, 2, 2, 2]
    left_out = {"scan_000009_061600.arrow": "half a file", "scan_000009_235900.arrow": "bad"}
    found = find_gaps(times, epochs, MINUTE, left_out)
    assert [(g.seconds / 60, g.cause) for g in found] == [
        (4, None), (4, "NG6 restarted"), (7, "1 files left out")
    ]  # fmt: skip


def test_three_cadences_are_no_gap():
    assert find_gaps([0, MINUTE, 4 * MINUTE], [1, 1, 1], MINUTE, {}) == []


def test_a_late_scan_never_drops_nor_moves_an_archived_one(tmp_path):
    """It stands between 4 and 5, or repeats a number, or would begin an epoch: it is left out."""
    archive, folder = tmp_path / f"{DAY}.parquet", tmp_path / "scans"
    kept = [make_scan(n, [float(n)] * 12, at_s=n * 60) for n in (4, 5, 6)]
    write_archive(archive, sourced(kept))
    before = rows(archive)
    for number, at_s in ((5, 270), (3, 290), (9, 310), (5, 305), (7, 330), (5, 320)):
        write_scan(folder, make_scan(number, [9.0] * 12, at_s=at_s))
    merged = merge_day(folder / DAY, archive)
    assert [r for r in rows(archive) if r in before] == before
    assert merged.added == 0
    assert len(merged.left_out) == 6
    write_scan(folder, make_scan(8, [9.0] * 12, at_s=400))
    assert merge_day(folder / DAY, archive).added == 1
    assert rows(archive)[:3] == before


def test_a_scan_of_another_day_is_left_out_and_said(day):
    folder, archive, _ = day
    other = walk(1)[0]
    other = msgspec.structs.replace(
        other, timestamp_us=other.timestamp_us + 75 * 365 * 86_400_000_000
    )
    (folder / "scan_000041_064100.arrow").write_bytes(to_bytes(other))
    merged = merge_day(folder, archive)
    assert merged.rows == 40
    assert "its timestamp is of 2099" in merged.left_out["scan_000041_064100.arrow"]
    found = ScanDays.of(folder.parent)
    assert len(list(found.scans(DAY))) == 40
    assert found.left_out[DAY] == {FOREIGN: 1}


def test_odd_names_are_no_days(day, tmp_path):
    folder, archive, _ = day
    merge_day(folder, archive)
    for name in ("2025-13-45", f"{DAY}.bak"):
        (folder.parent / name).mkdir()
        (archive.parent / name).mkdir()
    assert ScanDays.of(archive.parent).count(DAY) == 40
    assert clear(folder.parent, archive.parent, 1).kept == {}


def test_debris_of_a_killed_writer_is_cleared(day):
    folder, archive, _ = day
    archive.parent.mkdir(parents=True)
    (archive.parent / f".{archive.name}.99999.part").write_bytes(b"half")
    merge_day(folder, archive)
    assert [p.name for p in archive.parent.iterdir()] == [archive.name]


def test_a_parquet_that_is_no_archive_is_named(tmp_path):
    pq.write_table(pa.table({"scan_number": [1]}), tmp_path / f"{DAY}.parquet")
    for read in (read_facts, lambda p: merge_day(tmp_path / "none", p)):
        with pytest.raises(ScanFileError, match="is missing"):
            read(tmp_path / f"{DAY}.parquet")


def test_days_of_every_shape(day, tmp_path):
    folder, archive, scans = day
    merge_day(folder, archive)
    single = tmp_path / "one.arrow"
    single.write_bytes(to_bytes(scans[0]))
    for path, n in (
        (folder.parent, 40),
        (archive.parent, 40),
        (archive, 40),
        (folder, 40),
        (single, 1),
    ):
        found = ScanDays.of(path)
        assert found.days == [DAY]
        assert found.count(DAY) == n
        assert [s.timestamp_us for s in found.scans(DAY)] == [s.timestamp_us for s in scans[:n]]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanFileError, match="no scan in it"):
        ScanDays.of(tmp_path / "empty")
