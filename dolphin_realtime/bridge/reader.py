"""The reader child: the only process that touches the scan folder.

It answers one request at a time over its pipes: look for up to some seconds, then hand
over every finished file. A share that hangs stops this process alone; the bridge replaces
it. Run as ``python -m dolphin_realtime.bridge.reader SCAN_DIR LEDGER``.
"""

import struct
import sys
import time
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Final

import msgspec

from dolphin_realtime.bridge.watch import FolderWatch
from dolphin_realtime.model.errors import ScanFileError, ScanIncomplete
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.process import die_with_parent
from dolphin_realtime.scan_files import parse_scan, refuse_unpublishable
from dolphin_realtime.scan_ledger import Stamp, read_stamps

PATIENCE_S: Final = 3.0
"""A file that ends too early and has not grown for this long is bad."""
BATCH: Final = 500
"""Most files in one answer, oldest first."""
MAX_BYTES: Final = 64 * 1024 * 1024
LENGTH: Final = struct.Struct(">I")


class Request(msgspec.Struct, frozen=True):
    """Look until a file is found or ``wait_s`` has passed, every ``poll_s``.

    Where ``recall`` names files, those are read again instead, seen or not.
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


class Reader:
    """Reads new files of a watched folder; `look` is one unit of work."""

    def __init__(self, scan_dir: Path, seen: dict[str, Stamp]) -> None:
        self._dir = scan_dir
        self._watch = FolderWatch(scan_dir, seen)
        self._growing: dict[str, tuple[Stamp, float]] = {}

    def look(self) -> list[Found]:
        """Return the files that were finished since the last look, oldest first."""
        candidates = self._watch.changed()
        if len(candidates) > BATCH:
            self._watch.sweep_next()
        for path in self._growing:
            candidates.setdefault(path, (0, 0))
        found = []
        for path in sorted(candidates)[:BATCH]:
            one = self._read(path)
            if one is not None:
                self._watch.seen[path] = one.stamp
                self._growing.pop(path, None)
                found.append(one)
        return found

    def recall(self, paths: list[str]) -> list[Found]:
        """Return files that were read before, again; those that are gone are left out."""
        found = [self._read(path) for path in paths]
        return [one for one in found if one is not None]

    def _read(self, path: str) -> Found | None:
        full = self._dir / path
        stamp = (0, 0)
        try:
            stat = full.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if not S_ISREG(stat.st_mode) or stat.st_size > MAX_BYTES:
                reason = f"{path}: not a regular file of at most {MAX_BYTES} bytes"
                return Found(path=path, stamp=stamp, reason=reason)
            if path in self._growing and self._growing[path][0] == stamp:
                return self._wait_for(path, stamp, f"{path}: no Arrow footer")
            scan = parse_scan(full.read_bytes(), path)
            refuse_unpublishable(scan, path)
            return Found(path=path, stamp=stamp, scan=scan)
        except FileNotFoundError:
            self._growing.pop(path, None)
            return None
        except ScanIncomplete as e:
            return self._wait_for(path, stamp, str(e))
        except (ScanFileError, OSError) as e:
            return Found(path=path, stamp=stamp, reason=str(e))

    def _wait_for(self, path: str, stamp: Stamp, reason: str) -> Found | None:
        now = time.monotonic()
        last, since = self._growing.get(path, (None, now))
        if last != stamp:
            self._growing[path] = (stamp, now)
            return None
        if now - since < PATIENCE_S:
            return None
        return Found(path=path, stamp=stamp, reason=f"{reason}; it stopped growing")


def send(stream: BinaryIO, payload: bytes) -> None:
    """Write one frame: four bytes of length, then the payload."""
    stream.write(LENGTH.pack(len(payload)) + payload)
    stream.flush()


def receive(stream: BinaryIO) -> bytes | None:
    """Return the next frame's payload, None at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return stream.read(LENGTH.unpack(head)[0])


def answer(reader: Reader, request: Request) -> list[Found]:
    """Look until something is found or the request's time is over."""
    if request.recall:
        return reader.recall(request.recall)
    until = time.monotonic() + request.wait_s
    while True:
        found = reader.look()
        left = until - time.monotonic()
        if found or left <= 0:
            return found
        time.sleep(min(request.poll_s, left))


def main() -> None:
    """Answer requests until the bridge closes the pipe."""
    die_with_parent()
    reader = Reader(Path(sys.argv[1]), read_stamps(Path(sys.argv[2])))
    requests = msgspec.msgpack.Decoder(Request)
    while (payload := receive(sys.stdin.buffer)) is not None:
        found = answer(reader, requests.decode(payload))
        send(sys.stdout.buffer, msgspec.msgpack.encode(found))


if __name__ == "__main__":
    main()
