"""Names of scan files the moment they are complete, as the kernel tells them (inotify).

Only writes made on this machine are told, none that came over a network share. So a name that is
told is a short cut: listing the folder (watch.py) stays the truth, and is done just as often until
the last file found had been told.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from inotify_simple import INotify, flags

from dolphin_realtime.services.bridge.watch import is_scan_name

_COMPLETE: Final = flags.MOVED_TO | flags.CLOSE_WRITE | flags.ONLYDIR
_NEW_DAY: Final = flags.CREATE | flags.MOVED_TO | flags.ONLYDIR
_MAX_TOLD: Final = 10_000


class Notices:
    """The kernel's notices about a scan folder and its watched days.

    Attributes:
        is_reliable: Whether the last file that was found had been told before.
    """

    def __init__(self, scan_dir: Path) -> None:
        self._dir = scan_dir
        self._days: dict[int, str] = {}
        self._told: set[str] = set()
        self._paths: list[str] = []
        self._must_list = False
        self._root: int | None = None
        self.is_reliable = False
        self._inotify: INotify | None = None
        with suppress(OSError):  # the user's inotify instances are used up: listing finds all
            self._inotify = INotify()

    def follow(self, days: Iterable[str]) -> None:
        """Watch the scan folder and these days; a folder that cannot be watched is only listed."""
        if self._inotify is None:
            return
        missing = set(days) - set(self._days.values())
        with suppress(OSError):
            if self._root is None:
                self._root = self._inotify.add_watch(os.fspath(self._dir), _NEW_DAY)
            for day in missing:
                self._days[self._inotify.add_watch(os.fspath(self._dir / day), _COMPLETE)] = day

    def wait(self, seconds: float) -> tuple[list[str], bool]:
        """Wait for a notice; return the paths of complete scan files, and whether to list as well.

        A new day's folder, a folder that went away, and a queue that overflowed need a listing.
        """
        if not (self._paths or self._must_list):
            self._read(seconds)
        told, self._paths, self._must_list = (self._paths, self._must_list), [], False
        return told

    def _read(self, seconds: float) -> None:
        if self._inotify is None:
            return
        for event in self._inotify.read(timeout=round(1000.0 * seconds)):
            day = self._days.get(event.wd)
            if event.mask & flags.IGNORED:
                self._days.pop(event.wd, None)
                self._root = None if event.wd == self._root else self._root
                self._must_list = True
            elif day is None or event.mask & flags.Q_OVERFLOW:
                self._must_list = True
            elif event.name and is_scan_name(event.name):
                self._paths.append(f"{day}/{event.name}")
                self._told.add(self._paths[-1])
        if len(self._told) > _MAX_TOLD:
            self._told.clear()

    def found(self, paths: list[str]) -> None:
        """Learn from the files that were found whether notices come for this folder."""
        if paths:
            self._read(0.0)  # a listing may have been faster than the notice
        for path in paths:
            self.is_reliable = path in self._told
            self._told.discard(path)
        self._paths = [path for path in self._paths if path in self._told]

    def close(self) -> None:
        """Stop watching."""
        if self._inotify is not None:
            self._inotify.close()
        self._inotify, self._root = None, None
        self._days.clear()

    @property
    def is_watching(self) -> bool:
        """Whether the kernel watches a day's folder."""
        return bool(self._days)
