"""The intent file: the orders of a scan, on their way to disk before the first one leaves.

One JSON line a scan, appended by one write. Reading them back after a crash and dropping
those that the journal holds belong here; what an intent means does not (writer.py).
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from dolphin_realtime import fault_points
from dolphin_realtime.append_file import open_lines
from dolphin_realtime.model.decision import Limits
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.posture import Posture


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One line: the orders of one scan, and what was allowed when they were decided."""

    epoch: int
    scan_number: int
    orders: list[InFlight]
    posture: Posture = Posture.NORMAL
    entry_block: str | None = None

    @property
    def limits(self) -> Limits:
        """What was allowed: an input that comes by the wall clock, and is journalled like a price."""
        return Limits(posture=self.posture, entry_block=self.entry_block)


_decoder = msgspec.json.Decoder(Intent)
_encoder = msgspec.json.Encoder()


class IntentFile:
    """The intents of one instance, open for appending."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = open_lines(path)
        self._size = os.fstat(self._fd).st_size

    def append(
        self, epoch: int, scan_number: int, orders: Sequence[InFlight], limits: Limits
    ) -> str | None:
        """Append one intent by one write; return why it could not be, with nothing torn left."""
        intent = Intent(
            epoch=epoch,
            scan_number=scan_number,
            orders=list(orders),
            posture=limits.posture,
            entry_block=limits.entry_block,
        )
        line = _encoder.encode(intent) + b"\n"
        try:
            written = os.write(self._fd, line)
        except OSError as e:
            return str(e)
        if written != len(line):
            with suppress(OSError):  # what is torn is left out when it is read
                os.ftruncate(self._fd, self._size)
            return f"only {written} of {len(line)} bytes fitted"
        self._size += written
        fault_points.reach("intent")
        return None

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        os.fdatasync(self._fd)

    def recover(self, after: tuple[int, int] | None) -> list[Intent]:
        """Return the intents later than the last journalled scan, in order; forget the others.

        A line cut off by a crash is left out: its orders were never sent.
        """
        found = []
        for line in self._path.read_bytes().splitlines():
            try:
                intent = _decoder.decode(line)
            except msgspec.DecodeError:
                continue
            if after is None or (intent.epoch, intent.scan_number) > after:
                found.append(intent)
        self._rewrite(found)
        return found

    def _rewrite(self, intents: list[Intent]) -> None:
        partial = self._path.with_suffix(".part")
        try:
            with partial.open("wb") as f:
                f.write(b"".join(_encoder.encode(i) + b"\n" for i in intents))
                f.flush()
                os.fsync(f.fileno())
            partial.replace(self._path)
        except OSError:  # a full disk: the longer file serves as well
            partial.unlink(missing_ok=True)
            return
        os.close(self._fd)
        self._fd = open_lines(self._path)
        self._size = os.fstat(self._fd).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
