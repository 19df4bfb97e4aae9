"""One process at most reads the scan folder, also while it cannot be killed."""

import os
import subprocess
import sys

import pytest

from dolphin_realtime.model.errors import ShareBusy
from dolphin_realtime.scans.retention import clear
from dolphin_realtime.scans.share_lock import share_lock

HOLD = """
import sys
from pathlib import Path
from dolphin_realtime.scans.share_lock import share_lock
with share_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_reader_is_told_who_holds_it(tmp_path, holder):
    with pytest.raises(ShareBusy, match=f"process {holder.pid} reads"), share_lock(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with share_lock(tmp_path):
        assert (tmp_path / "share.lock").read_text() == str(os.getpid())


def test_it_is_let_go_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), share_lock(tmp_path):
        raise ZeroDivisionError
    with share_lock(tmp_path):
        pass


def test_a_folder_from_which_nothing_goes_is_not_looked_at(tmp_path, monkeypatch):
    def hangs(_):
        raise AssertionError("the share was touched")

    monkeypatch.setattr("dolphin_realtime.scans.retention.day_folders", hangs)
    assert clear(tmp_path, tmp_path, 0).removed == []
