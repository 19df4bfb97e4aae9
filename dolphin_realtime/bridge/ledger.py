"""What the bridge remembers on disk: files seen, epochs and sequence numbers, quarantine.

One JSON line a file, appended after the scan was handed on; read again at the start, and
rewritten without the days that are no longer watched. Lost lines are harmless: the file is
read again and found to be a repeat.
"""

from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.model.scan import ScanOrder
from dolphin_realtime.scan_ledger import Line, read_lines
from dolphin_realtime.whole_file import replace_whole

KEPT_DAYS: Final = 8
"""Days that the ledger remembers: an archive that was not made in a week is for a person."""


class Ledger:
    """The ledger of one scan folder, open for appending.

    Attributes:
        order: The order of scans as it stood after the last published one.
        seq: Count of published scans.
        bad: Count of quarantined files, ever.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        lines = read_lines(path)
        self.bad = sum(1 for line in lines if line.reason)
        published = [line for line in lines if line.seq]
        self.order, self.seq = ScanOrder(), 0
        if published:
            last = max(published, key=lambda line: line.seq)
            self.order = ScanOrder(last.epoch, last.scan_number, last.timestamp_us)
            self.seq = last.seq
        days = sorted({line.path.split("/")[0] for line in lines})[-KEPT_DAYS:]
        self.kept = [line for line in lines if line.path.split("/")[0] in days]
        self._rewrite()
        self._file = path.open("ab", buffering=0)

    def _rewrite(self) -> None:
        replace_whole(self.path, b"".join(msgspec.json.encode(x) + b"\n" for x in self.kept))

    def add(self, line: Line) -> None:
        """Append one handled file."""
        self.bad += bool(line.reason)
        self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
