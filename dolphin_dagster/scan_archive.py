"""The scan archive: a day's scan files as one sorted, deduplicated Parquet file.

The asset and the merge rule belong here; the file's layout is
dolphin_realtime/scan_files.py's. A day can be materialized again when more scans came:
what the archive already holds is kept.
"""

from pathlib import Path
from typing import Any, Final

import dagster as dg
import msgspec

from dolphin_dagster import pools
from dolphin_dagster.partitions import scan_days
from dolphin_realtime.model.errors import ScanError, ScanOutOfOrder
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.scan import Scan, ScanOrder
from dolphin_realtime.scan_files import (
    ARCHIVE_SCHEMA,
    parse_scan,
    read_archive,
    refuse_unpublishable,
    write_archive,
)
from dolphin_realtime.settings import Settings, load

NAME: Final = "scan_archive"
KEPT: Final = "archive"
"""Source of a scan that only an earlier archive still holds."""


class Day(msgspec.Struct):
    """A day's scans in market order, each with its file; what was left out is counted."""

    scans: list[Scan] = []
    sources: list[str] = []
    n_bad: int = 0
    n_refused: int = 0


def collect(folder: Path, archive: Path) -> Day:
    """Return the day's scans from its folder and from its archive so far."""
    day = Day()
    found: list[tuple[Scan, str]] = []
    if archive.is_file():
        found += [(scan, KEPT) for scan in read_archive(archive)]
    for file in sorted(folder.glob("*.arrow")) if folder.is_dir() else []:
        try:
            scan = parse_scan(file.read_bytes(), file.name)
            refuse_unpublishable(scan, file.name)
            found.append((scan, file.name))
        except ScanError:
            day.n_bad += 1
    order = ScanOrder()
    seen: set[tuple[int, int]] = set()
    for scan, source in sorted(
        found, key=lambda pair: (pair[0].timestamp_us, pair[0].scan_number, pair[1] == KEPT)
    ):
        key = (scan.timestamp_us, scan.scan_number)
        if key in seen:
            continue
        seen.add(key)
        try:
            order.accept(scan.scan_number, scan.timestamp_us)
        except ScanOutOfOrder:
            day.n_refused += 1
            continue
        scan.epoch = order.epoch
        day.scans.append(scan)
        day.sources.append(source)
    return day


def _columns() -> dg.TableSchema:
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, str(field.type)) for field in ARCHIVE_SCHEMA]
    )


def make_scan_archive(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by the days that the settings name."""

    @dg.asset(
        name=NAME,
        group_name="archive",
        pool=pools.SCAN,
        partitions_def=scan_days(settings),
        owners=["team:dolphin"],
        kinds={"parquet", "arrow"},
        deps=["scan_feed"],
        description=(
            "One day's scans, sorted by time, each once, in `archive/<day>.parquet`. "
            "Materialize a day again when more scans have come; nothing archived is lost."
        ),
        metadata={"dagster/column_schema": _columns()},
    )
    def scan_archive(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Write the day's archive."""
        now = load()
        name = context.partition_key
        path = now.archive / f"{name}.parquet"
        day = collect(now.scans / name, path)
        if not day.scans:
            raise dg.Failure(f"no scan of {name} in {now.scans / name} and none in {path}")
        write_archive(path, day.scans, day.sources)
        return dg.MaterializeResult(metadata=_facts(day, path))

    return scan_archive


def _facts(day: Day, path: Path) -> dict[str, Any]:
    notes = sorted({s.simulated for s in day.scans if s.simulated})
    return {
        "dagster/row_count": len(day.scans),
        "bad_files": day.n_bad,
        "out_of_order": day.n_refused,
        "assets": len({a for s in day.scans for a in s.assets}),
        "epochs": day.scans[-1].epoch,
        "bytes": path.stat().st_size,
        "first": dg.MetadataValue.timestamp(from_us(day.scans[0].timestamp_us)),
        "last": dg.MetadataValue.timestamp(from_us(day.scans[-1].timestamp_us)),
        "path": dg.MetadataValue.path(str(path)),
        "simulated": "; ".join(notes) or "no",
    }
