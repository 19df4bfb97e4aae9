"""Clearing away raw scans and book records: only what an archive was verified to hold.

Which day folders may go is decided here. Age is counted in days from the newest day folder,
so that nothing goes while NG6 is silent, and a replay of years ago is treated alike.
"""

import shutil
from datetime import date
from pathlib import Path

import msgspec

from dolphin_realtime.archive.books import holds
from dolphin_realtime.archive.file import read_left_out, read_with_sources
from dolphin_realtime.archive.merge import read_file
from dolphin_realtime.model.errors import ScanError
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.scan_files import day_folders


class Cleared(msgspec.Struct):
    """Day folders removed, and those that had to stay with the reason."""

    removed: list[str] = []
    kept: dict[str, str] = {}


def clear(scans: Path, archive: Path, keep_days: int) -> Cleared:
    """Remove the day folders older than ``keep_days`` that their archive was verified against.

    Args:
        scans: Folder of day folders.
        archive: Folder of archives.
        keep_days: 0 keeps everything.

    Raises:
        OSError: If a verified folder cannot be removed.
    """
    cleared = Cleared()
    folders = day_folders(scans)
    if not (folders and keep_days):
        return cleared
    newest = date.fromisoformat(max(folders))
    for day, folder in folders.items():
        if (newest - date.fromisoformat(day)).days <= keep_days:
            continue
        why = difference(folder, archive / f"{day}.parquet")
        if why is not None:
            cleared.kept[day] = why
            continue
        shutil.rmtree(folder)
        cleared.removed.append(day)
    return cleared


def clear_books(books: Path, archive: Path, keep_days: int) -> Cleared:
    """Remove the recorded books older than ``keep_days`` that their archive holds whole.

    Args:
        books: Folder of `<day>.jsonl`.
        archive: Folder of archives.
        keep_days: 0 keeps everything.

    Raises:
        OSError: If a file cannot be read or removed.
    """
    cleared = Cleared()
    files = {p.stem: p for p in sorted(books.glob("????-??-??.jsonl"))}
    if not (files and keep_days):
        return cleared
    newest = date.fromisoformat(max(files))
    for day, file in files.items():
        if (newest - date.fromisoformat(day)).days <= keep_days:
            continue
        if holds(file, archive / f"{day}.parquet"):
            file.unlink()
            cleared.removed.append(day)
        else:
            cleared.kept[day] = "not archived whole"
    return cleared


def difference(folder: Path, archive: Path) -> str | None:
    """Return the first file of a folder that its archive does not hold as it is, or None.

    A file that is no scan counts as held where the archive has it on record as left out; a
    scan that it left out (a repeat with other prices, one out of order) is held nowhere.
    """
    if not archive.is_file():
        return f"{archive.name} is not there"
    try:
        held = {(s.timestamp_us, s.scan_number): s for s, _ in read_with_sources(archive)}
        left_out = read_left_out(archive)
    except ScanError as e:
        return str(e)
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        try:
            scan = read_file(path)
        except (ScanError, OSError) as e:
            if path.name not in left_out:
                return f"{path.name}: {e}; the archive does not know of it"
            continue
        if not _is_same(held.get((scan.timestamp_us, scan.scan_number)), scan):
            return f"{path.name}: not in the archive as it is"
    return None


def _is_same(held: Scan | None, scan: Scan) -> bool:
    return (
        held is not None
        and held.assets == scan.assets
        and _numbers(held.prices) == _numbers(scan.prices)
        and _numbers(held.eigenvalues) == _numbers(scan.eigenvalues)
    )


def _numbers(values: list[float | None]) -> list[str]:
    """Return numbers as text: a NaN is equal to itself."""
    return [repr(v) for v in values]
