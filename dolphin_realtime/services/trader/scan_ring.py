"""The scans that a trader missed, read from the grid's scan ring buffer, which the bridge fills.

Documents stay text until their turn comes: two thousand decoded scans of two thousand assets would
take more memory than the trader has.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from dolphin_realtime.model.errors import ScanSchemaError
from dolphin_realtime.model.instant import Aware, to_us
from dolphin_realtime.model.market.scan import Scan, decode_scan

BATCH: Final = 100


class _Heading(msgspec.Struct):
    """What tells whether a document was missed, and its place among the others."""

    epoch: int
    seq: int
    timestamp: Aware


_heading = msgspec.json.Decoder(_Heading)


class ScanRing:
    """Reads the ring buffer."""

    def __init__(self, ring: Any) -> None:
        self._ring = ring

    async def between(self, after_us: int, before_us: int) -> list[str]:
        """Return the documents of scans between two instants, once each, in the bridge's order."""
        head, tail = await self._ring.head_sequence(), await self._ring.tail_sequence()
        found: dict[tuple[int, int], str] = {}
        while head <= tail:
            result = await self._ring.read_many(head, 1, min(BATCH, tail - head + 1))
            for value in result:
                heading = _heading_of(value)
                if heading and after_us < to_us(heading.timestamp) < before_us:
                    found[(heading.epoch, heading.seq)] = value
            head += max(1, result.read_count)
        return [found[key] for key in sorted(found)]


def decoded(documents: list[str]) -> Iterator[Scan]:
    """Yield the scans of the documents, one at a time; an unreadable one is left out."""
    for document in documents:
        try:
            yield decode_scan(document)
        except ScanSchemaError:
            continue


def _heading_of(value: object) -> _Heading | None:
    if not isinstance(value, str):
        return None
    try:
        return _heading.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
