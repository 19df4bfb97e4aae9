"""A lock: at most one process besides the bridge's reader reads the scan folder.

The folder may be a share that hangs. A process that hangs in the kernel cannot be killed and keeps
the lock until its call returns, so a retry of its work is refused instead of hanging as well.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dolphin_realtime.model.errors import ShareBusy


@contextmanager
def share_lock(run_dir: Path) -> Iterator[None]:
    """Hold the right to read the scan folder; the lock lies on the local disk.

    Raises:
        ShareBusy: If another process holds it, perhaps because it hangs; with its process id.
    """
    path = run_dir / "share.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            file.seek(0)
            raise ShareBusy(file.read()) from e
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
