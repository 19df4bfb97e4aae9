"""The bridge's reader on a share that is slow, coarse, odd and failing: found, never taken for hung.

`SHARE_FILES=30000 SHARE_S=60` is the long proof (make prove-share); it prints the table.
"""

import os
import threading
import time

import pytest

from dolphin_realtime.scans.files import to_bytes
from dolphin_realtime.services.bridge import share_speed as pace
from tests.share.feed import SCANS, fill, mounted, put, run

N_FILES = int(os.environ.get("SHARE_FILES", "3000"))
SECONDS = float(os.environ.get("SHARE_S", "13"))
LATENCIES = (0.1, 0.3, 1.0, 2.0) if "SHARE_FILES" in os.environ else (2.0,)
WITHIN_S = {0.1: 2.0, 0.3: 2.0, 1.0: 2.0, 2.0: 5.0}


@pytest.fixture
def places(tmp_path):
    source, ledger = tmp_path / "source", tmp_path / "run" / "seen"
    return source, ledger, fill(source, ledger, N_FILES), tmp_path / "share"


@pytest.fixture
def few(tmp_path):
    source, ledger = tmp_path / "source", tmp_path / "run" / "seen"
    return source, ledger, fill(source, ledger, 40), tmp_path / "share"


@pytest.mark.parametrize("latency_ms", LATENCIES)
def test_a_new_scan_is_found_on_a_slow_share_and_the_reader_is_not_given_up(places, latency_ms):
    source, ledger, day, mount = places
    with mounted(source, mount, latency_ms=latency_ms) as share:
        seen = run(share, source, ledger, day, SECONDS)
    late = ", ".join(f"{x:.2f}" for x in seen.late)
    print(f"\n{latency_ms} ms a call, {N_FILES:,} files: {len(seen.late)} of {seen.put} found after "
          f"{late} s; given up {seen.overdue} times; CPU {seen.cpu_share:.1%} of a core")  # fmt: skip
    assert seen.overdue == 0
    assert len(seen.late) >= seen.put - 1
    assert max(seen.late) < WITHIN_S[latency_ms] * 4, "the goal itself is a figure, not a test"


def test_a_slow_share_is_said_with_its_pace(few):
    source, ledger, day, mount = few
    with mounted(source, mount, latency_ms=3.0) as share:
        run(share, source, ledger, day, 6.0, every_s=1.0)
        assert "files a second" in pace.said(ledger.with_name(pace.NAME))


def test_errors_that_pass_are_none(few, tmp_path):
    source, ledger, day, mount = few
    flag = tmp_path / "errors"
    with mounted(source, mount, errors=str(flag)) as share:
        flag.touch()
        threading.Timer(2.5, flag.unlink).start()
        seen = run(share, source, ledger, day, 8.0, every_s=2.0)
    assert seen.overdue == 0
    assert seen.reasons == []
    assert len(seen.late) >= seen.put - 1


def test_a_file_that_something_else_holds_is_waited_for(few, tmp_path):
    source, ledger, day, mount = few
    lock = tmp_path / "lock"
    lock.write_text("scan_500000_120000.arrow")
    with mounted(source, mount, lock=str(lock)) as share:
        threading.Timer(5.0, lambda: lock.write_text("")).start()
        seen = run(share, source, ledger, day, 11.0, every_s=60.0)
    assert seen.reasons == []
    assert len(seen.late) == 1
    assert seen.late[0] > 2.0


def test_times_of_two_seconds_and_names_in_capitals(few):
    source, ledger, day, mount = few
    with mounted(source, mount, tick_s=2.0, capitals=True) as share:
        seen = run(share, source, ledger, day, 9.0, every_s=0.5)
    assert len(seen.late) >= seen.put - 1
    assert max(seen.late) < 5.0


def test_a_file_that_is_copied_with_zeros_first_is_read_when_it_is_whole(few):
    source, ledger, day, mount = few
    data = to_bytes(SCANS[1])
    path = source / day / "scan_400000_110000.arrow"

    def copy():
        with path.open("r+b", buffering=0) as f:
            for start in range(0, len(data), len(data) // 5):
                time.sleep(0.4)
                f.seek(start)
                f.write(data[start : start + len(data) // 5])

    with mounted(source, mount) as share:
        path.write_bytes(bytes(len(data)))
        threading.Thread(target=copy).start()
        seen = run(share, source, ledger, day, 6.0, every_s=60.0)
    assert seen.reasons == []
    assert put(source, day, 1)
