"""How fast the scan folder answers, told by the reader to the bridge through a small local file.

Measuring and wording belong here; the files of a slow share are only read later, none is lost.
"""

import time
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files

NAME: Final = "pace.json"
SLOW_PER_S: Final = 1000.0
"""A share that answers fewer files than this in a second of asking is slow."""
WINDOW: Final = 200
TELL_S: Final = 1.0
YOUNG_S: Final = 10.0


class Told(msgspec.Struct):
    """What the reader said last: wall time, files a second of asking, files not read yet."""

    at: float
    files_per_s: float
    waiting: int

    @property
    def words(self) -> str:
        """The same for `dolphin status`; empty where nothing is slow."""
        if self.files_per_s >= SLOW_PER_S and not self.waiting:
            return ""
        return (
            f"the share is slow: {self.files_per_s:,.0f} files a second, {self.waiting:,} waiting"
        )


class Pace:
    """Files asked for and the time that took, over the last WINDOW of them or so."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._n, self._busy_s, self._told_at = 0.0, 0.0, 0.0
        self._is_told = False

    def count(self, n: int, busy_s: float) -> None:
        """Take that ``n`` files were asked for in so many seconds."""
        self._n, self._busy_s = self._n + n, self._busy_s + busy_s
        if self._n > WINDOW:
            share = WINDOW / self._n
            self._n, self._busy_s = self._n * share, self._busy_s * share

    def tell(self, waiting: int) -> None:
        """Write how it goes, now and then, where it is slow; nothing where it is not."""
        now = time.monotonic()
        if now - self._told_at < TELL_S or not self._n:
            return
        told = Told(time.time(), self._n / max(self._busy_s, 1e-9), waiting)
        if told.words:
            files.replace(self._file, msgspec.json.encode(told))
        elif self._is_told:
            self._file.unlink(missing_ok=True)
        self._told_at, self._is_told = now, bool(told.words)


def said(file: Path) -> str:
    """Return in words that the share is slow; empty where the reader has not said so just now."""
    try:
        told = msgspec.json.decode(file.read_bytes(), type=Told)
    except (FileNotFoundError, msgspec.DecodeError):
        return ""
    return told.words if time.time() - told.at <= YOUNG_S else ""
