"""The lines of the bridge's ledger: which scan files it has handled, and how.

It has one file for each day of scans. Reading it belongs here, for code that must know what came
in without touching the scan folder, which may be a share that hangs. The bridge writes it.
"""

from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files
from dolphin_realtime.infra.day_files import day_files

Stamp = tuple[int, int]
"""(modification time in ns, size in bytes)"""
SUFFIX: Final = ".jsonl"
KEPT_DAYS: Final = 8
"""Days that are kept: if a day is not archived within a week, an operator must act."""


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One file that was handled: published with its sequence number, or refused with a reason."""

    path: str
    stamp: Stamp
    epoch: int = 0
    scan_number: int = -1
    timestamp_us: int = 0
    seq: int = 0
    reason: str = ""

    @property
    def day(self) -> str:
        """The day folder that the file lies in."""
        return day_of(self.path)


def day_of(path: str) -> str:
    """Return the day folder of a file's path below the scan folder."""
    return path.split("/", maxsplit=1)[0]


def read_lines(path: Path) -> list[Line]:
    """Return the lines of one day, without unreadable ones; a missing file has no lines."""
    return [line for line in files.read_lines(path, Line) if line is not None]


def ledger_folder(run_dir: Path) -> Path:
    """Return where a stack's bridge keeps its ledger."""
    return run_dir / "bridge" / "seen"


def ledger_days(folder: Path) -> dict[str, Path]:
    """Return the files of a ledger by day, sorted."""
    return day_files(folder, SUFFIX)


def read_stamps(folder: Path) -> dict[str, Stamp]:
    """Return the stamp of every file in a ledger."""
    days = ledger_days(folder).values()
    return {line.path: line.stamp for path in days for line in read_lines(path)}
