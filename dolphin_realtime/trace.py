"""Latency stamps in memory, written out at exit; nothing where no trace is asked for.

Stamps are CLOCK_MONOTONIC nanoseconds, which all processes of one host share.
"""

import time
from pathlib import Path

import msgspec


class Trace:
    """Stamps of one process: (stage, epoch, scan_number, monotonic_ns)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamps: list[tuple[str, int, int, int]] = []

    def stamp(self, stage: str, epoch: int, scan_number: int) -> None:
        """Remember that a scan has reached a stage now."""
        if self._path:
            self._stamps.append((stage, epoch, scan_number, time.monotonic_ns()))

    def write(self) -> None:
        """Write all stamps as JSON lines, one file a process."""
        if self._path:
            lines = b"\n".join(msgspec.json.encode(s) for s in self._stamps)
            Path(self._path).write_bytes(lines)


def read(path: Path) -> list[tuple[str, int, int, int]]:
    """Return the stamps of a trace file."""
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=tuple[str, int, int, int]) for line in lines if line]
