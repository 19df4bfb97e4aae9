"""The journal: what one instance decided, sent, filled and owns, on disk.

The tables and the order of writing belong here; checking identities is journal_check.py's,
files for others journal_export.py's. An intent is appended before its order leaves;
everything else of a scan is one transaction of a helper thread, so the trader's loop never
waits for a disk. A reserve of disk space is kept: when the disk is full it is given up for
exits, and nothing is opened until it is there again.
"""

import fcntl
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime import fault_points
from dolphin_realtime.intents import IntentFile
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.plan import InFlight
from dolphin_realtime.reserve import Reserve

BACKLOG_MAX: Final = 1000
"""Scans waiting for the disk after which nothing may be opened."""
RETRY_S: Final = 1.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS decisions (
  epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER, asset TEXT,
  signal REAL, target REAL, held REAL, side TEXT, quantity REAL, reason TEXT);
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
  simulated TEXT, PRIMARY KEY (epoch, scan_number));
CREATE TABLE IF NOT EXISTS days (
  day TEXT PRIMARY KEY, realised REAL, unrealised REAL, fees REAL, funding REAL, equity REAL,
  trades INTEGER, max_drawdown REAL);
CREATE TABLE IF NOT EXISTS state (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), desk BLOB);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
"""
TABLES: Final = (
    "decisions", "orders", "fills", "cancels", "refusals", "funding", "equity", "days"
)  # fmt: skip
SCHEMA_VERSION: Final = 2
_UPSERT: Final = frozenset({"days", "state", "meta"})

Row = tuple[Any, ...]


class ScanRecord(msgspec.Struct, kw_only=True):
    """Everything one scan adds to the journal: rows by table, and the desk after it.

    ``desk`` is None where a later record's holds it as well.
    """

    epoch: int
    scan_number: int
    rows: dict[str, list[Row]]
    desk: bytes | None


def database(folder: Path) -> Path:
    """Return the path of a journal's database."""
    return folder / "journal.sqlite"


def open_read_only(folder: Path) -> sqlite3.Connection:
    """Return a read-only connection to a journal.

    Raises:
        JournalError: If there is none, or another version of Dolphin wrote it.
    """
    path = database(folder)
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
        raise JournalError(f"{path} has schema {version}, this Dolphin reads {SCHEMA_VERSION}")
    return db


class Journal:
    """The journal of one running instance, locked against a second trader.

    Args:
        folder: Where it lies.
        on_commit: Called in the helper thread with each record that is on disk.

    Raises:
        JournalError: If another process holds it, it cannot be opened, or another version of
            Dolphin wrote it.
    """

    def __init__(self, folder: Path, on_commit: Callable[[ScanRecord], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._on_commit = on_commit
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._lock.close()
            raise JournalError(f"{folder} is in use by another trader of this instance") from e
        try:
            self._db = open_new(folder)
        except JournalError:
            self._lock.close()
            raise
        self.intents = IntentFile(folder / "intents.jsonl")
        self.reserve = Reserve(folder / "reserve")
        self._queue: queue.Queue[ScanRecord | None] = queue.Queue()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self.fault: str | None = None
        self.broken: str | None = None
        self.n_committed = 0

    def load_desk(self) -> bytes | None:
        """Return the desk as it stood after the last committed scan."""
        row = self._db.execute("SELECT desk FROM state").fetchone()
        return None if row is None else row[0]

    def start(self) -> None:
        """Start the helper thread, once nothing more is read."""
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why nothing may be opened, or None: a failed write, a full disk, or one that lags."""
        if self.fault is not None:
            return "JOURNAL_FAILED"
        if not self.reserve.is_there:
            return "JOURNAL_FULL"
        return "JOURNAL_BEHIND" if self._queue.qsize() > BACKLOG_MAX else None

    def intend(self, epoch: int, scan_number: int, orders: list[InFlight]) -> bool:
        """Append the intent of a scan's orders; return False where it could not be written.

        One write: it survives a kill of the process from here on. A full disk gives up the
        reserve, so that exits can still be written.
        """
        fault = self.intents.append(epoch, scan_number, orders)
        if fault is not None and self.reserve.give_up():
            fault = self.intents.append(epoch, scan_number, orders)
        if fault is not None:
            self.fault = f"intent file: {fault}"
        return fault is None

    def commit(self, record: ScanRecord) -> None:
        """Hand a scan's record to the helper thread."""
        self._queue.put(record)

    def close(self) -> None:
        """Write what waits, and close."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout=20)
        self._db.close()
        self.intents.close()
        self._lock.close()

    def _write_all(self) -> None:
        waiting: list[ScanRecord] = []
        is_open = True
        while is_open or waiting:
            if is_open and not waiting:
                is_open = self._collect(waiting, timeout=RETRY_S)
                self.reserve.take_back()
            if waiting and self._write(waiting):
                waiting.clear()
            elif waiting:
                if not is_open:
                    return
                is_open = self._collect(waiting, timeout=RETRY_S)

    def _collect(self, waiting: list[ScanRecord], timeout: float) -> bool:
        """Take what the queue holds; only the newest desk is kept, so that waiting is cheap."""
        try:
            record = self._queue.get(timeout=timeout)
        except queue.Empty:
            return True
        while record is not None:
            if waiting:
                waiting[-1].desk = None
            waiting.append(record)
            try:
                record = self._queue.get_nowait()
            except queue.Empty:
                return True
        return False

    def _write(self, records: list[ScanRecord]) -> bool:
        fault_points.reach("journal")
        try:
            self.intents.sync()
            with self._db:
                for record in records:
                    self._insert(record)
        except sqlite3.IntegrityError as e:
            return self._set_aside(records, e)
        except (sqlite3.Error, OSError) as e:
            self.fault = f"{type(e).__name__}: {e}"
            self.reserve.give_up()
            return False
        self.fault = self.broken
        self.n_committed += len(records)
        fault_points.reach("state")
        for record in records:
            self._on_commit(record)
        return True

    def _set_aside(self, records: list[ScanRecord], fault: sqlite3.IntegrityError) -> bool:
        """Write records one by one and leave out what can never be written: it is said for ever."""
        if len(records) > 1:
            while records and self._write(records[:1]):
                del records[0]
            return not records
        key = f"{records[0].epoch}/{records[0].scan_number}"
        self.broken = self.fault = f"the record of scan {key} contradicts the journal: {fault}"
        return True

    def _insert(self, record: ScanRecord) -> None:
        insert(self._db, record.rows)
        if record.desk is not None:
            self._db.execute("INSERT OR REPLACE INTO state VALUES (0, ?)", (record.desk,))


def open_new(folder: Path) -> sqlite3.Connection:
    """Return a writing connection to a journal, its tables made where it is new.

    Raises:
        JournalError: If it cannot be opened, or another version of Dolphin wrote it.
    """
    path = database(folder)
    try:
        db = sqlite3.connect(path, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        is_new = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if not is_new and version != SCHEMA_VERSION:
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
            verb = "INSERT OR REPLACE" if table in _UPSERT else "INSERT"
            marks = ",".join("?" * len(found[0]))
            db.executemany(f"{verb} INTO {table} VALUES ({marks})", found)
