"""Finding known scan files that were rewritten under the same name, in slices.

The time and size of every known file of the watched days are checked, newest first, a few files
at each look: on a share where one stat takes a millisecond a whole pass takes minutes. The
position of a pass is kept on the local disk, so that a new reader continues it.
"""

import time
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files
from dolphin_realtime.scans.ledger import Stamp

SWEEP_S: Final = 1.0
PASS_SHARE: Final = 50.0
"""A pass that took N seconds is made at most every PASS_SHARE * N seconds."""
SLICE_S: Final = 0.02
IDLE_SHARE: Final = 4.0
"""After a slice of N seconds the sweep pauses for IDLE_SHARE * N seconds."""
KEEP_S: Final = 5.0
"""How often the position is saved."""
NAME: Final = "sweep.json"


class Place(msgspec.Struct):
    """The position of a pass: the next file; names are checked in descending order."""

    day: str = ""
    name: str = ""


class Sweep:
    """Passes over known files.

    Args:
        scan_dir: The scan folder.
        file: Where the position is saved.

    Attributes:
        asked: Number of files checked so far.
    """

    def __init__(self, scan_dir: Path, file: Path) -> None:
        self._dir, self._file = scan_dir, file
        self._left: list[tuple[str, str]] = []
        self._next_pass = self._next_slice = 0.0
        self._took_s, self._kept_at = 0.0, 0.0
        self._place: Place | None = _read(file)
        self.asked = 0

    def make_due(self) -> None:
        """Start a new pass with the next slice."""
        self._left, self._place = [], None
        self._next_pass = self._next_slice = 0.0

    def slice(self, known: dict[str, dict[str, Stamp]], days: list[str], until: float) -> list[str]:
        """Return the known files of a slice whose time or size has changed.

        Args:
            known: Stamps by day and name.
            days: The days to check, newest first.
            until: When to stop, monotonic.
        """
        now = time.monotonic()
        if now < self._next_slice or not self._begin(known, days, now):
            return []
        until = min(until, now + SLICE_S)
        found, n_asked = [], 0
        while self._left:
            day, name = self._left.pop()
            if self._is_other(day, name, known):
                found.append(f"{day}/{name}")
            n_asked += 1
            if time.monotonic() >= until:
                break
        took_s = time.monotonic() - now
        self.asked += n_asked
        self._took_s += took_s
        self._next_slice = now + (1.0 + IDLE_SHARE) * took_s if self._left else 0.0
        if not self._left:
            self._next_pass = now + max(SWEEP_S, PASS_SHARE * self._took_s)
        self._keep(now)
        return found

    def _begin(self, known: dict[str, dict[str, Stamp]], days: list[str], now: float) -> bool:
        """Continue or begin a pass, if it is time; return whether there are files to check."""
        if self._left:
            return True
        if now < self._next_pass:
            return False
        files = [(day, name) for day in reversed(days) for name in sorted(known.get(day, {}))]
        place, self._place = self._place, None
        if place is not None:  # continue where the previous reader stopped
            files = [file for file in files if file <= (place.day, place.name)] or files
        self._left, self._took_s = files, 0.0
        return bool(files)

    def _is_other(self, day: str, name: str, known: dict[str, dict[str, Stamp]]) -> bool:
        try:
            stat = (self._dir / day / name).stat()
        except OSError:  # gone, or a link that leads nowhere
            return False
        before = known.get(day, {}).get(name)
        return before is not None and before != (stat.st_mtime_ns, stat.st_size)

    def _keep(self, now: float) -> None:
        if not self._left:
            if self._kept_at:
                self._file.unlink(missing_ok=True)
                self._kept_at = 0.0
        elif now - self._kept_at > KEEP_S:
            day, name = self._left[-1]
            files.replace(self._file, msgspec.json.encode(Place(day, name)))
            self._kept_at = now


def _read(file: Path) -> Place | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Place)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
