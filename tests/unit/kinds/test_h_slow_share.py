"""Kind H, slow is taken for hung: new names first, known files in slices; tests/share has the real mount."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.services.bridge.reader import Reader
from dolphin_realtime.services.bridge.sweep import KEEP_S, NAME, Sweep
from tests.scans import walk

KNOWN = [f"scan_{n:06d}_000000.arrow" for n in range(2000)]
DAY = "2025-05-12"


@pytest.fixture
def slow(monkeypatch, tmp_path):
    """A clock that moves by what each question costs; nobody waits."""
    clock, asked = [1000.0], []

    def stat(path, **_):
        clock[0] += slow.cost_s
        asked.append(path.name)
        return SimpleNamespace(st_mtime_ns=0, st_size=7)

    def slow():
        return clock, asked

    slow.cost_s = 0.002
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Path, "stat", stat)
    return slow


def known():
    return {DAY: dict.fromkeys(KNOWN, (0, 7))}


@pytest.mark.parametrize("cost_s", [0.0005, 0.002, 0.05])
def test_a_pass_goes_on_over_many_requests_and_asks_for_each_file_once(slow, tmp_path, cost_s):
    slow.cost_s = cost_s
    clock, asked = slow()
    sweep = Sweep(tmp_path, tmp_path / NAME)
    while len(asked) < len(KNOWN):
        before = clock[0]
        assert sweep.slice(known(), [DAY], clock[0] + 0.5) == []
        assert clock[0] - before <= 0.02 + cost_s + 1e-9
        clock[0] += 0.05
    assert sorted(asked) == KNOWN


def test_a_new_child_goes_on_where_the_one_before_stood(slow, tmp_path):
    clock, asked = slow()
    sweep = Sweep(tmp_path, tmp_path / NAME)
    while len(asked) < 1000:
        sweep.slice(known(), [DAY], clock[0] + 0.5)
        clock[0] += KEEP_S
    stood = asked[-1]
    asked.clear()
    Sweep(tmp_path, tmp_path / NAME).slice(known(), [DAY], clock[0] + 0.5)
    assert stood >= asked[0] >= KNOWN[KNOWN.index(stood) - 20]


def test_a_new_scan_comes_before_known_files_and_without_a_question_about_them(
    tmp_path, monkeypatch
):
    scans = walk(40)
    for scan in scans[:-1]:
        write_scan(tmp_path, scan)
    reader = Reader(tmp_path, tmp_path.with_name("ledger"))
    while reader.look():
        pass
    reader.sweep_next()
    new, asked, stat = write_scan(tmp_path, scans[-1]), [], Path.stat

    def counted(path, **options):
        asked.append(path.name)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", counted)
    assert [f.scan.scan_number for f in reader.look()] == [40]
    assert [name for name in asked if name.endswith(".arrow")] == [new.name]
