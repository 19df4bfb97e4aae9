"""A journal as Parquet files for others, a table each: fills, orders and their ends, equity and more.

Columns and their types belong here; the journal's own tables are database.py's. Instants are
UTC microseconds, money USDT; rows come in the order they were journalled.
"""

import sqlite3
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime import files
from dolphin_realtime.journal import database

TIME: Final = pa.timestamp("us", tz="UTC")
_REAL: Final = pa.float64()
_TEXT: Final = pa.string()
_INT: Final = pa.int64()
BATCH_ROWS: Final = 50_000

EXPORTS: Final[dict[str, tuple[str, list[tuple[str, str, pa.DataType]]]]] = {
    "fills": (
        "rowid",
        [
            ("timestamp", "timestamp_us", TIME),
            ("instance", ":instance", _TEXT),
            ("asset", "asset", _TEXT),
            ("side", "side", _TEXT),
            ("quantity", "quantity", _REAL),
            ("price", "price", _REAL),
            ("fee", "fee", _REAL),
            ("client_order_id", "client_order_id", _TEXT),
            ("scan_number", "scan_number", _INT),
            ("epoch", "epoch", _INT),
            ("mid", "mid", _REAL),
            ("source", "source", _TEXT),
            ("booked", "booked_us", TIME),
        ],
    ),
    "orders": (
        "timestamp_us, epoch, scan_number, client_order_id",
        [
            ("timestamp", "timestamp_us", TIME),
            ("instance", ":instance", _TEXT),
            ("asset", "asset", _TEXT),
            ("side", "side", _TEXT),
            ("quantity", "quantity", _REAL),
            ("leg", "leg", _TEXT),
            ("reduce_only", "reduce_only", pa.bool_()),
            ("client_order_id", "client_order_id", _TEXT),
            ("scan_number", "scan_number", _INT),
            ("epoch", "epoch", _INT),
        ],
    ),
    "equity": (
        "rowid",
        [
            ("timestamp", "timestamp_us", TIME),
            ("instance", ":instance", _TEXT),
            ("epoch", "epoch", _INT),
            ("scan_number", "scan_number", _INT),
            ("cash", "cash", _REAL),
            ("realised", "realised", _REAL),
            ("unrealised", "unrealised", _REAL),
            ("fees", "fees", _REAL),
            ("funding", "funding", _REAL),
            ("equity", "equity", _REAL),
            ("posture", "posture", _TEXT),
            ("simulated", "simulated", _TEXT),
            ("long_usd", "long_usd", _REAL),
            ("short_usd", "short_usd", _REAL),
            ("r_ar", "r_ar", _REAL),
            ("r_vol", "r_vol", _REAL),
            ("assets", "assets", _INT),
            ("gated", "gated", _INT),
            ("latency_us", "latency_us", _REAL),
        ],
    ),
    "decisions": (
        "rowid",
        [
            ("timestamp", "timestamp_us", TIME),
            ("instance", ":instance", _TEXT),
            ("epoch", "epoch", _INT),
            ("scan_number", "scan_number", _INT),
            ("asset", "asset", _TEXT),
            ("signal", "signal", _REAL),
            ("target", "target", _REAL),
            ("held", "held", _REAL),
            ("side", "side", _TEXT),
            ("quantity", "quantity", _REAL),
            ("reason", "reason", _TEXT),
            ("score", "score", _REAL),
            ("direction", "direction", _INT),
        ],
    ),
    "funding": (
        "rowid",
        [
            ("timestamp", "settlement_us", TIME),
            ("instance", ":instance", _TEXT),
            ("asset", "asset", _TEXT),
            ("amount", "amount", _REAL),
            ("quantity", "quantity", _REAL),
            ("rate", "rate", _REAL),
        ],
    ),
    "refusals": (
        "rowid",
        [
            ("timestamp", "timestamp_us", TIME),
            ("instance", ":instance", _TEXT),
            ("asset", "asset", _TEXT),
            ("side", "side", _TEXT),
            ("quantity", "quantity", _REAL),
            ("code", "code", _TEXT),
            ("value", "value", _REAL),
            ("bound", "bound", _REAL),
        ],
    ),
    "order_events": (
        "rowid",
        [
            ("timestamp", "timestamp_us", TIME),
            ("instance", ":instance", _TEXT),
            ("client_order_id", "client_order_id", _TEXT),
            ("asset", "asset", _TEXT),
            ("state", "state", _TEXT),
            ("reason", "reason", _TEXT),
            ("filled", "filled", _REAL),
        ],
    ),
    "position_changes": (
        "rowid",
        [
            ("timestamp", "timestamp_us", TIME),
            ("instance", ":instance", _TEXT),
            *(
                (name, name, _TEXT)
                for name in ("id", "act", "asset", "who", "reason", "at", "undoes")
            ),
            *(
                (name, name, _REAL)
                for name in (
                    "value",
                    "quantity_before",
                    "quantity",
                    "price_before",
                    "price",
                    "realised",
                )
            ),
        ],
    ),
}
"""By file: the order of its rows, and (column, journal column, type)."""


def export(folder: Path, instance: str, out: Path) -> dict[str, int]:
    """Write every table of a journal to ``out`` and return the rows by file.

    Raises:
        JournalError: If there is no journal.
        OSError: If ``out`` cannot be written.
    """
    with database.reading(folder) as db:
        out.mkdir(parents=True, exist_ok=True)
        return {name: _write(db, name, instance, out / f"{name}.parquet") for name in EXPORTS}


def _write(db: sqlite3.Connection, table: str, instance: str, path: Path) -> int:
    order, columns = EXPORTS[table]
    schema = pa.schema([(name, kind) for name, _, kind in columns])
    wanted = ", ".join(source for _, source, _ in columns)
    cursor = db.execute(f"SELECT {wanted} FROM {table} ORDER BY {order}", {"instance": instance})  # noqa: S608
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
                for column, (_, _, kind) in zip(values, columns, strict=True)
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
