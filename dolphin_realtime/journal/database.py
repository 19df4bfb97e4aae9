"""The journal's database: its tables, and opening it.

The tables belong here; what brings an older version's up is upgrades.py's, who writes them in
what order writer.py's, which rows a scan gives rows.py's, checking identities check.py's.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.journal.upgrades import UPGRADES
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.orders import LIFE_LENGTH
from dolphin_realtime.model.paper_faults import PaperFaults

UNFILLED: Final = "state NOT IN ('FILLED', 'UNKNOWN')"
"""Of `order_events`: ends that are no whole fill."""
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS decisions (
  epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER, asset TEXT,
  signal REAL, target REAL, held REAL, side TEXT, quantity REAL, reason TEXT,
  score REAL, direction INTEGER);
CREATE TABLE IF NOT EXISTS orders (
  client_order_id TEXT PRIMARY KEY, epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER,
  asset TEXT, side TEXT, quantity REAL, leg TEXT, reduce_only INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fills (
  fill_id TEXT PRIMARY KEY, client_order_id TEXT, epoch INTEGER, scan_number INTEGER,
  timestamp_us INTEGER, asset TEXT, side TEXT, quantity REAL, price REAL, mid REAL, fee REAL,
  realised REAL, source TEXT, booked_us INTEGER, size_digits INTEGER);
CREATE TABLE IF NOT EXISTS order_events (
  client_order_id TEXT, asset TEXT, timestamp_us INTEGER, state TEXT, reason TEXT, filled REAL);
CREATE VIEW IF NOT EXISTS cancels AS
  SELECT client_order_id, timestamp_us, reason FROM order_events
  WHERE {UNFILLED};
CREATE TABLE IF NOT EXISTS refusals (
  epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER, asset TEXT, side TEXT,
  quantity REAL, code TEXT, value REAL, bound REAL);
CREATE TABLE IF NOT EXISTS funding (
  settlement_us INTEGER, asset TEXT, quantity REAL, rate REAL, amount REAL, booked_us INTEGER,
  PRIMARY KEY (settlement_us, asset));
CREATE TABLE IF NOT EXISTS position_changes (
  id TEXT PRIMARY KEY, timestamp_us INTEGER, at TEXT, act TEXT, asset TEXT, value REAL,
  undoes TEXT, quantity_before REAL, quantity REAL, average_before REAL, average REAL,
  price_before REAL, price REAL, realised REAL, size_digits INTEGER, who TEXT, reason TEXT);
CREATE TABLE IF NOT EXISTS equity (
  epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER, cash REAL, realised REAL,
  unrealised REAL, fees REAL, funding REAL, equity REAL, posture TEXT, is_acted_on INTEGER,
  simulated TEXT, long_usd REAL, short_usd REAL, r_ar REAL, r_vol REAL, assets INTEGER,
  gated INTEGER, latency_us REAL, entry_block TEXT, PRIMARY KEY (epoch, scan_number));
CREATE TABLE IF NOT EXISTS days (
  day TEXT PRIMARY KEY, realised REAL, unrealised REAL, fees REAL, funding REAL, equity REAL,
  trades INTEGER, max_drawdown REAL);
CREATE TABLE IF NOT EXISTS openings (
  day TEXT PRIMARY KEY, timestamp_us INTEGER, desk BLOB, prices TEXT);
CREATE TABLE IF NOT EXISTS state (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), desk BLOB);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
"""  # noqa: S608 - a constant of our own
TABLES: Final = (
    "decisions", "orders", "fills", "order_events", "refusals", "funding", "equity", "days",
    "openings", "position_changes",
)  # fmt: skip
"""`order_events` has an order's end, and that nobody knew of it; `cancels` shows ends without a whole fill."""
SCHEMA_VERSION: Final = 5
LIFE: Final = "life"
MODE: Final = "mode"
FAULTS: Final = "faults"
"""Name of the faults of the simulated venue, as JSON."""
PAPER: Final = "paper"
BACKTEST: Final = "backtest"
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
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
            f"a trader of this version upgrades schema {min(UPGRADES)} and later at its start"
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


def open_new(folder: Path, mode: str = PAPER) -> sqlite3.Connection:
    """Return a writing connection to a journal, its tables made where it is new.

    Args:
        folder: Where it lies.
        mode: What trades; a journal keeps its mode for life.

    Raises:
        JournalError: If it cannot be opened, another version of Dolphin wrote it, or it is of
            another mode.
    """
    path = path_of(folder)
    try:
        db = sqlite3.connect(path, check_same_thread=False)
    except sqlite3.Error as e:
        raise JournalError(f"{path}: {e}") from e
    try:
        _make_ready(db, path, mode)
    except sqlite3.Error as e:
        db.close()
        raise JournalError(f"{path}: {e}") from e
    except JournalError:
        db.close()
        raise
    return db


def _make_ready(db: sqlite3.Connection, path: Path, mode: str) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    _bring_up(db, path)
    db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    with db:
        life = "".join(secrets.choice(_ALPHABET) for _ in range(LIFE_LENGTH))
        db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", [(LIFE, life), (MODE, mode)])
    was = meta(db, MODE)
    if was != mode:
        raise JournalError(f"{path} is a {was} journal and stays one; move it aside for {mode}")


def _bring_up(db: sqlite3.Connection, path: Path) -> None:
    """Upgrade an older version's tables, step by step; each step is whole or not at all."""
    if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION and version not in UPGRADES:
        raise JournalError(
            f"{path} has schema {version}, this Dolphin writes {SCHEMA_VERSION}; "
            "export it with the version that wrote it and move it aside"
        )
    while version < SCHEMA_VERSION:
        UPGRADES[version](db)
        version += 1


def meta(db: sqlite3.Connection, name: str) -> str:
    """Return one of the journal's own facts, empty where it is not told."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return "" if row is None else str(row[0])


def faults_of(db: sqlite3.Connection) -> PaperFaults:
    """Return what went wrong on purpose at the venue that a journal was traded at."""
    text = meta(db, FAULTS)
    return msgspec.json.decode(text, type=PaperFaults) if text else PaperFaults()


def insert(db: sqlite3.Connection, rows: dict[str, list[Row]]) -> None:
    """Insert rows by table, within the caller's transaction."""
    for table, found in rows.items():
        if found:
            marks = ",".join("?" * len(found[0]))
            db.executemany(f"{_VERB.get(table, 'INSERT')} INTO {table} VALUES ({marks})", found)
