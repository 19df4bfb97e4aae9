"""The last scan in a folder: a scanner that starts again goes on after it."""

from pathlib import Path
from typing import NamedTuple

from dolphin_realtime.model.errors import ScanError
from dolphin_realtime.scans.files import parse_scan


class LastScan(NamedTuple):
    """Number and instant of a scan."""

    number: int = 0
    timestamp_us: int = 0


def last_scan(folder: Path, until_us: int) -> LastScan:
    """Return the last readable scan of the newest day that has one; of none, number and instant 0.

    One that is later than ``until_us`` is passed over: it would end all scans until its time has come.
    """
    days = sorted((path for path in folder.glob("????-??-??") if path.is_dir()), reverse=True)
    for day in days:
        for path in sorted(
            day.glob("scan_*.arrow"), key=lambda p: p.stat().st_mtime_ns, reverse=True
        ):
            try:
                scan = parse_scan(path.read_bytes(), path.name)
            except (OSError, ScanError):
                continue
            if scan.timestamp_us <= until_us:
                return LastScan(scan.scan_number, scan.timestamp_us)
    return LastScan()
