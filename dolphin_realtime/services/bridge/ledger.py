"""What the bridge remembers on disk: files seen, epochs and sequence numbers, quarantine.

One JSON line per scan file, appended to the ledger file of its day after the scan was published;
old days are deleted when a new one begins. Lost lines are harmless: the scan file is read again
and found to be a repeat.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from dolphin_realtime.infra import files
from dolphin_realtime.model.market.scan import ScanOrder
from dolphin_realtime.scans.ledger import KEPT_DAYS, SUFFIX, Line, ledger_days, read_lines
from dolphin_realtime.services.bridge.watch import WATCHED_DAYS


class Ledger:
    """The ledger of one scan folder, open for appending.

    Attributes:
        folder: Where its files are.
        order: The sequence of scans after the last published one.
        seq: Count of published scans.
        bad: Count of quarantined files, including those in the ledger when it was opened.
        newest: The last published files when it was opened, in the order of publishing.
    """

    def __init__(self, folder: Path, newest: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._files: dict[str, files.JsonLines] = {}
        self._published_day = ""
        self.bad, self.newest = 0, list[Line]()
        _divide(folder.with_suffix(SUFFIX), folder)
        for path in ledger_days(folder).values():
            lines = read_lines(path)
            self.bad += sum(1 for line in lines if line.reason)
            published = [*self.newest, *(line for line in lines if line.seq)]
            self.newest = sorted(published, key=lambda line: line.seq)[-newest:]
        self.order, self.seq = ScanOrder(), 0
        if self.newest:
            last = self.newest[-1]
            self._published_day = last.day
            self.order = ScanOrder(last.epoch, last.scan_number, last.timestamp_us)
            self.seq = last.seq
        self._forget()

    def add(self, line: Line) -> None:
        """Append one handled file."""
        self.bad += bool(line.reason)
        if line.seq:
            self._published_day = line.day
        if line.day not in self._files:
            self._open(line.day)
        self._files[line.day].append(line)

    def _open(self, day: str) -> None:
        self._files[day] = files.JsonLines(self.folder / f"{day}{SUFFIX}")
        self._forget()

    def _forget(self) -> None:
        """Delete old days: keep the newest, those opened last, and the last published scan's."""
        days = ledger_days(self.folder)
        kept = {*list(days)[-KEPT_DAYS:], *list(self._files)[-WATCHED_DAYS:], self._published_day}
        for day in days.keys() - kept:
            days[day].unlink()
            if file := self._files.pop(day, None):
                file.close()

    def close(self) -> None:
        """Close its files."""
        for file in self._files.values():
            file.close()


def _write(path: Path, lines: Iterable[Line]) -> None:
    """Rewrite a day's lines, so that nothing is appended to a truncated line."""
    files.replace(path, b"".join(msgspec.json.encode(x) + b"\n" for x in lines))


def _divide(old: Path, folder: Path) -> None:
    """Split the single file of earlier versions by day; lines already in a day's file win."""
    days: dict[str, dict[str, Line]] = {}
    for line in read_lines(old):
        days.setdefault(line.day, {})[line.path] = line
    for day, lines in days.items():
        path = folder / f"{day}{SUFFIX}"
        lines |= {line.path: line for line in read_lines(path)}
        _write(path, lines.values())
    old.unlink(missing_ok=True)
