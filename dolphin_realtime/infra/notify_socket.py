"""The manager's end of sd_notify: an abstract socket on which a service says how it is.

Any user of the machine may send to such a socket, so the kernel is asked who did.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

MOST: Final = 4096
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group of a sender."""


def notify_socket(name: str) -> socket.socket:
    """Return a socket under an abstract name that does not block."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    made.bind("\0" + name)
    return made


def messages(receiver: socket.socket) -> Iterator[list[str]]:
    """Yield the lines of each message that waits and was sent by this process's user."""
    with suppress(BlockingIOError):
        while True:
            data, extra, _, _ = receiver.recvmsg(MOST, socket.CMSG_SPACE(_CREDENTIALS.size))
            if _is_own(extra):
                yield data.decode("utf-8", "replace").splitlines()


def _is_own(extra: list[tuple[int, int, bytes]]) -> bool:
    wanted = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
    found = [data for level, kind, data in extra if (level, kind) == wanted]
    return bool(found) and _CREDENTIALS.unpack(found[0])[1] == os.geteuid()
