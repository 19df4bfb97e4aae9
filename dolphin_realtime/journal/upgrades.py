"""Upgrades of a journal from one schema version to the next, each in one transaction.

New columns stay empty if the older version did not record the value. Nothing is dropped or rounded.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

import msgspec

from dolphin_realtime.model.market.instrument import OTHER_SIZE_PRECISION

_EQUITY_OF_3: Final = (
    "long_usd REAL", "short_usd REAL", "r_ar REAL", "r_vol REAL", "assets INTEGER",
    "gated INTEGER", "latency_us REAL",
)  # fmt: skip


def _to_3(db: sqlite3.Connection) -> None:
    columns = " ".join(f"ALTER TABLE equity ADD COLUMN {column};" for column in _EQUITY_OF_3)
    db.executescript(
        f"BEGIN; {columns} ALTER TABLE decisions ADD COLUMN score REAL;"
        " ALTER TABLE decisions ADD COLUMN direction INTEGER; PRAGMA user_version = 3; COMMIT;"
    )


_TO_4: Final = (
    "ALTER TABLE fills RENAME TO fills_3",
    """CREATE TABLE fills (
      fill_id TEXT PRIMARY KEY, client_order_id TEXT, epoch INTEGER, scan_number INTEGER,
      timestamp_us INTEGER, asset TEXT, side TEXT, quantity REAL, price REAL, mid REAL, fee REAL,
      realised REAL, source TEXT, booked_us INTEGER, size_digits INTEGER)""",
    """INSERT INTO fills SELECT client_order_id || '-1', client_order_id, epoch, scan_number,
      timestamp_us, asset, side, quantity, price, mid, fee, realised, source, booked_us,
      digits_of(asset) FROM fills_3 ORDER BY rowid""",
    """CREATE TABLE order_events (client_order_id TEXT, asset TEXT, timestamp_us INTEGER,
      state TEXT, reason TEXT, filled REAL)""",
    """INSERT INTO order_events
      SELECT client_order_id, asset, booked_us AS at_us, 'FILLED', '', quantity FROM fills_3
      UNION ALL
      SELECT c.client_order_id, o.asset, c.timestamp_us,
        CASE WHEN c.reason LIKE 'REJECTED%' OR c.reason LIKE 'DENIED%' THEN 'REJECTED'
             ELSE 'CANCELED' END, c.reason, 0.0
      FROM cancels c LEFT JOIN orders o USING (client_order_id) ORDER BY at_us""",
    "DROP TABLE fills_3",
    "DROP TABLE cancels",
    "PRAGMA user_version = 4",
)  # fmt: skip


def _to_4(db: sqlite3.Connection) -> None:
    """Key fills by an id of their own, and keep each order's end as an event."""
    row = db.execute("SELECT desk FROM state").fetchone()
    portfolio: dict[str, Any] = msgspec.msgpack.decode(row[0]) if row else {}
    specs = portfolio.get("instruments", {})

    def digits_of(asset: str) -> int:
        spec = specs.get(asset)
        return int(spec["size_precision"]) if spec else OTHER_SIZE_PRECISION

    db.create_function("digits_of", 1, digits_of)
    with db:
        db.execute("BEGIN")
        for statement in _TO_4:
            db.execute(statement)


def _to_5(db: sqlite3.Connection) -> None:
    """Add when funding was booked, and the entry block of each scan."""
    db.executescript(
        "BEGIN; ALTER TABLE funding ADD COLUMN booked_us INTEGER;"
        " UPDATE funding SET booked_us = settlement_us;"
        " ALTER TABLE equity ADD COLUMN entry_block TEXT; PRAGMA user_version = 5; COMMIT;"
    )


_OF_6: Final = {
    "fills": ("seq INTEGER", "venue_us INTEGER", "venue_order_id INTEGER", "venue_realised REAL",
              "fee_asset TEXT", "fee_paid REAL"),
    "order_events": ("seq INTEGER", "heard_us INTEGER"),
}  # fmt: skip


def _to_6(db: sqlite3.Connection) -> None:
    """Add what a real venue says; its own tables are made with the schema."""
    added = " ".join(
        f"ALTER TABLE {table} ADD COLUMN {column};"
        for table, columns in _OF_6.items()
        for column in columns
    )
    db.executescript(f"BEGIN; {added} PRAGMA user_version = 6; COMMIT;")


UPGRADES: Final[dict[int, Callable[[sqlite3.Connection], None]]] = {
    2: _to_3, 3: _to_4, 4: _to_5, 5: _to_6
}  # fmt: skip
"""By schema version: the function that upgrades to the next version."""
