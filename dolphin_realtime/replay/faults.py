"""Simulated faults of NG6 and its share: cut-off writes, broken files, restarted numbers.

For tests and drills of the bridge. Each ``write_`` function leaves one file in the scan folder.
"""

from pathlib import Path

import msgspec
import pyarrow as pa

from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.scans.files import scan_path, to_bytes


def _target(scan_dir: Path, scan: Scan) -> Path:
    path = scan_path(scan_dir, scan)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_cut_off(scan_dir: Path, scan: Scan) -> Path:
    """Write the first half of a scan file and stop."""
    path = _target(scan_dir, scan)
    data = to_bytes(scan)
    path.write_bytes(data[: len(data) // 2])
    return path


def write_garbage(scan_dir: Path, scan: Scan) -> Path:
    """Write a file that is not an Arrow file."""
    path = _target(scan_dir, scan)
    path.write_bytes(b"<html>503 Service Unavailable</html>")
    return path


def write_wrong_field(scan_dir: Path, scan: Scan) -> Path:
    """Write an Arrow file whose prices are texts."""
    path = _target(scan_dir, scan)
    table = pa.table({"scan_number": [scan.scan_number], "asset_prices": [["1.0"]]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


def write_unequal(scan_dir: Path, scan: Scan) -> Path:
    """Write a scan with one price less than assets."""
    path = _target(scan_dir, scan)
    path.write_bytes(to_bytes(msgspec.structs.replace(scan, prices=scan.prices[:-1])))
    return path


def restarted(scan: Scan) -> Scan:
    """Return the scan as NG6 would number it after a restart."""
    return msgspec.structs.replace(scan, scan_number=1)
