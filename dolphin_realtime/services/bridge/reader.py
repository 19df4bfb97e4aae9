"""The reader child: the only process of the services that touches the scan folder.

It answers one request at a time over its pipes: it looks for up to some seconds, then returns
every finished file, its scan encoded for the grid. A share that hangs blocks only this process,
and the bridge replaces it.
Run as ``python -m dolphin_realtime.services.bridge.reader SCAN_DIR LEDGER``.
"""

import math
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Final

import msgspec

from dolphin_realtime.infra.process import bound_memory, die_with_parent
from dolphin_realtime.model.errors import ScanFileError, ScanIncomplete
from dolphin_realtime.model.market.scan import EncodedScan, Scan, encoded
from dolphin_realtime.scans.files import parse_scan, refuse_unpublishable
from dolphin_realtime.scans.ledger import Stamp, read_stamps
from dolphin_realtime.services.bridge.frames import receive, send
from dolphin_realtime.services.bridge.notices import Notices
from dolphin_realtime.services.bridge.share_speed import NAME as PACE_FILE
from dolphin_realtime.services.bridge.share_speed import Pace
from dolphin_realtime.services.bridge.sweep import NAME as SWEEP_FILE
from dolphin_realtime.services.bridge.sweep import Sweep
from dolphin_realtime.services.bridge.watch import FolderWatch

PATIENCE_S: Final = 3.0
"""A file that is not a valid scan and has not changed for this long is bad."""
LOCK_PATIENCE_S: Final = 30.0
"""The same for a file that cannot be opened: another process may hold it for a while."""
RETRY_S: Final = (0.05, 1.0)
"""Pause before an unchanged file is read again: the first pause and the longest."""
LOOK_S: Final = 0.5
"""Least time of one look, even if the request has less time left."""
TOLD_POLL_S: Final = 0.05
"""Least pause between listings while the kernel tells of every file."""
LIST_S: Final = 1.0
"""Longest time without a listing, however many files are told."""
TOLD_SLICE_S: Final = 0.002
"""Longest slice of the sweep meanwhile: a file that is told waits for its end."""
BATCH: Final = 500
"""Largest number of files in one answer, oldest first."""
BATCH_BYTES: Final = 8 * 1024 * 1024
MAX_BYTES: Final = 64 * 1024 * 1024
ROOM_BYTES: Final = 400 * 1024 * 1024
"""What the reader may take beyond what it has at its start."""


class Request(msgspec.Struct, frozen=True):
    """Look until a file is found or ``wait_s`` has passed, every ``poll_s``.

    If ``recall`` names files, those are read again instead, even if they are known.
    """

    wait_s: float
    poll_s: float
    recall: list[str] = []


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One finished file: its scan, or why it is bad."""

    path: str
    stamp: Stamp
    scan: Scan | None = None
    reason: str = ""


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """A finished file as the bridge gets it."""

    path: str
    stamp: Stamp
    scan: EncodedScan | None = None
    reason: str = ""

    @classmethod
    def of(cls, found: Found) -> "Handed":
        """Encode a found file's scan."""
        scan = None if found.scan is None else encoded(found.scan)
        return cls(path=found.path, stamp=found.stamp, scan=scan, reason=found.reason)


class _Waiting(msgspec.Struct):
    """A file that is not a valid scan yet: its stamp and content hash, since when, next retry."""

    stamp: Stamp
    content: int
    since: float
    retry_at: float
    pause_s: float


class Reader:
    """Reads new files of a watched folder; `look` is one unit of work.

    Args:
        scan_dir: The scan folder.
        ledger: Folder of the bridge's ledger, which lists the known files.
        notices: The kernel's notices; None: the folder is only listed.
    """

    def __init__(self, scan_dir: Path, ledger: Path, notices: Notices | None = None) -> None:
        self._dir = scan_dir
        self._watch = FolderWatch(scan_dir, read_stamps(ledger))
        self._sweep = Sweep(scan_dir, ledger.with_name(SWEEP_FILE))
        self._notices = notices
        if notices is not None:
            notices.knows = self._watch.knows
        self._listed_at = -LIST_S
        self.pace = Pace(ledger.with_name(PACE_FILE))
        self._new: dict[str, None] = {}
        self._waiting: dict[str, _Waiting] = {}

    @property
    def n_new(self) -> int:
        """Files that were found and not read yet."""
        return len(self._new)

    @property
    def is_told(self) -> bool:
        """Whether the kernel tells of every new file."""
        return self._notices is not None and self._notices.is_reliable

    def wait(self, seconds: float) -> list[str]:
        """Wait until the kernel tells of a file, or the time is over; return the new paths.

        An empty list means that the folder must be listed.
        """
        if self._notices is None or not self._notices.is_watching:
            time.sleep(seconds)
            return []
        told = self._notices.wait(seconds)
        is_overdue = time.monotonic() > self._listed_at + LIST_S
        return [] if is_overdue else told  # what is not told is found however fast others come

    def look(self, until: float = math.inf, told: Sequence[str] = ()) -> list[Found]:
        """Return the files that were finished since the last look, oldest first.

        If there is no new name, a slice of the sweep is done. What cannot be done by ``until``
        is left to the next looks; at least one file is read.

        Args:
            until: When to stop, monotonic.
            told: New paths; empty: the folder is listed.
        """
        if told:
            self._new |= dict.fromkeys(told)
            for path in told:
                self._waiting.pop(path, None)
        else:
            self._listed_at = time.monotonic()
            self._new |= dict.fromkeys(self._watch.new_names(until))
            self._leave_waiting()
            if self._notices is not None:
                self._notices.follow(self._watch.days)
        if not self._new:
            self._sweep_slice(until)
        found = self._read_new(until)
        if self._notices is not None:
            self._notices.found([one.path for one in found])
        return found

    def _sweep_slice(self, until: float) -> None:
        began, asked = time.monotonic(), self._sweep.asked
        if self.is_told:
            until = min(until, began + TOLD_SLICE_S)
        self._new |= dict.fromkeys(self._sweep.slice(self._watch.known, self._watch.days, until))
        self._leave_waiting()
        self.pace.count(self._sweep.asked - asked, time.monotonic() - began)

    def _read_new(self, until: float) -> list[Found]:
        found: list[Found] = []
        due = [*sorted(self._new)[:BATCH], *self._due()]
        n_bytes = 0
        for n, path in enumerate(due[:BATCH]):
            if n and (time.monotonic() >= until or n_bytes > BATCH_BYTES):
                break
            self._new.pop(path, None)
            began = time.monotonic()
            one = self._read(path)
            self.pace.count(1, time.monotonic() - began)
            if one is not None:
                self._watch.remember(path, one.stamp)
                self._waiting.pop(path, None)
                found.append(one)
                n_bytes += one.stamp[1]
        return sorted(found, key=lambda one: one.path)

    def sweep_next(self) -> None:
        """Check every known file again from the next look on."""
        self._sweep.make_due()

    def _leave_waiting(self) -> None:
        """Drop from the new files those that already wait for a retry."""
        for path in self._waiting:
            self._new.pop(path, None)

    def _due(self) -> list[str]:
        """Return the waiting files that changed or whose retry is pending."""
        now = time.monotonic()
        return [p for p in sorted(self._waiting) if self._waiting[p].retry_at <= now or
                self._has_changed(p)]  # fmt: skip

    def _has_changed(self, path: str) -> bool:
        try:
            stat = (self._dir / path).stat()
        except OSError:
            return True
        return (stat.st_mtime_ns, stat.st_size) != self._waiting[path].stamp

    def recall(self, paths: list[str]) -> list[Found]:
        """Read files again that were read before; those that are gone are left out."""
        found = [self._read(path) for path in paths]
        for path in paths:
            self._waiting.pop(path, None)
        return [one for one in found if one is not None]

    def _read(self, path: str) -> Found | None:
        """Return a file's scan, or why it is bad; None if it is gone or may still become valid."""
        full, stamp, data = self._dir / path, (0, 0), b""
        try:
            stat = full.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if not S_ISREG(stat.st_mode) or stat.st_size > MAX_BYTES:
                reason = f"{path}: not a regular file of at most {MAX_BYTES} bytes"
                return Found(path=path, stamp=stamp, reason=reason)
            data = full.read_bytes()
            scan = parse_scan(data, path)
            refuse_unpublishable(scan, path)
            return Found(path=path, stamp=stamp, scan=scan)
        except FileNotFoundError:
            self._waiting.pop(path, None)
            return None
        except (ScanIncomplete, ScanFileError) as e:
            return self._wait_for(path, stamp, zlib.crc32(data), str(e), PATIENCE_S)
        except OSError as e:
            return self._wait_for(path, stamp, 0, f"{path}: {e.strerror or e}", LOCK_PATIENCE_S)

    def _wait_for(
        self, path: str, stamp: Stamp, content: int, reason: str, patience_s: float
    ) -> Found | None:
        now, last = time.monotonic(), self._waiting.get(path)
        if last is None or (last.stamp, last.content) != (stamp, content):
            pause_s = RETRY_S[0]
            self._waiting[path] = _Waiting(stamp, content, now, now + pause_s, pause_s)
            return None
        if now - last.since < patience_s:
            last.pause_s = min(2.0 * last.pause_s, RETRY_S[1])
            last.retry_at = now + last.pause_s
            return None
        return Found(path=path, stamp=stamp, reason=f"{reason}; unchanged for {patience_s:.0f} s")


def answer(reader: Reader, request: Request) -> list[Found]:
    """Look until something is found or the request's time is over."""
    if request.recall:
        return reader.recall(request.recall)
    until, told = time.monotonic() + request.wait_s, list[str]()
    if reader.is_told and not reader.n_new:
        told = reader.wait(min(TOLD_POLL_S, request.wait_s))
    while True:
        found = reader.look(max(until, time.monotonic() + LOOK_S), told)
        left = until - time.monotonic()
        if found or left <= 0:
            return found
        pause_s = max(request.poll_s, TOLD_POLL_S) if reader.is_told else request.poll_s
        told = reader.wait(min(pause_s, left))


def main() -> None:
    """Answer requests until the bridge closes the pipe."""
    die_with_parent()
    bound_memory(ROOM_BYTES)
    scan_dir, ledger = Path(sys.argv[1]), Path(sys.argv[2])
    reader = Reader(scan_dir, ledger, Notices(scan_dir))
    requests = msgspec.msgpack.Decoder(Request)
    while (payload := receive(sys.stdin.buffer)) is not None:
        found = answer(reader, requests.decode(payload))
        send(sys.stdout.buffer, msgspec.msgpack.encode([Handed.of(one) for one in found]))
        reader.pace.tell(reader.n_new)


if __name__ == "__main__":
    main()
