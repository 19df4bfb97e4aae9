"""Latency stamps, kept in memory and written at exit; off unless a trace folder is set.

Stamps are CLOCK_MONOTONIC nanoseconds, which all processes of one host share.
"""

import time
from pathlib import Path

import msgspec

Stamp = tuple[str, int, int, int]
"""(stage, epoch, scan_number, monotonic_ns)"""


class Trace:
    """Stamps of one process.

    Args:
        folder: Where to write them at exit; empty: keep none.
        role: Name of the process's file.
    """

    def __init__(self, folder: str, role: str) -> None:
        self._folder, self._role = folder, role
        self._stamps: list[Stamp] = []

    def stamp(self, stage: str, epoch: int, scan_number: int, at_ns: int = 0) -> None:
        """Remember that a scan has reached a stage, now or at ``at_ns``."""
        if self._folder:
            self._stamps.append((stage, epoch, scan_number, at_ns or time.monotonic_ns()))

    def write(self) -> None:
        """Write all stamps as JSON lines."""
        if self._folder:
            lines = b"\n".join(msgspec.json.encode(s) for s in self._stamps)
            (Path(self._folder) / f"{self._role}.jsonl").write_bytes(lines)


def read(path: Path) -> list[Stamp]:
    """Return the stamps of a trace file."""
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Stamp) for line in lines if line]
