"""Recorded scans by UTC day: an archive's files, day folders of scan files, or single files.

Finding the days and streaming one of them belong here; the format of a scan file belongs in
files.py. Days are read one at a time, unless the path is a single file or a folder without day
folders.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self

import pyarrow.parquet as pq

from dolphin_realtime.infra.day_files import day_files, day_folders
from dolphin_realtime.model.errors import ScanError, ScanFileError
from dolphin_realtime.model.instant import day_of
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.scans.archive import read_archive, read_left_out
from dolphin_realtime.scans.coverage import Reading, reasons_of
from dolphin_realtime.scans.files import parse_scan, rows_of_arrow

FOREIGN: Final = "of another day than its file's"


def order_of(scan: Scan) -> tuple[int, int]:
    """Return the sort key of a scan: instant, then number."""
    return scan.timestamp_us, scan.scan_number


def scans_in_folder(folder: Path, left_out: dict[str, str]) -> list[Scan]:
    """Return the readable scans of every scan file under a folder, sorted.

    Args:
        folder: Where they are, at any depth.
        left_out: Filled with the files that are not readable scans, and why.
    """
    scans = []
    for file in sorted(folder.rglob("*.arrow")):
        if file.name.startswith(".") or not file.is_file():
            continue
        name = str(file.relative_to(folder))
        try:
            scans.append(parse_scan(file.read_bytes(), name))
        except ScanError as e:
            left_out[name] = str(e)
        except OSError as e:
            left_out[name] = e.strerror or str(e)
    return sorted(scans, key=order_of)


def files_identity(files: Iterable[Path]) -> list[list[int | str]]:
    """Return the identity of files on disk: names, sizes, modification times."""
    return [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files]


class ScanDays:
    """The days of a path, and the scans of each.

    Attributes:
        days: YYYY-MM-DD, sorted.
        left_out: For each day read, the number of files and scans not used, by reason.
    """

    def __init__(self, places: dict[str, Path | list[Scan]]) -> None:
        self._places = places
        self.days = sorted(places)
        self.left_out: dict[str, Counter[str]] = {}

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the days of a folder of archives, of day folders, or of a single file.

        Raises:
            ScanFileError: If there is no scan at the path, or a single file cannot be read.
        """
        places: dict[str, Path | list[Scan]] = {}
        unreadable: dict[str, str] = {}
        if path.is_dir():
            places |= {**day_folders(path), **day_files(path, ".parquet")}
            loose = scans_in_folder(path, unreadable) if not places else []
        elif path.suffix == ".parquet":
            loose = list(read_archive(path))
        else:
            loose = list(rows_of_arrow(path))
        for scan in sorted(loose, key=order_of):
            days = places.setdefault(day_of(scan.timestamp_us), [])
            if isinstance(days, list):
                days.append(scan)
        if not places:
            raise ScanFileError(
                f"{path}: no scan in it; expected <day>.parquet archives, <day>/ folders of "
                "scan files, or one such file"
            )
        found = cls(places)
        if unreadable:  # their day is unknown
            found.left_out[found.days[0]] = reasons_of(unreadable)
        return found

    def scans(self, day: str) -> Iterator[Scan]:
        """Yield a day's scans by (timestamp, number); an archive is streamed.

        Raises:
            ScanFileError: If an archive cannot be read.
        """
        place = self._places.get(day, [])
        found: Iterable[Scan]
        found = place if isinstance(place, list) else self._open(day, place)
        for scan in found:
            if day_of(scan.timestamp_us) == day:
                yield scan
            else:
                self.left_out.setdefault(day, Counter())[FOREIGN] += 1

    def _open(self, day: str, place: Path) -> Iterable[Scan]:
        unreadable: dict[str, str] = {}
        if place.is_dir():
            scans: Iterable[Scan] = scans_in_folder(place, unreadable)
        else:
            unreadable = read_left_out(place)
            scans = read_archive(place)
        self.left_out[day] = reasons_of(unreadable)
        return scans

    def count(self, day: str) -> int:
        """Return roughly how many scans a day has, without reading them."""
        place = self._places.get(day, [])
        if isinstance(place, list):
            return len(place)
        if place.is_dir():
            return sum(1 for _ in place.glob("*.arrow"))
        try:
            rows: int = pq.read_metadata(place).num_rows
        except (OSError, ValueError):
            return 0
        return rows

    def identity(self, day: str) -> list[list[int | str]]:
        """Return the identity of a day's files: names, sizes, modification times."""
        place = self._places.get(day, [])
        if isinstance(place, list):
            return [[scan.scan_number, scan.timestamp_us] for scan in place]
        files = sorted(place.glob("*.arrow")) if place.is_dir() else [place]
        return files_identity(files)

    def between(self, first: str, last: str) -> list[str]:
        """Return the days from ``first`` to ``last``, both included."""
        return [day for day in self.days if first <= day <= last]

    def before(self, day: str, n: int) -> list[str]:
        """Return the ``n`` newest days before a day."""
        earlier = [d for d in self.days if d < day]
        return earlier[-n:] if n else []


def read_scans(path: Path, reading: Reading) -> Iterator[Scan]:
    """Yield the scans of a folder, an Arrow file or an archive in (timestamp, number) order.

    Raises:
        ScanFileError: If there is no scan at the path, or an archive cannot be read. Broken scan
            files of a folder do not raise: they are left out and recorded in ``reading``.
    """
    found = ScanDays.of(path)
    for day in found.days:
        yield from reading.of(sorted(found.scans(day), key=order_of), day)
        reading.leave_out(day, found.left_out.get(day, {}))
