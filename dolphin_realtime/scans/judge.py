"""Judging scan files for whoever writes them: one by one, and as a sequence. docs/scan-format.md says the rules.

What a reader refuses is wrong; what makes a scan useless, or surprises a reader, is a warning.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.model.errors import ScanError, ScanFileError, ScanOutOfOrder
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.market.asset_names import UNNAMED
from dolphin_realtime.model.market.cadence import LATE_CADENCES
from dolphin_realtime.model.market.scan import Scan, ScanOrder
from dolphin_realtime.model.market.scan_checks import coherence
from dolphin_realtime.scans.files import other_fields, parse_scan, refuse_unpublishable

_PATH: Final = re.compile(r"\d{4}-\d{2}-\d{2}/scan_\d{6,}_\d{6}\.arrow")
SHOWN: Final = 20


class Judgement(msgspec.Struct, kw_only=True):
    """What was found.

    Attributes:
        files: Files that were read.
        scans: Of them, those that are scans.
        wrong: Sentences on files that a reader refuses, the first SHOWN of each kind.
        warnings: Sentences on what a reader accepts and a writer should mend.
        cadence_s: Median time between two scans, None of fewer than three.
        longest_gap_s: Longest time between two scans.
        gaps: Times longer than three cadences.
    """

    files: int = 0
    scans: int = 0
    wrong: list[str] = []
    warnings: list[str] = []
    cadence_s: float | None = None
    longest_gap_s: float = 0.0
    gaps: int = 0


def judge_files(path: Path) -> Judgement:
    """Judge a file, or every scan file of a folder in the order of its names.

    Raises:
        ScanFileError: If there is no file at the path.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.arrow"))
    if not files:
        raise ScanFileError(f"{path}: no scan file (*.arrow)")
    found, kinds = Judgement(files=len(files), wrong=[], warnings=[]), Counter[str]()
    scans: list[Scan] = []
    for file in files:
        try:
            data = file.read_bytes()
            scan = parse_scan(data, str(file))
            refuse_unpublishable(scan, str(file))
        except (ScanError, OSError) as e:
            found.wrong.append(str(e))
            continue
        scans.append(scan)
        for kind, sentence in _odd(file, data, scan):
            kinds[kind] += 1
            if kinds[kind] <= SHOWN:
                found.warnings.append(f"{file}: {sentence}")
    found.scans = len(scans)
    _sequence(sorted(scans, key=lambda s: (s.timestamp_us, s.scan_number)), found)
    found.warnings += [f"{n - SHOWN} more: {kind}" for kind, n in kinds.items() if n > SHOWN]
    return found


def _odd(file: Path, data: bytes, scan: Scan) -> Iterator[tuple[str, str]]:
    """Yield what a reader accepts and a writer should mend, as (kind, sentence)."""
    if not _PATH.fullmatch(f"{file.parent.name}/{file.name}"):
        yield "path", "the path is not <YYYY-MM-DD>/scan_<number>_<HHMMSS>.arrow"
    elif not file.name.startswith(
        f"scan_{scan.scan_number:06d}_{from_us(scan.timestamp_us):%H%M%S}"
    ):
        yield (
            "path",
            f"the name does not say scan {scan.scan_number} at {from_us(scan.timestamp_us):%H:%M:%S}",
        )
    more = other_fields(data)
    if more:
        yield "columns", f"columns that nobody reads: {', '.join(more)}"
    bad = [name for name in scan.assets if name.startswith(UNNAMED)]
    if bad:
        yield "names", f"{len(bad)} names that are none (letters, digits, _ . : -)"
    if len(scan.eigenvalues) != len(scan.assets):
        yield "eigenvalues", f"{len(scan.eigenvalues)} eigenvalues of {len(scan.assets)} assets"
    if scan.assets:
        why = coherence(len(scan.assets), list(scan.prices), list(scan.eigenvalues)).why
        if why:
            yield "coherence", why
    else:
        yield "coherence", "no asset"


def _sequence(scans: Iterable[Scan], found: Judgement) -> None:
    """Judge the order of scans, and the times between them."""
    order, between, last = ScanOrder(), list[float](), None
    for scan in scans:
        try:
            is_new = order.accept(scan.scan_number, scan.timestamp_us)
        except ScanOutOfOrder as e:
            found.wrong.append(f"scan {scan.scan_number}: out of order: {e}")
            continue
        if not is_new:
            found.wrong.append(f"scan {scan.scan_number} is there twice")
        if last is not None and is_new:
            between.append((scan.timestamp_us - last) / 1e6)
        last = scan.timestamp_us
    if len(between) > 1:
        found.cadence_s = sorted(between)[len(between) // 2]
        found.longest_gap_s = max(between)
        found.gaps = sum(1 for s in between if s > LATE_CADENCES * found.cadence_s)
