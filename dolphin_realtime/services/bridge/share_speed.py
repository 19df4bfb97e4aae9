"""How fast the scan folder answers: the reader reports it to the bridge in a small local file.

Measuring and the text belong here. On a slow share files are read later, but none is lost.
"""

import time
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files

NAME: Final = "pace.json"
SLOW_PER_S: Final = 1000.0
"""A share is slow below this many files per second of access time."""
WINDOW: Final = 200
TELL_S: Final = 1.0
YOUNG_S: Final = 10.0


class SpeedReport(msgspec.Struct):
    """The reader's last report: wall time, files per second of access time, files not read yet."""

    at: float
    files_per_s: float
    waiting: int

    @property
    def words(self) -> str:
        """The report as text for `dolphin status`; empty if the share is not slow."""
        if self.files_per_s >= SLOW_PER_S and not self.waiting:
            return ""
        return (
            f"the share is slow: {self.files_per_s:,.0f} files a second, {self.waiting:,} waiting"
        )


class Pace:
    """The access rate: files accessed and the time it took, over about the last WINDOW files."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._n, self._busy_s, self._told_at = 0.0, 0.0, 0.0
        self._is_told = False

    def count(self, n: int, busy_s: float) -> None:
        """Add ``n`` file accesses that took ``busy_s`` seconds."""
        self._n, self._busy_s = self._n + n, self._busy_s + busy_s
        if self._n > WINDOW:
            share = WINDOW / self._n
            self._n, self._busy_s = self._n * share, self._busy_s * share

    def tell(self, waiting: int) -> None:
        """Write a report at most every TELL_S if the share is slow; else remove the old report."""
        now = time.monotonic()
        if now - self._told_at < TELL_S or not self._n:
            return
        told = SpeedReport(time.time(), self._n / max(self._busy_s, 1e-9), waiting)
        if told.words:
            files.replace(self._file, msgspec.json.encode(told))
        elif self._is_told:
            self._file.unlink(missing_ok=True)
        self._told_at, self._is_told = now, bool(told.words)


def said(file: Path) -> str:
    """Return the reader's report as text; empty if there is none from the last YOUNG_S."""
    try:
        told = msgspec.json.decode(file.read_bytes(), type=SpeedReport)
    except (FileNotFoundError, msgspec.DecodeError):
        return ""
    return told.words if time.time() - told.at <= YOUNG_S else ""
