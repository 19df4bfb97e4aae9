"""A word ahead of a scan: whoever sees its file tells the traders, some milliseconds early.

An empty datagram on a local socket, lost without harm. What a trader does with it is its own
business (trader/rehearsal.py).
"""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

FOLDER: Final = "heads_up"


def announce(run_dir: Path) -> None:
    """Tell every listener that a scan is on its way; never waits, never fails."""
    folder = run_dir / FOLDER
    try:
        names = [path.name for path in folder.iterdir()]
        folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY) if names else -1
    except OSError:
        return
    for name in names:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            try:
                s.sendto(b"", f"/proc/self/fd/{folder_fd}/{name}")
            except OSError:
                continue  # a trader that is gone or busy
    if folder_fd >= 0:
        os.close(folder_fd)


class HeadsUp:
    """Listens in the event loop; ``on_word`` is called for each word."""

    def __init__(self, run_dir: Path, name: str, on_word: Callable[[], None]) -> None:
        folder = run_dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._on_word = folder / name, on_word
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._socket.bind(f"/proc/self/fd/{folder_fd}/{name}")
        finally:
            os.close(folder_fd)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _read(self) -> None:
        try:
            while True:
                self._socket.recv(1)
        except BlockingIOError:
            self._on_word()

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)
