"""Names of scan files the moment they are complete, as the kernel tells them (inotify).

Only writes made on this machine are told, none that came over a network share. So a name that is
told is a short cut: listing the folder (watch.py) stays the truth, and is done just as often until
the last file found had been told.
"""

import math
import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from inotify_simple import INotify, flags

from dolphin_realtime.services.bridge.watch import is_scan_name

_COMPLETE: Final = flags.MOVED_TO | flags.CLOSE_WRITE | flags.MOVE_SELF | flags.ONLYDIR
_NEW_DAY: Final = flags.CREATE | flags.MOVED_TO | flags.MOVE_SELF | flags.ONLYDIR
_GONE: Final = flags.IGNORED | flags.MOVE_SELF
_MAX_TOLD: Final = 10_000


class Notices:
    """The kernel's notices about a scan folder and its watched days.

    Attributes:
        is_reliable: Whether the last file that was found had been told before.
        knows: Returns whether a file was handled; such files are not told.
    """

    def __init__(self, scan_dir: Path) -> None:
        self._dir = scan_dir
        self._days: dict[int, str] = {}
        self._told: set[str] = set()
        self._paths: list[str] = []
        self._must_list = False
        self._root: int | None = None
        self.is_reliable = False
        self.knows: Callable[[str], bool] = lambda _: False
        self._inotify: INotify | None = None
        with suppress(OSError):  # the user's inotify instances are used up: listing finds all
            self._inotify = INotify()

    def follow(self, days: Collection[str]) -> None:
        """Watch the scan folder and these days; a folder that cannot be watched is only listed."""
        if self._inotify is None:
            return
        for wd in [wd for wd, day in self._days.items() if day not in days]:
            self._forget(wd)
        for day in set(days) - set(self._days.values()):
            with suppress(OSError):
                self._days[self._inotify.add_watch(os.fspath(self._dir / day), _COMPLETE)] = day
        if self._root is None:
            with suppress(OSError):
                self._root = self._inotify.add_watch(os.fspath(self._dir), _NEW_DAY)

    def _forget(self, wd: int) -> None:
        """Stop watching a folder: a moved one would be told of under its old name."""
        self._days.pop(wd, None)
        self._root = None if wd == self._root else self._root
        if self._inotify is not None:
            with suppress(OSError):
                self._inotify.rm_watch(wd)

    def wait(self, seconds: float) -> list[str]:
        """Wait for notices; return the paths of complete scan files, oldest first.

        An empty list means that the folder must be listed: the time is over, a new day's folder
        came, a folder went away, or the queue overflowed.
        """
        until = time.monotonic() + seconds
        while not (self._paths or self._must_list):
            left_s = until - time.monotonic()
            self._read(max(0.0, left_s))
            if left_s <= 0.0:
                break
        told = [] if self._must_list else self._paths
        self._paths, self._must_list = [], False
        return told

    def _read(self, seconds: float) -> None:
        if self._inotify is None:
            return
        for event in self._inotify.read(timeout=math.ceil(1000.0 * seconds)):
            day = self._days.get(event.wd)
            if event.mask & flags.Q_OVERFLOW:
                self._must_list = True
            elif event.mask & _GONE:
                self._must_list |= day is not None or event.wd == self._root
                self._forget(event.wd)
            elif event.wd == self._root:
                self._must_list = True
            elif day is not None and is_scan_name(event.name):
                self._tell(f"{day}/{event.name}")

    def _tell(self, path: str) -> None:
        if len(self._told) >= _MAX_TOLD:
            self._told.clear()
            self._must_list = True
        self._told.add(path)
        if not self.knows(path):
            self._paths.append(path)

    def found(self, paths: list[str]) -> None:
        """Learn from the files that were found whether notices come for this folder."""
        if paths:
            self._read(0.0)  # a listing may have been faster than the notice
        for path in paths:
            self.is_reliable = path in self._told
            self._told.discard(path)
        self._paths = [path for path in self._paths if not self.knows(path)]

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
