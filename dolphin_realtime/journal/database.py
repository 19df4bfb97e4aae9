"""The journal's database: its tables, and opening it.

The tables and their versions belong here; who writes them in what order is writer.py's,
which rows a scan gives recorder.py's, checking identities check.py's.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dolphin_realtime.model.errors import JournalError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS decisions (
  epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER, asset TEXT,
  signal REAL, target REAL, held REAL, side TEXT, quantity REAL, reason TEXT,
  score REAL, direction INTEGER);
CREATE TABLE IF NOT EXISTS orders (
  client_order_id TEXT PRIMARY KEY, epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER,
  asset TEXT, side TEXT, quantity REAL, leg TEXT, reduce_only INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fills (
  client_order_id TEXT PRIMARY KEY, epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER,
  asset TEXT, side TEXT, quantity REAL, price REAL, mid REAL, fee REAL, realised REAL,
  source TEXT, booked_us INTEGER);
CREATE TABLE IF NOT EXISTS cancels (
  client_order_id TEXT PRIMARY KEY, timestamp_us INTEGER, reason TEXT);
CREATE TABLE IF NOT EXISTS refusals (
  epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER, asset TEXT, side TEXT,
  quantity REAL, code TEXT, value REAL, bound REAL);
CREATE TABLE IF NOT EXISTS funding (
  settlement_us INTEGER, asset TEXT, quantity REAL, rate REAL, amount REAL,
  PRIMARY KEY (settlement_us, asset));
CREATE TABLE IF NOT EXISTS equity (
  epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER, cash REAL, realised REAL,
  unrealised REAL, fees REAL, funding REAL, equity REAL, posture TEXT, is_acted_on INTEGER,
  simulated TEXT, long_usd REAL, short_usd REAL, r_ar REAL, r_vol REAL, assets INTEGER,
  gated INTEGER, latency_us REAL, PRIMARY KEY (epoch, scan_number));
CREATE TABLE IF NOT EXISTS days (
  day TEXT PRIMARY KEY, realised REAL, unrealised REAL, fees REAL, funding REAL, equity REAL,
  trades INTEGER, max_drawdown REAL);
CREATE TABLE IF NOT EXISTS openings (
  day TEXT PRIMARY KEY, timestamp_us INTEGER, desk BLOB, prices TEXT);
CREATE TABLE IF NOT EXISTS state (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), desk BLOB);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
"""
TABLES: Final = (
    "decisions", "orders", "fills", "cancels", "refusals", "funding", "equity", "days", "openings"
)  # fmt: skip
SCHEMA_VERSION: Final = 3
_EQUITY_OF_3: Final = (
    "long_usd REAL", "short_usd REAL", "r_ar REAL", "r_vol REAL", "assets INTEGER",
    "gated INTEGER", "latency_us REAL",
)  # fmt: skip
_UPGRADES: Final = {
    2: " ".join(f"ALTER TABLE equity ADD COLUMN {column};" for column in _EQUITY_OF_3)
    + " ALTER TABLE decisions ADD COLUMN score REAL; ALTER TABLE decisions ADD COLUMN direction INTEGER;"
}
"""By an older version: what brings its tables up to this one's; new columns stay empty."""
_VERB: Final = {
    "days": "INSERT OR REPLACE",
    "state": "INSERT OR REPLACE",
    "meta": "INSERT OR REPLACE",
    "openings": "INSERT OR IGNORE",
}

Row = tuple[Any, ...]


def path_of(folder: Path) -> Path:
    """Return the path of a journal's database."""
    return folder / "journal.sqlite"


def open_read_only(folder: Path) -> sqlite3.Connection:
    """Return a read-only connection to a journal.

    Raises:
        JournalError: If there is none, or another version of Dolphin wrote it.
    """
    path = path_of(folder)
    if not path.is_file():
        raise JournalError(f"no journal at {path}; has this instance ever run?")
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as e:
        db.close()
        raise JournalError(f"{path} cannot be read: {e}") from e
    if version != SCHEMA_VERSION:
        db.close()
        raise JournalError(
            f"{path} has schema {version}, this Dolphin reads {SCHEMA_VERSION}; "
            "a trader of this version upgrades schema 2 at its start"
        )
    return db


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Give a read-only connection with one snapshot, whatever a trader adds meanwhile.

    Raises:
        JournalError: If there is none, or another version of Dolphin wrote it.
    """
    db = open_read_only(folder)
    try:
        db.execute("BEGIN")
        yield db
    finally:
        db.close()


def open_new(folder: Path) -> sqlite3.Connection:
    """Return a writing connection to a journal, its tables made where it is new.

    Raises:
        JournalError: If it cannot be opened, or another version of Dolphin wrote it.
    """
    path = path_of(folder)
    try:
        db = sqlite3.connect(path, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        is_new = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if not is_new and version in _UPGRADES:
            db.executescript(f"BEGIN; {_UPGRADES[version]} COMMIT;")
        elif not is_new and version != SCHEMA_VERSION:
            db.close()
            raise JournalError(
                f"{path} has schema {version}, this Dolphin writes {SCHEMA_VERSION}; "
                "export it with the version that wrote it and move it aside"
            )
        db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    except sqlite3.Error as e:
        raise JournalError(f"{path}: {e}") from e
    return db


def insert(db: sqlite3.Connection, rows: dict[str, list[Row]]) -> None:
    """Insert rows by table, within the caller's transaction."""
    for table, found in rows.items():
        if found:
            marks = ",".join("?" * len(found[0]))
            db.executemany(f"{_VERB.get(table, 'INSERT')} INTO {table} VALUES ({marks})", found)
