"""Scan files on disk: reading and writing one scan, and a day's archive.

The Arrow layout of contracts belongs here; finding new files (bridge/) and the archive as
a Dagster asset do not. Timestamps are UTC microseconds.
"""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.model.errors import ScanFileError, ScanIncomplete
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.scan import Scan

SCHEMA: Final = pa.schema(
    [
        ("scan_number", pa.int64()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("assets", pa.list_(pa.string())),
        ("asset_prices", pa.list_(pa.float64())),
        ("eigenvalues", pa.list_(pa.float64())),
    ]
)
ARCHIVE_SCHEMA: Final = SCHEMA.append(pa.field("epoch", pa.int64())).append(
    pa.field("source", pa.string())
)
ARCHIVE_COLUMNS: Final = [*SCHEMA.names, "epoch"]
SIMULATED: Final = b"simulated"
_UNREADABLE: Final = (ValueError, OverflowError, NotImplementedError, OSError)
"""What pyarrow raises of a file that is none: a wrong layout, a text that is no UTF-8, an
instant beyond year 9999."""
_MAGIC: Final = b"ARROW1"


def scan_path(scan_dir: Path, scan: Scan) -> Path:
    """Return where NG6 puts a scan: <dir>/<day>/scan_<number>_<HHMMSS>.arrow."""
    moment = from_us(scan.timestamp_us)
    return scan_dir / f"{moment:%Y-%m-%d}" / f"scan_{scan.scan_number:06d}_{moment:%H%M%S}.arrow"


def _columns(scan: Scan) -> dict[str, list[Any]]:
    return {
        "scan_number": [scan.scan_number],
        "timestamp": [scan.timestamp_us],
        "assets": [scan.assets],
        "asset_prices": [scan.prices],
        "eigenvalues": [scan.eigenvalues],
    }


def to_bytes(scan: Scan) -> bytes:
    """Return a scan as one Arrow IPC file of one row."""
    metadata = {SIMULATED: scan.simulated.encode()} if scan.simulated else None
    schema = SCHEMA.with_metadata(metadata)
    batch = pa.record_batch(_columns(scan), schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def write_scan(scan_dir: Path, scan: Scan) -> Path:
    """Write a scan file by rename and return its path."""
    path = scan_path(scan_dir, scan)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(to_bytes(scan))
    partial.rename(path)
    return path


def parse_scan(data: bytes, name: str) -> Scan:
    """Return the scan held in the bytes of a scan file.

    Raises:
        ScanIncomplete: If the bytes end too early.
        ScanFileError: If they can never become a scan; names the file, field and value.
    """
    if len(data) <= 2 * len(_MAGIC) or not data.endswith(_MAGIC):
        if data and not _MAGIC.startswith(data[:6]):
            raise ScanFileError(f"{name}: not an Arrow file, it begins with {data[:6]!r}")
        raise ScanIncomplete(f"{name}: {len(data)} bytes without an Arrow footer")
    try:
        table = _read_whole(data)
        _refuse_other_schema(table, name)
        metadata = table.schema.metadata or {}
        scan = _scan_of(table.to_pylist()[0], name)
    except _UNREADABLE as e:
        raise ScanFileError(f"{name}: {e}") from e
    simulated = metadata.get(SIMULATED)
    scan.simulated = simulated.decode("utf-8", "replace") if simulated else None
    return scan


def _read_whole(data: bytes) -> pa.Table:
    """Return the table of an Arrow file, its buffers checked: wrong offsets end a process."""
    table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    table.validate(full=True)
    return table


def _refuse_other_schema(table: pa.Table, name: str) -> None:
    if table.num_rows != 1:
        raise ScanFileError(f"{name}: {table.num_rows} rows, expected 1")
    _refuse_other_types(table.schema, name)


def _refuse_other_types(schema: pa.Schema, name: str) -> None:
    for field in SCHEMA:
        index = schema.get_field_index(field.name)
        if index < 0:
            raise ScanFileError(f"{name}: field {field.name!r} is missing or doubled")
        found = schema.field(index).type
        if found != field.type:
            raise ScanFileError(f"{name}: field {field.name!r} is {found}, expected {field.type}")


def rows_of_arrow(path: Path) -> Iterator[Scan]:
    """Yield the scans of an Arrow IPC file of any number of rows.

    Raises:
        ScanFileError: If the file is not one, or a row is no scan.
    """
    try:
        table = _read_whole(path.read_bytes())
        _refuse_other_types(table.schema, path.name)
    except _UNREADABLE as e:
        raise ScanFileError(f"{path}: {e}") from e
    for row in table.to_pylist():
        yield _scan_of(row, path.name)


def _scan_of(row: dict[str, Any], name: str) -> Scan:
    for field in SCHEMA.names:
        if row[field] is None:
            raise ScanFileError(f"{name}: field {field!r} is null")
    if row["scan_number"] < 0:
        raise ScanFileError(f"{name}: field 'scan_number' is {row['scan_number']}")
    if None in row["assets"]:
        raise ScanFileError(f"{name}: field 'assets' holds a null at {row['assets'].index(None)}")
    moment = row["timestamp"]
    return Scan(
        scan_number=row["scan_number"],
        timestamp_us=_microseconds(moment),
        assets=row["assets"],
        prices=row["asset_prices"],
        eigenvalues=row["eigenvalues"],
    )


def _microseconds(moment: Any) -> int:
    return int(pa.scalar(moment, pa.timestamp("us", tz="UTC")).value)


def refuse_unpublishable(scan: Scan, name: str) -> None:
    """Raise where a scan cannot be carried as a document.

    Raises:
        ScanFileError: On unequal lengths or a name that is there twice.
    """
    if len(scan.assets) != len(scan.prices):
        raise ScanFileError(
            f"{name}: {len(scan.assets)} assets but {len(scan.prices)} asset_prices"
        )
    if len(set(scan.assets)) != len(scan.assets):
        twice = next(a for a in scan.assets if scan.assets.count(a) > 1)
        raise ScanFileError(f"{name}: field 'assets' names {twice!r} twice")


def write_archive(path: Path, scans: list[Scan], sources: list[str]) -> None:
    """Write a day's scans, in order, as one zstd Parquet file, atomically."""
    columns: dict[str, list[Any]] = {name: [] for name in ARCHIVE_SCHEMA.names}
    for scan, source in zip(scans, sources, strict=True):
        for name, values in _columns(scan).items():
            columns[name] += values
        columns["epoch"].append(scan.epoch)
        columns["source"].append(source)
    notes = sorted({s.simulated for s in scans if s.simulated})
    schema = ARCHIVE_SCHEMA.with_metadata({SIMULATED: "; ".join(notes).encode()} if notes else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    pq.write_table(pa.table(columns, schema=schema), partial, compression="zstd")
    partial.rename(path)


def read_archive(path: Path, batch_rows: int = 512) -> Iterator[Scan]:
    """Yield the scans of an archive file in order, without loading it whole.

    Raises:
        ScanFileError: If the file is not a scan archive.
    """
    try:
        with pq.ParquetFile(path) as file:
            _refuse_other_types(file.schema_arrow, path.name)
            metadata = file.schema_arrow.metadata or {}
            note = metadata.get(SIMULATED)
            simulated = note.decode("utf-8", "replace") if note else None
            for batch in file.iter_batches(batch_rows, columns=ARCHIVE_COLUMNS):
                for scan in _scans_of(batch, path.name):
                    scan.simulated = simulated
                    yield scan
    except (pa.ArrowInvalid, OSError, KeyError) as e:
        raise ScanFileError(f"{path}: {e}") from e


def _scans_of(batch: pa.RecordBatch, name: str) -> Iterator[Scan]:
    """Yield a batch's rows as scans; rows that list the same assets share the list."""
    columns = {c: batch.column(c) for c in batch.schema.names}
    for field in SCHEMA.names:
        if columns[field].null_count:
            raise ScanFileError(f"{name}: field {field!r} is null")
    numbers = columns["scan_number"].to_pylist()
    times = columns["timestamp"].cast(pa.int64()).to_pylist()
    epochs = columns["epoch"].to_pylist() if "epoch" in columns else [1] * len(numbers)
    prices, eigenvalues = (_lists(columns[c]) for c in ("asset_prices", "eigenvalues"))
    assets: list[Any] = []
    before: pa.Array = None
    for n, names in enumerate(_slices(columns["assets"])):
        if before is None or not names.equals(before):
            assets, before = names.to_pylist(), names
            if None in assets:
                raise ScanFileError(f"{name}: field 'assets' holds a null at {assets.index(None)}")
        if numbers[n] < 0:
            raise ScanFileError(f"{name}: field 'scan_number' is {numbers[n]}")
        yield Scan(
            scan_number=numbers[n],
            timestamp_us=times[n],
            assets=assets,
            prices=prices[n],
            eigenvalues=eigenvalues[n],
            epoch=epochs[n] or 1,
        )


def _slices(column: pa.ListArray) -> Iterator[pa.Array]:
    values, offsets = column.values, column.offsets.to_pylist()
    return (values[a:b] for a, b in pairwise(offsets))


def _lists(column: pa.ListArray) -> list[list[float | None]]:
    """Return each row's numbers, None where one is null."""
    values, offsets = column.values, column.offsets.to_pylist()
    flat = values.to_pylist() if values.null_count else values.to_numpy().tolist()
    return [flat[a:b] for a, b in pairwise(offsets)]
