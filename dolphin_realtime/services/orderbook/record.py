"""Recording order books on disk: one line every few seconds of market time.

The line's type is in books/archive.py; when a line is written, and to which day's file, is
decided here.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dolphin_realtime.books.archive import BookLine
from dolphin_realtime.infra import files
from dolphin_realtime.model.market.order_book import BookFeatures


class BookRecord:
    """Appends to `<folder>/<day>.jsonl`.

    Attributes:
        n_failed: Number of lines that could not be written.
    """

    def __init__(self, folder: Path, every_s: float, simulated: str | None) -> None:
        self._folder, self._every_s, self._simulated = folder, every_s, simulated
        self._last: datetime | None = None
        self._day = ""
        self._lines: files.JsonLines | None = None
        self.n_failed = 0

    def record(self, books: dict[str, BookFeatures]) -> None:
        """Write a line if the newest event is at least ``every_s`` after the last line's."""
        if not books:
            return
        at = max(f.event_time for f in books.values()).astimezone(UTC)
        if self._last is not None and 0.0 <= (at - self._last).total_seconds() < self._every_s:
            return
        best = {
            asset: msgspec.structs.replace(f, bids=f.bids[:1], asks=f.asks[:1])
            for asset, f in books.items()
        }
        line = BookLine(at=at, assets=best, simulated=self._simulated)
        try:
            self._lines_of(at).append(line)
        except OSError:
            self.n_failed += 1
            return
        self._last = at

    def _lines_of(self, at: datetime) -> files.JsonLines:
        day = at.date().isoformat()
        if day != self._day or self._lines is None:
            self.close()
            self._lines, self._day = files.JsonLines(self._folder / f"{day}.jsonl"), day
        return self._lines

    def close(self) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()
        self._lines, self._day = None, ""
