"""Which scans a day has: those of its folder and those archived before, each once, in order.

The rule of merging belongs here. Files are read twice, once for their place in the day and
once for their rows, so that a day never lies in memory whole. What was archived first stays:
it is what was traded on.
"""

import heapq
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dolphin_realtime.archive.file import read_left_out, read_with_sources, write_archive
from dolphin_realtime.model.errors import ScanError, ScanOutOfOrder
from dolphin_realtime.model.scan import Scan, ScanOrder
from dolphin_realtime.scan_files import parse_scan, refuse_unpublishable

Key = tuple[int, int]


class Merged(msgspec.Struct):
    """What merging a day gave.

    Attributes:
        rows: Scans in the archive now.
        added: Of them, how many were not in it before.
        left_out: Files that are not in it, and why.
    """

    rows: int = 0
    added: int = 0
    left_out: dict[str, str] = {}


def read_file(path: Path) -> Scan:
    """Return the scan of a file that may be archived.

    Raises:
        ScanError: If it is no scan, or one that the bridge would not publish.
        OSError: If it cannot be read.
    """
    scan = parse_scan(path.read_bytes(), path.name)
    refuse_unpublishable(scan, path.name)
    return scan


def merge_day(folder: Path, archive: Path) -> Merged:
    """Write a day's archive anew from its folder and from the archive so far.

    Where nothing is to be added, the archive stays as it is; of no scan at all none is made.

    Raises:
        ScanFileError: If the archive so far cannot be read.
        OSError: If the new one cannot be written.
    """
    merged = Merged()
    kept: set[Key] = set()
    if archive.is_file():
        kept = {(s.timestamp_us, s.scan_number) for s, _ in read_with_sources(archive)}
        merged.left_out = read_left_out(archive)
    known = dict(merged.left_out)
    found = _index(folder, merged)
    new = sorted((key, path) for key, path in found.items() if key not in kept)
    if not new and merged.left_out == known:
        merged.rows = len(kept)
        return merged
    if not (new or kept):
        return merged
    rows = _in_order(archive if kept else None, [path for _, path in new], merged)
    merged.rows = write_archive(archive, rows, merged.left_out)
    return merged


def _index(folder: Path, merged: Merged) -> dict[Key, Path]:
    """Return the first file of each (timestamp, number); note what is none."""
    found: dict[Key, Path] = {}
    for path in sorted(folder.glob("*.arrow")) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        try:
            scan = read_file(path)
        except (ScanError, OSError) as e:
            merged.left_out[path.name] = str(e)
            continue
        key = (scan.timestamp_us, scan.scan_number)
        if key in found:
            merged.left_out[path.name] = f"repeats {found[key].name}"
        else:
            found[key] = path
    return found


def _in_order(archive: Path | None, new: list[Path], merged: Merged) -> Iterator[tuple[Scan, str]]:
    """Yield the day's scans with epochs of its own; what is out of order is noted."""
    old = read_with_sources(archive) if archive is not None else iter(())
    files = ((read_file(path), path.name) for path in new)
    order = ScanOrder()
    both = heapq.merge(
        ((scan, source, False) for scan, source in old),
        ((scan, source, True) for scan, source in files),
        key=lambda row: (row[0].timestamp_us, row[0].scan_number),
    )
    for scan, source, is_new in both:
        try:
            is_next = order.accept(scan.scan_number, scan.timestamp_us)
        except ScanOutOfOrder as e:
            merged.left_out[source] = str(e)
            continue
        if not is_next:
            merged.left_out[source] = f"repeats scan {scan.scan_number}"
            continue
        scan.epoch = order.epoch
        merged.added += is_new
        yield scan, source
