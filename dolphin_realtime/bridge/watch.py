"""Finding new scan files in a folder, cheaply: what changed since the last look.

Looking at names, times and sizes belongs here; reading the files does not (reader.py).
Only the two newest day folders are watched. A file is new when its name, modification
time or size is.
"""

import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from dolphin_realtime.scan_ledger import KEPT_DAYS, Stamp, day_of

WATCHED_DAYS: Final = 2
SWEEP_S: Final = 1.0
SWEEP_SHARE: Final = 200.0
"""A full sweep of N seconds happens at most every SWEEP_SHARE * N seconds."""
RACY_NS: Final = 20_000_000
"""A folder changed this recently may change again within the same clock tick."""


def _is_day(name: str) -> bool:
    """Return whether a folder's name is a day that may hold scans: not beyond the day after next."""
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return False
    return day.isoformat() == name and day <= datetime.now(UTC).date() + timedelta(days=2)


def _is_scan_name(name: str) -> bool:
    return name[0] != "." and name.endswith(".arrow") and name.isprintable()


class FolderWatch:
    """The scan folder as last seen.

    Attributes:
        seen: Files that were handled, with their stamps.
    """

    def __init__(self, scan_dir: Path, seen: dict[str, Stamp]) -> None:
        self._dir = scan_dir
        self.seen = seen
        self._day_changed: dict[str, int] = {}
        self._next_sweep = 0.0
        self._root_mtime = 0

    def sweep_next(self) -> None:
        """Make the next look a full one: not everything found was taken."""
        self._next_sweep = 0.0

    def changed(self) -> dict[str, Stamp]:
        """Return the new files' relative paths and stamps."""
        now = time.monotonic()
        is_sweep = now >= self._next_sweep
        found: dict[str, Stamp] = {}
        for day in self._days(is_sweep):
            try:
                found |= self._look(day, is_sweep)
            except FileNotFoundError:
                self._day_changed.pop(day, None)
        if is_sweep:
            took = time.monotonic() - now
            self._next_sweep = now + max(SWEEP_S, SWEEP_SHARE * took)
        return found

    def _days(self, is_sweep: bool) -> list[str]:
        if not is_sweep and self._day_changed and not self._root_changed():
            return list(self._day_changed)
        try:
            with os.scandir(self._dir) as entries:
                days = sorted(e.name for e in entries if _is_day(e.name) and e.is_dir())
        except FileNotFoundError:
            return []
        newest = days[-WATCHED_DAYS:]
        if set(newest) - self._day_changed.keys():
            self._forget()
        self._day_changed = {d: self._day_changed.get(d, 0) for d in newest}
        return newest

    def _forget(self) -> None:
        """Let go of all but the newest days that were seen, whether their folders are there or not."""
        kept = sorted({day_of(path) for path in self.seen})[-KEPT_DAYS:]
        self.seen = {path: stamp for path, stamp in self.seen.items() if day_of(path) in kept}

    def _root_changed(self) -> bool:
        try:
            changed = self._dir.stat().st_mtime_ns
        except FileNotFoundError:
            return True
        before, self._root_mtime = self._root_mtime, changed
        return changed != before or time.time_ns() - changed < RACY_NS

    def _look(self, day: str, is_sweep: bool) -> dict[str, Stamp]:
        folder = self._dir / day
        changed = folder.stat().st_mtime_ns
        if not is_sweep and changed == self._day_changed.get(day):
            return {}
        is_racy = time.time_ns() - changed < RACY_NS
        self._day_changed[day] = 0 if is_racy else changed
        found: dict[str, Stamp] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                if not _is_scan_name(entry.name):
                    continue
                path = f"{day}/{entry.name}"
                known = self.seen.get(path)
                if known is not None and not is_sweep:
                    continue
                try:
                    stat = entry.stat()
                except OSError:  # a link that leads nowhere, or a file that is gone again
                    continue
                stamp = (stat.st_mtime_ns, stat.st_size)
                if stamp != known:
                    found[path] = stamp
        return found
