"""The journal's database: opening it, and inserting rows.

The tables are in tables.py, upgrades from older versions in upgrades.py, writing and its sequence
in writer.py, the rows of a scan in rows.py, the check of identities in check.py.
"""

import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.journal.tables import REPLACE, TABLES, EquityRow, Row, insert_of, schema
from dolphin_realtime.journal.upgrades import UPGRADES
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.market.paper_faults import PaperFaults
from dolphin_realtime.model.orders import LIFE_LENGTH

SCHEMA_VERSION: Final = 6
LIFE: Final = "life"
MODE: Final = "mode"
FAULTS: Final = "faults"
"""Name of the fact that holds the simulated venue's injected faults, as JSON."""
PAPER: Final = "paper"
BACKTEST: Final = "backtest"
LIVE: Final = "live"
MARKED_AGAIN: Final = "equity_marked_again"
"""Instead of a table: the equity row of the last scan, after what was booked since."""
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_INSERTS: Final = {
    **{name: insert_of(name) for name in TABLES},
    MARKED_AGAIN: insert_of("equity", REPLACE),
}


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
    """Open a read-only connection to one snapshot, unaffected by what a trader adds meanwhile.

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
    """Return a writable connection to a journal; create its tables if it is new.

    Args:
        folder: The journal's folder.
        mode: Paper, backtest or live; the mode of a journal never changes.

    Raises:
        JournalError: If it cannot be opened, another version of Dolphin wrote it, or it has
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
    db.executescript(f"BEGIN; {schema()} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    with db:
        life = "".join(secrets.choice(_ALPHABET) for _ in range(LIFE_LENGTH))
        db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", [(LIFE, life), (MODE, mode)])
    was = meta(db, MODE)
    if was != mode:
        raise JournalError(f"{path} is a {was} journal and stays one; move it aside for {mode}")


def _bring_up(db: sqlite3.Connection, path: Path) -> None:
    """Upgrade an older version's tables step by step; each step is one transaction."""
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
    """Return one of the journal's own facts, empty if it is not there."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return "" if row is None else str(row[0])


def faults_of(db: sqlite3.Connection) -> PaperFaults:
    """Return the injected faults of the venue at which a journal was traded."""
    text = meta(db, FAULTS)
    return msgspec.json.decode(text, type=PaperFaults) if text else PaperFaults()


def last_equity(db: sqlite3.Connection) -> EquityRow | None:
    """Return the equity row of the last scan, None before the first."""
    row = db.execute("SELECT * FROM equity ORDER BY rowid DESC LIMIT 1").fetchone()
    return None if row is None else EquityRow(*row)


def insert(db: sqlite3.Connection, rows: Mapping[str, Sequence[Row]]) -> None:
    """Insert rows by table, within the caller's transaction."""
    for table, found in rows.items():
        if found:
            db.executemany(_INSERTS[table], found)
