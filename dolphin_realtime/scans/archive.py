"""A day's scan archive: `<day>.parquet`, one row per scan, sorted, zstd.

The columns, and streaming them out and in, belong here; which scans a day has, in merge.py.
Facts about the whole day (what is simulated, which files were left out) are in the file's own
metadata. A file is synced to disk and then renamed into place.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.infra import files
from dolphin_realtime.model.errors import ScanFileError
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.scans.files import SCHEMA, SIMULATED, columns_of, refuse_other_types

ARCHIVE_SCHEMA: Final = SCHEMA.append(pa.field("epoch", pa.int64())).append(
    pa.field("source", pa.string())
)
LEFT_OUT: Final = b"left_out"
ROWS_A_GROUP: Final = 512
"""Rows that a reader holds in memory: 512 scans of 400 assets are about 4 MB."""
_READ: Final = [*SCHEMA.names, "epoch"]


def write_archive(
    path: Path, rows: Iterable[tuple[Scan, str]], left_out: Mapping[str, str] | None = None
) -> int:
    """Write a day's scans, in order, each with its source; return their count.

    Args:
        path: The file; it is replaced as a whole.
        rows: Streamed; scans with their epoch.
        left_out: Files left out, and why. It may grow while ``rows`` is consumed: it is read last.

    Raises:
        OSError: If the file cannot be written; the old one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files.clear_debris(path)
    notes: set[str] = set()
    n_rows = 0
    with (
        files.replacing(path, is_durable=True) as partial,
        pq.ParquetWriter(partial, ARCHIVE_SCHEMA, compression="zstd") as writer,
    ):
        for table, found in _tables(rows):
            writer.write_table(table)
            notes |= found
            n_rows += table.num_rows
        metadata = {SIMULATED: "; ".join(sorted(notes)), LEFT_OUT: _encode(left_out or {})}
        writer.add_key_value_metadata({k: v for k, v in metadata.items() if v})
    return n_rows


def _encode(left_out: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(left_out)).decode() if left_out else ""


def _tables(rows: Iterable[tuple[Scan, str]]) -> Iterator[tuple[pa.Table, set[str]]]:
    """Yield tables of ROWS_A_GROUP scans, each with its scans' notes on how they are simulated."""
    columns: dict[str, list[Any]] = {name: [] for name in ARCHIVE_SCHEMA.names}
    notes: set[str] = set()
    for scan, source in rows:
        for name, values in columns_of(scan).items():
            columns[name] += values
        columns["epoch"].append(scan.epoch)
        columns["source"].append(source)
        if scan.simulated:
            notes.add(scan.simulated)
        if len(columns["epoch"]) == ROWS_A_GROUP:
            yield pa.table(columns, schema=ARCHIVE_SCHEMA), notes
            columns, notes = {name: [] for name in ARCHIVE_SCHEMA.names}, set()
    if columns["epoch"]:
        yield pa.table(columns, schema=ARCHIVE_SCHEMA), notes


def opened(path: Path) -> pq.ParquetFile:
    """Open an archive.

    Raises:
        ScanFileError: If the file is not a scan archive.
    """
    try:
        file = pq.ParquetFile(path)
        refuse_other_types(file.schema_arrow, path.name)
        for name in ("epoch", "source"):
            if file.schema_arrow.get_field_index(name) < 0:
                raise ScanFileError(f"{path.name}: field {name!r} is missing")
    except (pa.ArrowInvalid, OSError) as e:
        raise ScanFileError(f"{path}: {e}") from e
    return file


def read_archive(path: Path) -> Iterator[Scan]:
    """Yield the scans of an archive in order, one row group at a time.

    Raises:
        ScanFileError: If the file is not a scan archive.
    """
    simulated = read_simulated(path)
    with opened(path) as file:
        for batch in batches(file, path, _READ):
            for scan in _scans_of(batch, path.name):
                yield msgspec.structs.replace(scan, simulated=simulated)


def read_keys(path: Path) -> set[tuple[int, int]]:
    """Return (timestamp_us, scan_number) of every scan of an archive.

    Raises:
        ScanFileError: If the file is not a scan archive.
    """
    found: set[tuple[int, int]] = set()
    with opened(path) as file:
        for batch in batches(file, path, ["timestamp", "scan_number"]):
            times = batch.column("timestamp").cast(pa.int64()).to_pylist()
            found |= set(zip(times, batch.column("scan_number").to_pylist(), strict=True))
    return found


def read_with_sources(path: Path) -> Iterator[tuple[Scan, str]]:
    """Yield the scans of an archive, each with the file it came from.

    Raises:
        ScanFileError: If the file is not a scan archive.
    """
    with opened(path) as file:
        sources = [
            source
            for batch in batches(file, path, ["source"])
            for source in batch.column(0).to_pylist()
        ]
    yield from zip(read_archive(path), (source or "" for source in sources), strict=True)


def read_simulated(path: Path) -> str | None:
    """Return an archive's note on how its scans are simulated, None if they are real.

    Raises:
        ScanFileError: If the file is not a scan archive.
    """
    with opened(path) as file:
        note = (file.metadata.metadata or {}).get(SIMULATED)
    return note.decode("utf-8", "replace") if note else None


def read_left_out(path: Path) -> dict[str, str]:
    """Return the files that an archive says it left out, and why.

    Raises:
        ScanFileError: If the file is not a scan archive.
    """
    with opened(path) as file:
        raw = (file.metadata.metadata or {}).get(LEFT_OUT)
    return msgspec.json.decode(raw, type=dict[str, str]) if raw else {}


def count_files(path: Path) -> int:
    """Return how many files an archive holds or lists as left out.

    Raises:
        ScanFileError: If the file is not a scan archive.
    """
    with opened(path) as file:
        rows: int = file.metadata.num_rows
    return rows + len(read_left_out(path))


def batches(file: pq.ParquetFile, path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield some columns of an archive, ROWS_A_GROUP rows at a time, without reading ahead.

    Raises:
        ScanFileError: If the file is damaged.
    """
    try:
        for group in range(file.num_row_groups):
            yield from file.iter_batches(ROWS_A_GROUP, row_groups=[group], columns=columns)
    except (pa.ArrowInvalid, OSError) as e:
        raise ScanFileError(f"{path}: {e}") from e


def _scans_of(batch: pa.RecordBatch, name: str) -> Iterator[Scan]:
    """Yield a batch's rows as scans; rows that list the same assets share the list."""
    columns = {c: batch.column(c) for c in batch.schema.names}
    for field in SCHEMA.names:
        if columns[field].null_count:
            raise ScanFileError(f"{name}: field {field!r} is null")
    numbers = columns["scan_number"].to_pylist()
    times = columns["timestamp"].cast(pa.int64()).to_pylist()
    epochs = columns["epoch"].to_pylist()
    prices, eigenvalues = (_lists(columns[c]) for c in ("asset_prices", "eigenvalues"))
    assets: list[Any] = []
    before: pa.Array = None
    for n, names in enumerate(slices(columns["assets"])):
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


def slices(column: pa.ListArray) -> Iterator[pa.Array]:
    """Yield each row's list as an array."""
    values, offsets = column.values, column.offsets.to_pylist()
    return (values[a:b] for a, b in pairwise(offsets))


def _lists(column: pa.ListArray) -> list[list[float | None]]:
    """Return each row's numbers, None where one is null."""
    values, offsets = column.values, column.offsets.to_pylist()
    flat = values.to_pylist() if values.null_count else values.to_numpy().tolist()
    return [flat[a:b] for a, b in pairwise(offsets)]
