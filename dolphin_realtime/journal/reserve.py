"""A reserve of disk space next to the journal, released when the disk is full.

While it is released nothing may be opened; the freed space is for exits and records that wait to
be written. It is allocated again once the disk has twice its size free.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 4 << 20


class Reserve:
    """Preallocated space in one file.

    Attributes:
        is_there: Whether the space is held now.
    """

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path, self._size = path, size
        self.is_there = path.is_file() and path.stat().st_size == size
        self.take_back()

    def give_up(self) -> bool:
        """Free the space; return whether it was held."""
        had, self.is_there = self.is_there, False
        with suppress(OSError):  # a broken disk, not a full one: the next write will fail
            self._path.unlink(missing_ok=True)
        return had

    def take_back(self) -> None:
        """Allocate the space again, if the disk has twice its size free."""
        if self.is_there:
            return
        with suppress(OSError):  # while it is missing, `Journal.trouble` blocks entries
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize >= 2 * self._size:
                self._allocate()

    def _allocate(self) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._size)
            self.is_there = True
        except OSError:
            self._path.unlink(missing_ok=True)
        finally:
            os.close(fd)
