"""Removes raw scans and book records, but only what an archive was verified to hold.

Which day folders may be removed is decided here. Age is counted in days before the newest day
folder, so that nothing is removed while NG6 is silent, and a replay of old days works the same.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec

from dolphin_realtime.books.archive import missing
from dolphin_realtime.infra.day_files import day_files, day_folders
from dolphin_realtime.model.errors import BookSourceError, ScanError
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.scans.archive import read_archive, read_left_out
from dolphin_realtime.scans.files import other_fields
from dolphin_realtime.scans.merge import archivable

Stamp = tuple[int, int]
"""Modification time and size: both must be unchanged when a verified file is removed."""


class NotHeld(Exception):  # noqa: N818 - a state of a folder, not a fault
    """An archive does not hold a file: the day folder stays."""


class Cleared(msgspec.Struct):
    """Day folders removed, and those that had to stay with the reason."""

    removed: list[str] = []
    kept: dict[str, str] = {}


def clear(scans: Path, archive: Path, keep_days: int) -> Cleared:
    """Remove the day folders older than ``keep_days`` that their archive was verified against.

    Args:
        scans: Folder of day folders.
        archive: Folder of archives.
        keep_days: 0 keeps everything, without reading the folders.
    """
    cleared = Cleared()
    if not keep_days:
        return cleared
    folders = day_folders(scans)
    for day in _old(folders, keep_days):
        try:
            _remove(verified(folders[day], archive / f"{day}.parquet"), folders[day])
            cleared.removed.append(day)
        except (NotHeld, ScanError, OSError) as e:
            cleared.kept[day] = str(e)
    return cleared


def _old(days: Iterable[str], keep_days: int) -> list[str]:
    """Return the days more than ``keep_days`` before the newest; empty if ``keep_days`` is 0."""
    found = sorted(days)
    if not (found and keep_days):
        return []
    newest = date.fromisoformat(found[-1])
    return [day for day in found if (newest - date.fromisoformat(day)).days > keep_days]


def _remove(held: dict[Path, Stamp], folder: Path) -> None:
    """Remove exactly the verified files, if unchanged, and then the empty folder."""
    for path, stamp in held.items():
        if _stamp(path) != stamp:
            raise NotHeld(f"{path.name}: changed since it was verified")
        path.unlink()
    folder.rmdir()


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def clear_books(books: Path, archive: Path, keep_days: int) -> Cleared:
    """Remove the recorded books older than ``keep_days`` that their archive holds whole.

    Args:
        books: Folder of `<day>.jsonl`.
        archive: Folder of archives.
        keep_days: 0 keeps everything.
    """
    cleared = Cleared()
    files = day_files(books, ".jsonl")
    for day in _old(files, keep_days):
        stamp = _stamp(files[day])
        try:
            why = missing(files[day], archive / f"{day}.parquet")
            if why is None and _stamp(files[day]) == stamp:
                files[day].unlink()
                cleared.removed.append(day)
            else:
                cleared.kept[day] = why or "changed since it was verified"
        except (BookSourceError, OSError) as e:
            cleared.kept[day] = str(e)
    return cleared


def verified(folder: Path, archive: Path) -> dict[Path, Stamp]:
    """Return the files of a day folder if its archive holds all of them unchanged.

    A file that is not a scan counts as held if the archive lists it as left out. A scan that was
    left out (a repeat with other prices, or out of order) does not count as held, nor does a file
    with a column that the archive does not keep.

    Raises:
        NotHeld: If there is no archive, or a file is not held; names the first such file.
        ScanError: If the archive is damaged.
        OSError: If a file cannot be read.
    """
    if not archive.is_file():
        raise NotHeld("not archived")
    held = {(s.timestamp_us, s.scan_number): s for s in read_archive(archive)}
    left_out = read_left_out(archive)
    found = {}
    for path in sorted(folder.iterdir()):
        stamp, data = _stamp(path), path.read_bytes()
        try:
            scan = archivable(data, path.name)
        except ScanError as e:
            if path.name not in left_out:
                raise NotHeld(f"{path.name}: {e}; the archive does not know of it") from e
            found[path] = stamp
            continue
        if not _is_same(held.get((scan.timestamp_us, scan.scan_number)), scan):
            raise NotHeld(f"{path.name}: not in the archive as it is")
        more = other_fields(data)
        if more:
            raise NotHeld(f"{path.name}: has {', '.join(more)}, which the archive does not keep")
        found[path] = stamp
    return found


def _is_same(held: Scan | None, scan: Scan) -> bool:
    return (
        held is not None
        and held.assets == scan.assets
        and _numbers(held.prices) == _numbers(scan.prices)
        and _numbers(held.eigenvalues) == _numbers(scan.eigenvalues)
    )


def _numbers(values: list[float | None]) -> list[str]:
    """Return numbers as text, so that a NaN equals another NaN."""
    return [repr(v) for v in values]
