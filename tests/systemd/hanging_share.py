"""A folder on a FUSE mount whose server takes a request and never answers while a flag file is there.

Run as ``python hanging_share.py SOURCE MOUNT FLAG``. A reader of it then sits in D and outlives
SIGKILL, as on a network share whose server is gone. Remove the flag in a ``finally``.
"""

import os
import sys
import time
from pathlib import Path

import mfusepy

SOURCE, MOUNT, FLAG = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
STATED = ("st_mode", "st_size", "st_uid", "st_gid", "st_nlink")
TIMED = ("st_mtime", "st_atime", "st_ctime")


def gate():
    while FLAG.exists():
        time.sleep(0.05)


class Share(mfusepy.Operations):
    use_ns = True

    def _path(self, path):
        return SOURCE / path.lstrip("/")

    def getattr(self, path, fh=None):
        gate()
        try:
            found = self._path(path).lstat()
        except OSError as e:
            raise mfusepy.FuseOSError(e.errno) from e
        times = {name: getattr(found, f"{name}_ns") for name in TIMED}
        return {name: getattr(found, name) for name in STATED} | times

    def readdir(self, path, fh):
        gate()
        return [".", "..", *(entry.name for entry in self._path(path).iterdir())]

    def open(self, path, flags):
        gate()
        return os.open(self._path(path), flags)

    def read(self, path, size, offset, fh):
        gate()
        return os.pread(fh, size, offset)

    def release(self, path, fh):
        os.close(fh)
        return 0


mfusepy.FUSE(
    Share(), MOUNT, foreground=True, nothreads=False, allow_other=True,
    attr_timeout=0, entry_timeout=0, direct_io=True,
)  # fmt: skip
