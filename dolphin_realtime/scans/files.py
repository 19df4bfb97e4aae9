"""Scan files on disk: reading and writing one scan.

The agreed Arrow layout belongs here; finding new files (services/bridge/) and a day's archive
(archive.py) do not. Timestamps are UTC microseconds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from dolphin_realtime.infra import files
from dolphin_realtime.model.errors import ScanFileError, ScanIncomplete
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.market.asset_names import named
from dolphin_realtime.model.market.scan import Scan

SCHEMA: Final = pa.schema(
    [
        ("scan_number", pa.int64()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("assets", pa.list_(pa.string())),
        ("asset_prices", pa.list_(pa.float64())),
        ("eigenvalues", pa.list_(pa.float64())),
    ]
)
SAME: Final = {
    "timestamp": tuple(pa.timestamp("us", tz=zone) for zone in ("Etc/UTC", "+00:00", "Z"))
}
"""Types that are equivalent to the schema's."""
SIMULATED: Final = b"simulated"
UNREADABLE: Final = (ValueError, OverflowError, NotImplementedError, OSError, MemoryError)
"""What pyarrow raises on a malformed file: a wrong layout, text that is not UTF-8, an
instant beyond year 9999, a length that no memory holds."""
_MAGIC: Final = b"ARROW1"


def scan_path(scan_dir: Path, scan: Scan) -> Path:
    """Return where NG6 puts a scan: <dir>/<day>/scan_<number>_<HHMMSS>.arrow."""
    moment = from_us(scan.timestamp_us)
    return scan_dir / f"{moment:%Y-%m-%d}" / f"scan_{scan.scan_number:06d}_{moment:%H%M%S}.arrow"


def columns_of(scan: Scan) -> dict[str, list[Any]]:
    """Return a scan as columns of one row."""
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
    batch = pa.record_batch(columns_of(scan), schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def write_scan(scan_dir: Path, scan: Scan) -> Path:
    """Write a scan file by rename and return its path."""
    path = scan_path(scan_dir, scan)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, to_bytes(scan))
    return path


def parse_scan(data: bytes, name: str) -> Scan:
    """Return the scan held in the bytes of a scan file.

    Raises:
        ScanIncomplete: If the bytes end too early.
        ScanFileError: If they can never become a scan; names the file, field and value.
    """
    head = data[: len(_MAGIC)]
    if not head.strip(b"\0") and data:
        raise ScanIncomplete(f"{name}: {len(data)} bytes that begin with zeros")
    if not _MAGIC.startswith(head):
        raise ScanFileError(f"{name}: not an Arrow file, it begins with {head!r}")
    if len(data) <= 2 * len(_MAGIC) or not data.endswith(_MAGIC):
        raise ScanIncomplete(f"{name}: {len(data)} bytes without an Arrow footer")
    try:
        with pa.ipc.open_file(pa.py_buffer(data)) as file:
            scan = _only_scan(file, name)
            metadata = file.schema.metadata or {}
    except UNREADABLE as e:
        raise ScanFileError(f"{name}: {e}") from e
    simulated = metadata.get(SIMULATED)
    note = simulated.decode("utf-8", "replace") if simulated else None
    return msgspec.structs.replace(scan, simulated=note)


def _read_whole(data: bytes) -> pa.Table:
    """Return the table of an Arrow file, validated: wrong offsets would crash the process."""
    table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    table.validate(full=True)
    return table


def _only_scan(file: pa.ipc.RecordBatchFileReader, name: str) -> Scan:
    """Return the one scan of an open file; a scan waits for it, so nothing is copied twice."""
    batches = [file.get_batch(n) for n in range(file.num_record_batches)]
    for batch in batches:
        batch.validate(full=True)
    n_rows = sum(batch.num_rows for batch in batches)
    if n_rows != 1:
        raise ScanFileError(f"{name}: {n_rows} rows, expected 1")
    refuse_other_types(file.schema, name)
    (batch,) = (batch for batch in batches if batch.num_rows)
    cells = {field: batch.column(field)[0] for field in SCHEMA.names}
    row = {field: cells[field].as_py() for field in ("scan_number", "assets")}
    row["timestamp"] = cells["timestamp"].value
    for field in ("asset_prices", "eigenvalues"):
        row[field] = _floats(cells[field].values)
    return _scan_of(row, name)


def _floats(values: pa.Array | None) -> list[float | None] | None:
    if values is None or values.null_count:
        return None if values is None else values.to_pylist()
    return values.to_numpy().tolist()  # type: ignore[no-any-return]


def refuse_other_types(schema: pa.Schema, name: str) -> None:
    """Raise if a schema lacks a field of a scan or has one of another type.

    Raises:
        ScanFileError: Naming the field and its type.
    """
    if schema.equals(SCHEMA):
        return
    for field in SCHEMA:
        index = schema.get_field_index(field.name)
        if index < 0:
            raise ScanFileError(f"{name}: field {field.name!r} is missing or doubled")
        found = schema.field(index).type
        if found != field.type and found not in SAME.get(field.name, ()):
            raise ScanFileError(f"{name}: field {field.name!r} is {found}, expected {field.type}")


def other_fields(data: bytes) -> list[str]:
    """Return the columns of a scan file that do not belong to a scan."""
    with pa.ipc.open_file(pa.py_buffer(data)) as file:
        return sorted(set(file.schema.names) - set(SCHEMA.names))


def rows_of_arrow(path: Path) -> Iterator[Scan]:
    """Yield the scans of an Arrow IPC file of any number of rows.

    Raises:
        ScanFileError: If the file is not one, or a row is not a scan.
    """
    try:
        table = _read_whole(path.read_bytes())
        refuse_other_types(table.schema, path.name)
    except UNREADABLE as e:
        raise ScanFileError(f"{path}: {e}") from e
    instants = table.column("timestamp").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    for row, at_us in zip(table.to_pylist(), instants.to_pylist(), strict=True):
        yield _scan_of({**row, "timestamp": at_us}, path.name)


def _scan_of(row: dict[str, Any], name: str) -> Scan:
    for field in SCHEMA.names:
        if row[field] is None:
            raise ScanFileError(f"{name}: field {field!r} is null")
    if row["scan_number"] < 0:
        raise ScanFileError(f"{name}: field 'scan_number' is {row['scan_number']}")
    if None in row["assets"]:
        raise ScanFileError(f"{name}: field 'assets' holds a null at {row['assets'].index(None)}")
    from_us(row["timestamp"])  # raises for an instant beyond year 9999
    assets, prices = named(row["assets"], row["asset_prices"])
    return Scan(
        scan_number=row["scan_number"],
        timestamp_us=row["timestamp"],
        assets=assets,
        prices=prices,
        eigenvalues=row["eigenvalues"],
    )


def refuse_unpublishable(scan: Scan, name: str) -> None:
    """Raise if a scan cannot be published as a document.

    Raises:
        ScanFileError: On unequal lengths or a duplicate asset name.
    """
    if len(scan.assets) != len(scan.prices):
        raise ScanFileError(
            f"{name}: {len(scan.assets)} assets but {len(scan.prices)} asset_prices"
        )
    if len(set(scan.assets)) != len(scan.assets):
        twice = next(a for a in scan.assets if scan.assets.count(a) > 1)
        raise ScanFileError(f"{name}: field 'assets' names {twice!r} twice")
