"""Opening a file of lines for appending after a crash may have torn its last line."""

import os
from pathlib import Path
from typing import Final

SHARED: Final = 0o660
"""Of files that two of the stack's users write; the folder's group is theirs."""


def open_lines(path: Path, mode: int = 0o600) -> int:
    """Return a descriptor for appending; a torn last line is ended, so that it stays alone."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, mode)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        os.write(fd, b"\n")
    return fd
