"""How every part of Dolphin writes files: replaced atomically, or appended line by line.

A reader of a replaced file sees either the old file or the new one. A crash may tear the last
line of an appended file; the next append starts a new line, and readers skip the torn one.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

SHARED: Final = 0o660
"""Mode of files that two of the stack's users write; both are in the folder's group."""


@contextmanager
def replacing(path: Path, *, is_durable: bool = False) -> Iterator[Path]:
    """Yield a file beside ``path`` to write, and rename it over ``path`` at the end.

    If the block raises, the old file stays. The folder must exist.

    Args:
        path: The file to replace.
        is_durable: Sync it to disk before returning; else the old file may be back after a
            power cut.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")  # nobody can plant it
    try:
        yield partial
        if is_durable:
            sync(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if is_durable:
        sync(path.parent)


def replace(path: Path, data: bytes, mode: int | None = None, *, is_durable: bool = False) -> None:
    """Replace a file's content; a mode, if given, is set regardless of the umask."""
    with replacing(path, is_durable=is_durable) as partial:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(fd, mode)


def sync(path: Path) -> None:
    """Sync a file or a folder to disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def clear_debris(path: Path) -> None:
    """Remove partial files left by killed writers; the file must have one writer at a time."""
    for left in path.parent.glob(f".{path.name}.*.part"):
        left.unlink()


class JsonLines:
    """A file of JSON lines, open for appending; its folder is created if needed.

    Args:
        path: Path of the file.
        mode: Its mode if it is created now.
    """

    def __init__(self, path: Path, mode: int = 0o600) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, mode)
        size = os.fstat(self._fd).st_size
        self._is_torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
        self._encoder = msgspec.json.Encoder()

    def append(self, line: object) -> None:
        """Append one line by one write.

        Raises:
            OSError: If it was not written completely; the next append starts a new line.
        """
        text = self._encoder.encode(line) + b"\n"
        text = b"\n" + text if self._is_torn else text
        written = os.write(self._fd, text)
        self._is_torn = written != len(text)
        if self._is_torn:
            raise OSError(f"only {written} of {len(text)} bytes fitted")

    def sync(self) -> None:
        """Sync the appended lines to disk."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def append_line(path: Path, line: object, mode: int = 0o600, *, is_durable: bool = False) -> None:
    """Append one line to a file that is not kept open.

    Raises:
        OSError: If it was not written completely.
    """
    lines = JsonLines(path, mode)
    try:
        lines.append(line)
        if is_durable:
            lines.sync()
    finally:
        lines.close()


def read_lines[L](path: Path, kind: type[L]) -> Iterator[L | None]:
    """Yield the lines of a file, None for an unreadable one; a missing file has no lines."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    yield from parse_lines(content, kind)


def parse_lines[L](content: bytes, kind: type[L]) -> Iterator[L | None]:
    """Yield the lines of some bytes, None for an unreadable one; empty lines are skipped."""
    decoder = msgspec.json.Decoder(kind)
    for line in content.splitlines():
        if not line:
            continue
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError:
            yield None
