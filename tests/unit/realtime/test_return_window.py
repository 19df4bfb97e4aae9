"""The window behind a scan's eigenvalues, and judging scan files."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from dolphin_realtime.model.market.return_window import ReturnWindow, eigenvalues
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.scans.judge import judge_files
from dolphin_realtime.services.scanner.last_scan import LastScan, last_scan
from tests.scans import walk

ROOT = Path(__file__).parents[3]
SCANS = walk(12)


def window(closes, n=240, least=3):
    made = ReturnWindow(n, least)
    for asset, prices in closes.items():
        for minute, price in enumerate(prices):
            made.add(asset, minute, price)
    return made


def test_an_asset_is_ready_with_enough_closes_in_a_row():
    made = window({"A": [1, 2, 3, 4], "B": [1, 2, 0, 4], "C": [1, 2, 3]})
    assert made.ready(3, ["C", "B", "A"]) == ["A"]
    assert made.ready(2, ["C", "A"]) == []
    made.add("C", 3, 5.0)
    assert made.ready(3, ["C", "A"]) == ["C", "A"]


def test_the_spectrum_is_that_of_the_longest_window_that_all_have():
    rng = np.random.default_rng(3)
    paths = np.exp(rng.normal(0, 1e-3, (50, 3)).cumsum(axis=0))
    closes = {name: list(paths[:, n]) for n, name in enumerate("ABC")}
    closes["C"][:10] = [float("nan")] * 10
    made = window(closes)
    expected = eigenvalues(np.diff(np.log(paths[10:]), axis=0))
    assert made.spectrum(49, ["A", "B", "C"]) == pytest.approx(expected)
    assert sum(expected) == pytest.approx(3)
    short = window(closes, n=20)
    assert short.spectrum(49, ["A", "B", "C"]) == pytest.approx(
        eigenvalues(np.diff(np.log(paths[29:]), axis=0))
    )


def test_a_halted_asset_is_carried_a_minute_at_a_time():
    made = window({"A": [1, 2, 3, 4], "B": [1, 2, 3]})
    made.carry(["A", "B", "C"], 3)
    assert made.ready(3, ["A", "B", "C"]) == ["A", "B"]
    assert made.close("B", 3) == 3
    made.carry(["B"], 5)
    assert not made.has("B", 5), "a hole is not filled"


def test_what_no_window_reaches_and_who_is_gone_are_forgotten():
    made = window({"A": [1, 2, 3, 4], "B": [1, 2, 3, 4]})
    made.forget(2, {"A"})
    assert [made.has("A", m) for m in range(4)] == [False, False, True, True]
    assert not made.has("B", 3)


def test_a_scanner_goes_on_after_the_last_readable_scan(tmp_path):
    assert last_scan(tmp_path, 2**62) == LastScan()
    for scan in SCANS[:3]:
        path = write_scan(tmp_path, scan)
    assert last_scan(tmp_path, 2**62) == LastScan(3, SCANS[2].timestamp_us)
    path.write_bytes(b"ARROW1 and no more")
    assert last_scan(tmp_path, 2**62) == LastScan(2, SCANS[1].timestamp_us)


def test_good_files_are_good_and_each_fault_is_named(tmp_path):
    for scan in SCANS:
        write_scan(tmp_path, scan)
    good = judge_files(tmp_path)
    assert (good.files, good.scans, good.wrong, good.warnings) == (12, 12, [], [])
    assert good.gaps == 0
    faults = {
        "half": lambda p: p.write_bytes(p.read_bytes()[:-20]),
        "names twice": lambda p: _write(
            p, SCANS[4], assets=[SCANS[3].assets[0]] * len(SCANS[3].assets)
        ),
        "not an Arrow file": lambda p: p.write_bytes(b"hello"),
    }
    paths = sorted(tmp_path.rglob("*.arrow"))
    for n, spoil in enumerate(faults.values()):
        spoil(paths[n + 2])
    found = judge_files(tmp_path)
    assert len(found.wrong) == 3
    assert found.scans == 9
    odd = {
        "eigenvalues of": {"eigenvalues": SCANS[8].eigenvalues[:-2]},
        "prices are usable": {"prices": [None] * len(SCANS[9].prices)},
        "names that are none": {"assets": ["<b>", *SCANS[10].assets[1:]]},
    }
    for n, change in enumerate(odd.values()):
        _write(paths[n + 8], SCANS[n + 8], **change)
    said = " ".join(judge_files(tmp_path).warnings)
    assert all(words in said for words in odd), said
    paths[11].rename(paths[11].with_name("eleven.arrow"))
    assert "the path is not" in " ".join(judge_files(tmp_path).warnings)


def _write(path, scan, **changes):
    written = write_scan(path.parents[1], msgspec.structs.replace(scan, **changes))
    if written != path:  # another scan's name: its number and time are in the path
        written.replace(path)


def test_the_writer_of_the_document_writes_what_the_document_says(tmp_path):
    text = (ROOT / "docs/scan-format.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    scope = {}
    exec(code, scope)
    returns = np.random.default_rng(1).normal(0, 1e-3, (60, 4))
    for number in (1, 2, 3):
        scope["write_scan"](tmp_path, number, ["A", "B", "C", "D"], [1.0, 2.0, 3.0, 4.0], returns)
    found = judge_files(tmp_path)
    assert (found.scans, found.wrong, found.warnings) == (3, [], [])


def test_one_that_has_less_than_nearly_all_does_not_shorten_the_window_of_all():
    whole = [float(n) for n in range(1, 51)]
    made = window(
        {
            "A": whole,
            "B": whole,
            "NEW": [0] * 40 + whole[40:],
            "HOLE": [*whole[:45], 0, *whole[46:]],
        }
    )
    assert made.ready(49, ["A", "B", "HOLE", "NEW"]) == ["A", "B"]
    assert [a for a in ("A", "HOLE", "NEW") if made.lacks(a, 49)] == ["HOLE"]
    made.add("HOLE", 45, 46.0)
    assert made.ready(49, ["A", "B", "HOLE", "NEW"]) == ["A", "B", "HOLE"]
    assert not made.lacks("HOLE", 49)


def test_a_scan_from_the_future_is_not_gone_on_after(tmp_path):
    for scan in SCANS[:3]:
        write_scan(tmp_path, scan)
    assert last_scan(tmp_path, SCANS[1].timestamp_us) == LastScan(
        SCANS[1].scan_number, SCANS[1].timestamp_us
    )
