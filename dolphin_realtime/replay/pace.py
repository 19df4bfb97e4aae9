"""Pacing of a replay: which scan is written when, remembered across restarts.

It writes scan files by rename at a wall-time cadence, keeps its position on disk, and archives the
days before the replayed one so that a trader can warm up.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.instant import DAY_US, from_us
from dolphin_realtime.model.market.scan import Scan, numbered
from dolphin_realtime.replay.market import Market
from dolphin_realtime.replay.worlds.events import World
from dolphin_realtime.scans.archive import write_archive
from dolphin_realtime.scans.files import write_scan

ARCHIVE_SOURCE: Final = "replay"


class Place(msgspec.Struct):
    """The position of a replay: the next row, its round, the next scan number, scans so far."""

    row: int
    lap: int = 0
    scan_number: int = 1
    n: int = 0


class Pacer:
    """A market written out scan by scan; `write_next` is one unit of work."""

    def __init__(
        self, market: Market, scan_dir: Path, place_file: Path, first_us: int,
        world: World | None = None,
    ) -> None:  # fmt: skip
        self._market, self._scan_dir, self._file = market, scan_dir, place_file
        self._world = world
        rows = market.rows_of(first_us, 2**62)
        self._step = rows.step
        self._first_row = rows.start
        self.place = self._load() or Place(row=rows.start)
        self._queue: list[Scan] = []

    def _load(self) -> Place | None:
        if not self._file.is_file():
            return None
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Place)
        except msgspec.DecodeError as e:
            raise SettingsError(f"{self._file}: {e}; remove it to begin again") from e

    def peek(self) -> Scan:
        """Return the next scan without writing it; its number is not final yet."""
        if not self._queue:
            self._queue = self._next_scans()
        return self._queue[0]

    def write_next(self) -> Scan:
        """Write the next scan and return it, even if a world's event suppresses the file."""
        scan = msgspec.structs.replace(self.peek(), scan_number=self.place.scan_number)
        self._queue.pop(0)
        told = scan if self._world is None else self._world.feed(self.place.n, scan)
        if told is not None:
            write_scan(self._scan_dir, told)
            self.place.scan_number = told.scan_number + 1
        self.place.n += 1
        if not self._queue:
            self.place.row += self._step
            self._save()
        return scan

    def restart_numbers(self) -> None:
        """Number the next scan 1, as a restarted NG6 does."""
        self.place.scan_number = 1

    def _next_scans(self) -> list[Scan]:
        if self.place.row >= self._market.n_rows:
            first = self._market.rows_of(0, 2**62).start
            self.place = Place(row=first, lap=self.place.lap + 1, n=self.place.n)
        scans = list(self._market.scans_at(self.place.row, self.place.lap))
        if self._world is not None:
            scans = [self._world.market(self.place.n + i, s) for i, s in enumerate(scans)]
        return scans

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        files.replace(self._file, msgspec.json.encode(self.place))


def write_scans(
    pacer: Pacer,
    interval_s: float,
    is_stopping: Callable[[float], bool],
    on_scan: Callable[[Scan, Scan], None] = lambda _now, _next: None,
) -> None:
    """Write a scan every ``interval_s`` of wall time until ``is_stopping`` says so.

    ``on_scan`` gets the scan just written and the one that follows it. ``is_stopping`` waits for at
    most the seconds it is given. After a late scan there is no burst: the next one is written an
    interval later.
    """
    due = time.monotonic()
    while not is_stopping(max(0.0, due - time.monotonic())):
        scan = pacer.write_next()
        on_scan(scan, pacer.peek())
        due = max(due + interval_s, time.monotonic())


def archive_days(market: Market, archive: Path, first_us: int, last_us: int) -> list[Path]:
    """Write the archive of every whole day in [first, last) that has none, and return them."""
    written = []
    for day_us in range(first_us // DAY_US * DAY_US, last_us, DAY_US):
        path = archive / f"{from_us(day_us):%Y-%m-%d}.parquet"
        if path.exists():
            continue
        rows = market.rows_of(day_us, day_us + DAY_US)
        if rows:
            write_archive(path, ((scan, ARCHIVE_SOURCE) for scan in _numbered(market, rows)))
            written.append(path)
    return written


def _numbered(market: Market, rows: range) -> Iterator[Scan]:
    return numbered(scan for row in rows for scan in market.scans_at(row))
