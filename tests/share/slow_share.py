"""A folder on a FUSE mount that is as a network share is: slow, coarse, odd about names, failing, hanging.

Run as ``python slow_share.py SOURCE MOUNT SETTINGS``, the settings as JSON: ``latency_ms`` a call,
``tick_s`` of its times, ``capitals`` where names come in capitals, ``errors`` a file that while it
is there makes every call fail with EIO, ``lock`` a file with a name that may not be opened, ``hang``
a file that while it is there keeps every call from being answered: a reader then sits in D and outlives
SIGKILL, as on a share whose server is gone. Remove it in a ``finally``.
"""

import errno
import functools
import json
import os
import sys
import time
from pathlib import Path

import mfusepy

SOURCE, MOUNT, SET = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
LATENCY_S = SET.get("latency_ms", 0.0) / 1000
NAMES_A_CALL = 100
"""The mount asks once for all names; a share asks once for so many."""
TICK_NS = round(SET.get("tick_s", 0.0) * 1e9)
STATED = ("st_mode", "st_size", "st_uid", "st_gid", "st_nlink")
TIMED = ("st_mtime", "st_atime", "st_ctime")


def on_the_share(call):
    """Have a call take as long as on a share, fail, or hang."""

    @functools.wraps(call)
    def slow(*args):
        time.sleep(LATENCY_S)
        while SET.get("hang") and Path(SET["hang"]).exists():
            time.sleep(0.05)
        if SET.get("errors") and Path(SET["errors"]).exists():
            raise mfusepy.FuseOSError(errno.EIO)
        return call(*args)

    return slow


class Share(mfusepy.Operations):
    use_ns = True

    def _path(self, path):
        """Return the file behind a name, whatever its case where the share does not tell it."""
        plain = SOURCE / path.lstrip("/")
        if not SET.get("capitals") or plain.exists():
            return plain
        return SOURCE / path.lstrip("/").lower()

    @on_the_share
    def getattr(self, path, fh=None):
        try:
            found = self._path(path).lstat()
        except OSError as e:
            raise mfusepy.FuseOSError(e.errno) from e
        times = {name: getattr(found, f"{name}_ns") for name in TIMED}
        if TICK_NS:
            times = {name: value // TICK_NS * TICK_NS for name, value in times.items()}
        return {name: getattr(found, name) for name in STATED} | times

    @on_the_share
    def readdir(self, path, fh):
        names = [entry.name for entry in self._path(path).iterdir()]
        time.sleep(LATENCY_S * len(names) / NAMES_A_CALL)
        return [".", "..", *(n.upper() if SET.get("capitals") else n for n in names)]

    @on_the_share
    def open(self, path, flags):
        locked = Path(SET["lock"]).read_text() if SET.get("lock") else ""
        if locked and path.endswith(locked):
            raise mfusepy.FuseOSError(errno.EACCES)
        return os.open(self._path(path), flags)

    @on_the_share
    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def release(self, path, fh):
        os.close(fh)
        return 0


mfusepy.FUSE(
    Share(), MOUNT, foreground=True, nothreads=False, allow_other=True,
    attr_timeout=0, entry_timeout=0, direct_io=True,
)  # fmt: skip
