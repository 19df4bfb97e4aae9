"""Known scan files that were written again under the same name: looked for in slices.

Every known file of the watched days is asked for its time and size, the newest first, a little
at each look: on a share where a question takes a millisecond a whole pass takes minutes. Where
a pass stands is kept on the local disk, so that a new reader goes on with it.
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
"""After a slice of N seconds the share is left alone by the sweep for IDLE_SHARE * N."""
KEEP_S: Final = 5.0
"""How often the place is written down."""
NAME: Final = "sweep.json"


class Place(msgspec.Struct):
    """The file that a pass has come to; names are gone through backwards."""

    day: str = ""
    name: str = ""


class Sweep:
    """Passes over known files.

    Args:
        scan_dir: The scan folder.
        file: Where the place is kept.

    Attributes:
        asked: Files asked for so far.
    """

    def __init__(self, scan_dir: Path, file: Path) -> None:
        self._dir, self._file = scan_dir, file
        self._left: list[tuple[str, str]] = []
        self._next_pass = self._next_slice = 0.0
        self._took_s, self._kept_at = 0.0, 0.0
        self._place: Place | None = _read(file)
        self.asked = 0

    def make_due(self) -> None:
        """Begin a whole pass at the next slice."""
        self._left, self._place = [], None
        self._next_pass = self._next_slice = 0.0

    def slice(self, known: dict[str, dict[str, Stamp]], days: list[str], until: float) -> list[str]:
        """Return the known files of a slice that have another time or size now.

        Args:
            known: Stamps by day and name.
            days: Which days, the newest first.
            until: No longer than this, monotonic.
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
        """Have something to ask for: go on, or begin a pass where one is due."""
        if self._left:
            return True
        if now < self._next_pass:
            return False
        files = [(day, name) for day in reversed(days) for name in sorted(known.get(day, {}))]
        place, self._place = self._place, None
        if place is not None:  # where the reader before this one stood
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
