"""Merges a day's scans: those of its folder and those archived before, each once, in order.

The rule of merging belongs here. Files are read twice, once for their place in the day and
once for their rows, so that a whole day is never in memory. What was archived first stays:
it is what was traded on.
"""

from collections.abc import Iterator
from copy import copy
from pathlib import Path

import msgspec

from dolphin_realtime.infra.day_files import is_day
from dolphin_realtime.model.errors import ScanError, ScanOutOfOrder
from dolphin_realtime.model.instant import day_of
from dolphin_realtime.model.market.scan import Scan, ScanOrder
from dolphin_realtime.scans.archive import (
    read_keys,
    read_left_out,
    read_with_sources,
    write_archive,
)
from dolphin_realtime.scans.files import parse_scan, refuse_unpublishable

Key = tuple[int, int]


class Merged(msgspec.Struct):
    """The result of merging a day.

    Attributes:
        rows: Scans in the archive now.
        added: How many of them were not in it before.
        left_out: Files that are not in it, and why.
        unread: Files that could not be read now.
    """

    rows: int = 0
    added: int = 0
    left_out: dict[str, str] = {}
    unread: int = 0


def archivable(data: bytes, name: str) -> Scan:
    """Return the scan of a file that may be archived.

    Raises:
        ScanError: If it is not a scan, or one that the bridge would not publish.
    """
    scan = parse_scan(data, name)
    refuse_unpublishable(scan, name)
    return scan


def merge_day(folder: Path, archive: Path) -> Merged:
    """Rewrite a day's archive from its folder and from the archive so far.

    If there is nothing to add, the archive stays as it is; without any scan none is created.

    Raises:
        ScanFileError: If the archive so far cannot be read.
        OSError: If the new one cannot be written.
    """
    merged = Merged()
    kept: set[Key] = set()
    if archive.is_file():
        kept = read_keys(archive)
        merged.left_out = read_left_out(archive)
    known = dict(merged.left_out)
    found = _index(folder, archive.stem, merged)
    new = sorted((key, path) for key, path in found.items() if key not in kept)
    if not new and merged.left_out == known:
        merged.rows = len(kept)
        return merged
    if not (new or kept):
        return merged
    rows = _in_order(archive if kept else None, [path for _, path in new], merged)
    merged.rows = write_archive(archive, rows, merged.left_out)
    return merged


def _index(folder: Path, day: str, merged: Merged) -> dict[Key, Path]:
    """Return the first file of each (timestamp, number); record the other files as left out.

    A file that cannot be read now is only counted: the next merge tries it again.
    """
    found: dict[Key, Path] = {}
    for path in sorted(folder.glob("*.arrow")) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        try:
            scan = archivable(path.read_bytes(), path.name)
        except ScanError as e:
            merged.left_out[path.name] = str(e)
            continue
        except OSError:
            merged.unread += 1
            continue
        key = (scan.timestamp_us, scan.scan_number)
        if is_day(day) and day_of(scan.timestamp_us) != day:
            merged.left_out[path.name] = f"its timestamp is of {day_of(scan.timestamp_us)}"
        elif key in found:
            merged.left_out[path.name] = f"repeats {found[key].name}"
        else:
            merged.left_out.pop(path.name, None)
            found[key] = path
    return found


def _in_order(archive: Path | None, new: list[Path], merged: Merged) -> Iterator[tuple[Scan, str]]:
    """Yield the day's scans, with epochs counted within the day.

    Every archived scan is kept; a new one is added only if the archived scan after it is then
    neither dropped nor moved to another epoch.
    """
    old = read_with_sources(archive) if archive is not None else iter(())
    order = ScanOrder()
    following = next(old, None)
    for path in new:
        scan = archivable(path.read_bytes(), path.name)
        while following is not None and _place(following[0]) <= _place(scan):
            yield _accepted(order, *following)
            following = next(old, None)
        why = _obstacle(order, scan, following[0] if following else None)
        if why is not None:
            merged.left_out[path.name] = why
            continue
        merged.added += 1
        yield _accepted(order, scan, path.name)
    while following is not None:
        yield _accepted(order, *following)
        following = next(old, None)


def _place(scan: Scan) -> Key:
    return scan.timestamp_us, scan.scan_number


def _accepted(order: ScanOrder, scan: Scan, source: str) -> tuple[Scan, str]:
    order.accept(scan.scan_number, scan.timestamp_us)
    return msgspec.structs.replace(scan, epoch=order.epoch), source


def _obstacle(order: ScanOrder, scan: Scan, following: Scan | None) -> str | None:
    """Return why a new scan does not fit before the archived scan after it, None if it fits."""
    without, having = copy(order), copy(order)
    try:
        if not having.accept(scan.scan_number, scan.timestamp_us):
            return f"repeats scan {scan.scan_number}"
        if following is None:
            return None
        is_kept = having.accept(following.scan_number, following.timestamp_us)
        without.accept(following.scan_number, following.timestamp_us)
    except ScanOutOfOrder as e:
        return str(e)
    if not is_kept or having.epoch != without.epoch:
        return f"stands against scan {following.scan_number}, archived before"
    return None
