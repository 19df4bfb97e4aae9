"""Export of a journal to Parquet, one file per table: fills, orders and their ends, equity etc.

Names and types of the exported columns belong here; the tables are in tables.py. Instants are UTC
microseconds, money USDT; the order of rows is given by each table.
"""

import sqlite3
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.infra import files
from dolphin_realtime.journal import database
from dolphin_realtime.journal.tables import TABLES, columns_of

TIME: Final = pa.timestamp("us", tz="UTC")
KINDS: Final = {int: pa.int64(), bool: pa.bool_(), float: pa.float64(), str: pa.string()}
BATCH_ROWS: Final = 50_000
LIVE_FILES: Final = ("income", "shadow_fills")
"""Tables that only a live journal fills."""
FILES: Final = [n for n, table in TABLES.items() if table.order and n not in LIVE_FILES]
INSTANT: Final = ("timestamp_us", "settlement_us")
"""Columns that are exported as `timestamp`: when the row's event happened."""


def exported(table: str) -> dict[str, tuple[str, pa.DataType]]:
    """Return (source, type) of a table's exported columns, by name; instant and instance first."""
    columns = columns_of(table)
    order = dict.fromkeys([*TABLES[table].first, *columns])
    found: dict[str, tuple[str, pa.DataType]] = {}
    for name in order:
        if name in INSTANT:
            found = {"timestamp": (name, TIME), "instance": (":instance", pa.string()), **found}
        elif name == "booked_us":
            found["booked"] = (name, TIME)
        else:
            found[name] = (name, KINDS[columns[name]])
    return found


def export(folder: Path, instance: str, out: Path) -> dict[str, int]:
    """Write every table of a journal to ``out`` and return the rows by file.

    Raises:
        JournalError: If there is no journal.
        OSError: If ``out`` cannot be written.
    """
    with database.reading(folder) as db:
        out.mkdir(parents=True, exist_ok=True)
        is_live = database.meta(db, database.MODE) == database.LIVE
        names = [*FILES, *(LIVE_FILES if is_live else ())]
        return {name: _write(db, name, instance, out / f"{name}.parquet") for name in names}


def _write(db: sqlite3.Connection, table: str, instance: str, path: Path) -> int:
    columns = exported(table)
    schema = pa.schema([(name, kind) for name, (_, kind) in columns.items()])
    wanted = ", ".join(source for source, _ in columns.values())
    query = f"SELECT {wanted} FROM {table} ORDER BY {TABLES[table].order}"  # noqa: S608
    cursor = db.execute(query, {"instance": instance})
    n_rows = 0
    with (
        files.replacing(path) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        while True:
            rows = cursor.fetchmany(BATCH_ROWS)
            if not rows and n_rows:
                break
            values = list(zip(*rows, strict=True)) or [()] * len(columns)
            arrays = [
                _array(list(column), kind)
                for column, (_, kind) in zip(values, columns.values(), strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            n_rows += len(rows)
            if not rows:
                break
    return n_rows


def _array(values: list[object], kind: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(kind):
        return pa.array([bool(v) for v in values], kind)
    return pa.array(values, kind)
