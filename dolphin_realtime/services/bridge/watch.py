"""Finding new scan files in a folder cheaply: names that were not there at the last look.

Listing names belongs here, without a stat of any known file. Files rewritten under a known name
are found in sweep.py, files are read in reader.py. The two newest day folders are watched, the
older one less often. A share may be slow and its modification times coarse: a look that runs out
of time is continued at the next one.
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.scans.ledger import KEPT_DAYS, Stamp

WATCHED_DAYS: Final = 2
ROOT_S: Final = 30.0
"""How often the days are listed while the folder's modification time does not change."""
NAMES_S: Final = 5.0
"""How often a day's names are listed while its modification time does not change."""
OLDER_S: Final = 1.0
"""How often the older day is checked."""
MIDNIGHT_S: Final = 300.0
"""For this long after a new day's folder appeared the older day is checked just as often."""
IDLE_SHARE: Final = 9.0
"""Least pause between listings without a change of time, as a multiple of the last duration."""
ERRORS_S: Final = 5.0
CHUNK: Final = 512
TICK_S: Final = 0.02
"""Within this time of a change a further change may leave the modification time as it is."""
COARSE_S: Final = 2.1
"""The same for shares whose modification times are whole seconds, or two."""


def _is_day(name: str) -> bool:
    """Return whether a folder's name is a day, at most two days in the future."""
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return False
    return day.isoformat() == name and day <= datetime.now(UTC).date() + timedelta(days=2)


def is_scan_name(name: str) -> bool:
    """Return whether this is the name of a scan file; some shares return names in capitals."""
    return name[0] != "." and name[-6:].lower() == ".arrow" and name.isprintable()


class _Day(msgspec.Struct):
    """The last seen state of a watched day folder; instants are monotonic.

    Attributes:
        changed: Its modification time.
        seen_at: When that time was first seen.
        listed_at: When the last listing began; ``took_s`` is how long it took.
        names: The rest of an unfinished listing.
    """

    appeared_at: float
    looked_at: float = -1e9
    changed: int = -1
    seen_at: float = -1e9
    listed_at: float = -1e9
    took_s: float = 0.0
    names: Iterator[str] | None = None

    def is_due(self, now: float) -> bool:
        """Return whether its names must be listed: it changed, or may have changed unnoticed."""
        if self.names is not None or self.listed_at < self.seen_at:
            return True
        tick_s = COARSE_S if self.changed % 1_000_000_000 == 0 else TICK_S
        is_settled = self.listed_at >= self.seen_at + tick_s
        pause_s = max(IDLE_SHARE * self.took_s, NAMES_S if is_settled else 0.0)
        return now >= self.listed_at + self.took_s + pause_s


class FolderWatch:
    """The last seen state of the scan folder.

    Attributes:
        known: Handled names with their stamps, by day.
    """

    def __init__(self, scan_dir: Path, seen: dict[str, Stamp]) -> None:
        self._dir = scan_dir
        self.known: dict[str, dict[str, Stamp]] = {}
        for path, stamp in seen.items():
            self.remember(path, stamp)
        self._days: dict[str, _Day] = {}
        self._root_mtime, self._root_at = 0, -1e9
        self._failing_since: float | None = None
        self._active = ""

    def remember(self, path: str, stamp: Stamp) -> None:
        """Remember a file that was handled."""
        day, _, name = path.partition("/")
        self.known.setdefault(day, {})[name] = stamp

    def knows(self, path: str) -> bool:
        """Return whether a file was handled."""
        day, _, name = path.partition("/")
        return name in self.known.get(day, ())

    @property
    def days(self) -> list[str]:
        """The watched days, the newest first."""
        return list(self._days)

    def new_names(self, until: float) -> list[str]:
        """Return new paths; what cannot be listed by ``until`` is listed at the next call."""
        found: list[str] = []
        try:
            self._find_days()
            for name, day in self._due():
                found += self._look(name, day, until)
            self._failing_since = None
        except OSError as e:
            self._fail(e)
        return found

    def _due(self) -> list[tuple[str, _Day]]:
        """Return the days to check now; the newest day is always one of them."""
        newest = next(iter(self._days.values()), None)
        active = self._days.get(self._active, newest)
        now = time.monotonic()
        is_midnight = newest is not None and now - newest.appeared_at < MIDNIGHT_S
        return [
            (name, day)
            for name, day in self._days.items()
            if day is newest or day is active or is_midnight or now >= day.looked_at + OLDER_S
        ]

    def _fail(self, fault: OSError) -> None:
        """Start over with all days; raise only if errors persist for ERRORS_S."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        self._days, self._root_at = {}, -1e9
        if now - self._failing_since > ERRORS_S:
            raise fault

    def _look(self, name: str, day: _Day, until: float) -> list[str]:
        folder = self._dir / name
        now = day.looked_at = time.monotonic()
        if day.names is None:
            changed = folder.stat().st_mtime_ns
            if changed != day.changed:
                day.changed, day.seen_at = changed, now
            if not day.is_due(now):
                return []
            day.listed_at, day.took_s = now, 0.0
            day.names = _names_in(folder)
        known = self.known.setdefault(name, {})
        began, new = time.monotonic(), list[str]()
        while chunk := list(islice(day.names, CHUNK)):
            new += [n for n in chunk if n not in known and is_scan_name(n)]
            if time.monotonic() >= until:
                break
        else:
            day.names = None
        day.took_s += time.monotonic() - began
        if new:
            self._active = name
        return [f"{name}/{n}" for n in new]

    def _find_days(self) -> None:
        now = time.monotonic()
        if now < self._root_at + ROOT_S and self._days and not self._root_changed():
            return
        self._root_at = now
        try:
            with os.scandir(self._dir) as entries:
                names = sorted((e.name for e in entries if _is_day(e.name)), reverse=True)
        except FileNotFoundError:
            names = []
        today = datetime.now(UTC).date().isoformat()
        to_come = [n for n in names if n > today]  # may exist early; must not displace other days
        past = (n for n in names if n <= today and (self._dir / n).is_dir())
        newest = [n for n in to_come if (self._dir / n).is_dir()]
        newest += islice(past, WATCHED_DAYS)
        if set(newest) - self._days.keys():
            self._forget()
        appeared_at = now if self._days else -1e9
        self._days = {n: self._days.get(n) or _Day(appeared_at) for n in newest}

    def _forget(self) -> None:
        """Forget all but the newest KEPT_DAYS known days, whether their folders exist or not."""
        self.known = {day: self.known[day] for day in sorted(self.known)[-KEPT_DAYS:]}

    def _root_changed(self) -> bool:
        try:
            changed = self._dir.stat().st_mtime_ns
        except FileNotFoundError:
            return True
        before, self._root_mtime = self._root_mtime, changed
        return changed != before


def _names_in(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name
