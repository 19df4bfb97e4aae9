"""What the kernel tells the bridge's reader, and what listing still has to find."""

import os
import shutil
import threading

import pytest

from dolphin_realtime.scans.files import scan_path, to_bytes, write_scan
from dolphin_realtime.services.bridge import notices as told_by_kernel
from dolphin_realtime.services.bridge.notices import Notices
from dolphin_realtime.services.bridge.reader import Reader, Request, answer
from tests.scans import walk

SCANS = walk(12)
SOON = Request(wait_s=5.0, poll_s=0.01)


@pytest.fixture
def notices(tmp_path):
    notices = Notices(tmp_path / "scans")
    yield notices
    notices.close()


@pytest.fixture
def reader(tmp_path, notices):
    """A reader that has seen one scan in its folder, and then one of which the kernel told."""
    reader = Reader(tmp_path / "scans", tmp_path / "ledger", notices)
    for scan in SCANS[:2]:
        write_scan(tmp_path / "scans", scan)
        assert numbers(answer(reader, SOON)) == [scan.scan_number]
    assert reader.is_told
    return reader


def numbers(found):
    return [one.scan.scan_number for one in found]


def test_a_file_that_is_told_is_read_without_listing_its_folder(tmp_path, reader, monkeypatch):
    monkeypatch.setattr(reader._watch, "new_names", None)
    write_scan(tmp_path / "scans", SCANS[2])
    assert numbers(reader.look(told=reader.wait(5.0))) == [SCANS[2].scan_number]


def test_it_is_found_once(tmp_path, reader):
    path = write_scan(tmp_path / "scans", SCANS[2])
    assert numbers(answer(reader, SOON)) == [SCANS[2].scan_number]
    path.write_bytes(path.read_bytes())
    assert reader.wait(5.0) == []  # a known name: the sweep compares its time and size


def test_a_file_that_grows_under_its_name_is_read_when_it_is_closed(tmp_path, reader):
    data, path = to_bytes(SCANS[2]), scan_path(tmp_path / "scans", SCANS[2])
    with path.open("wb", buffering=0) as file:
        file.write(data[:500])
        assert answer(reader, Request(wait_s=0.1, poll_s=0.01)) == []
        file.write(data[500:])
    assert numbers(answer(reader, SOON)) == [SCANS[2].scan_number]
    assert reader.is_told


def test_a_file_of_which_the_kernel_did_not_tell_ends_the_trust_until_it_tells_of_one(
    tmp_path, reader
):
    elsewhere = tmp_path / "elsewhere.arrow"
    elsewhere.write_bytes(to_bytes(SCANS[2]))
    os.link(elsewhere, scan_path(tmp_path / "scans", SCANS[2]))  # as over a network: no notice
    assert numbers(answer(reader, SOON)) == [SCANS[2].scan_number]
    assert not reader.is_told
    write_scan(tmp_path / "scans", SCANS[3])
    assert numbers(answer(reader, SOON)) == [SCANS[3].scan_number]
    assert reader.is_told


def test_a_folder_that_goes_and_comes_again_is_watched_again(tmp_path, reader, notices):
    shutil.rmtree(tmp_path / "scans")
    assert answer(reader, Request(wait_s=0.1, poll_s=0.01)) == []
    for scan in SCANS[2:4]:
        write_scan(tmp_path / "scans", scan)
        assert numbers(answer(reader, SOON)) == [scan.scan_number]
    assert notices.is_watching
    assert reader.is_told


def test_without_notices_the_folder_is_listed(tmp_path, monkeypatch):
    def refused():
        raise OSError(24, "too many inotify instances")

    monkeypatch.setattr(told_by_kernel, "INotify", refused)
    reader = Reader(tmp_path / "scans", tmp_path / "ledger", Notices(tmp_path / "scans"))
    for scan in SCANS[:3]:
        write_scan(tmp_path / "scans", scan)
        assert numbers(answer(reader, SOON)) == [scan.scan_number]
    assert not reader.is_told


def test_a_temporary_file_that_is_closed_before_its_rename_causes_no_listing(
    tmp_path, reader, monkeypatch
):
    part = scan_path(tmp_path / "scans", SCANS[2]).with_suffix(".part")
    part.write_bytes(to_bytes(SCANS[2]))
    renaming = threading.Timer(0.1, lambda: part.rename(part.with_suffix(".arrow")))
    monkeypatch.setattr(reader._watch, "new_names", None)
    renaming.start()
    assert numbers(reader.look(told=reader.wait(0.9))) == [SCANS[2].scan_number]


def test_a_day_that_is_moved_away_and_made_again_is_watched_again(tmp_path, reader):
    day = scan_path(tmp_path / "scans", SCANS[0]).parent
    day.rename(tmp_path / "elsewhere")
    for scan in SCANS[2:5]:
        write_scan(tmp_path / "scans", scan)
        assert numbers(answer(reader, SOON)) == [scan.scan_number]
    assert reader.is_told


def test_what_is_put_into_a_day_long_gone_is_not_told(tmp_path, reader, notices):
    old = tmp_path / "scans" / "2024-08-01"
    old.mkdir()
    notices.follow(["2024-08-01", "2024-08-07"])
    notices.follow(["2024-08-07"])
    (old / "scan_000001_000000.arrow").write_bytes(to_bytes(SCANS[5]))
    write_scan(tmp_path / "scans", SCANS[2])
    assert [path.split("/")[0] for path in reader.wait(5.0)] in ([], ["2024-08-07"])
    assert len(notices._days) == 1


def test_a_listing_is_never_long_overdue_however_fast_files_are_told(tmp_path, reader):
    reader._listed_at -= 5.0
    write_scan(tmp_path / "scans", SCANS[2])
    assert reader.wait(5.0) == []
    assert numbers(reader.look()) == [SCANS[2].scan_number]


def test_more_files_than_can_be_remembered_are_listed(tmp_path, reader, monkeypatch):
    monkeypatch.setattr(told_by_kernel, "_MAX_TOLD", 2)
    for scan in SCANS[2:8]:
        write_scan(tmp_path / "scans", scan)
    assert reader.wait(5.0) == []
    assert numbers(reader.look()) == [scan.scan_number for scan in SCANS[2:8]]
