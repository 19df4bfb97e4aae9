"""The journal: what one instance decided, sent, filled and owns, on disk.

The tables, the order of writing and the intent file belong here; checking identities is
journal_check.py's. An intent is appended before its order leaves; everything else of a
scan is one transaction of a helper thread, so the trader's loop never waits for a disk.
"""

import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.append_file import open_lines
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.plan import InFlight

BACKLOG_MAX: Final = 1000
"""Scans waiting for the disk after which nothing may be opened."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS decisions (
  epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER, asset TEXT,
  signal REAL, target REAL, held REAL, side TEXT, quantity REAL, reason TEXT);
CREATE TABLE IF NOT EXISTS orders (
  client_order_id TEXT PRIMARY KEY, epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER,
  asset TEXT, side TEXT, quantity REAL, leg TEXT, reduce_only INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fills (
  client_order_id TEXT PRIMARY KEY, epoch INTEGER, scan_number INTEGER, timestamp_us INTEGER,
  asset TEXT, side TEXT, quantity REAL, price REAL, mid REAL, fee REAL, realised REAL);
CREATE TABLE IF NOT EXISTS cancels (
  client_order_id TEXT PRIMARY KEY, timestamp_us INTEGER, reason TEXT);
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
TABLES: Final = ("decisions", "orders", "fills", "cancels", "funding", "equity", "days")
_UPSERT: Final = frozenset({"days", "state", "meta"})

Row = tuple[Any, ...]


class ScanRecord(msgspec.Struct, kw_only=True):
    """Everything one scan adds to the journal: rows by table, and the desk after it."""

    epoch: int
    scan_number: int
    rows: dict[str, list[Row]]
    desk: bytes


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the intent file: the orders of one scan, written before the first leaves."""

    epoch: int
    scan_number: int
    orders: list[InFlight]


_intents = msgspec.json.Decoder(Intent)
_encoder = msgspec.json.Encoder()


def database(folder: Path) -> Path:
    """Return the path of a journal's database."""
    return folder / "journal.sqlite"


def open_read_only(folder: Path) -> sqlite3.Connection:
    """Return a read-only connection to a journal.

    Raises:
        JournalError: If there is none.
    """
    path = database(folder)
    if not path.is_file():
        raise JournalError(f"no journal at {path}; has this instance ever run?")
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


class Journal:
    """The journal of one running instance, locked against a second trader.

    Args:
        folder: Where it lies.
        on_commit: Called in the helper thread with each record that is on disk.

    Raises:
        JournalError: If another process holds it, or it cannot be opened.
    """

    def __init__(self, folder: Path, on_commit: Callable[[ScanRecord], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._on_commit = on_commit
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._lock.close()
            raise JournalError(f"{folder} is in use by another trader of this instance") from e
        try:
            self._db = sqlite3.connect(database(folder), check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as e:
            raise JournalError(f"{database(folder)}: {e}") from e
        self._intent_path = folder / "intents.jsonl"
        self._intent_fd = open_lines(self._intent_path)
        self._queue: queue.Queue[ScanRecord | None] = queue.Queue()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self.fault: str | None = None
        self.n_committed = 0

    def load_desk(self) -> bytes | None:
        """Return the desk as it stood after the last committed scan."""
        row = self._db.execute("SELECT desk FROM state").fetchone()
        return None if row is None else row[0]

    def open_intents(self, after: tuple[int, int] | None) -> list[Intent]:
        """Return the intents of scans later than the last committed one, in order."""
        intents = []
        for line in self._intent_path.read_bytes().splitlines():
            try:
                intent = _intents.decode(line)
            except msgspec.DecodeError:
                continue  # cut off by the crash: its orders were never sent
            if after is None or (intent.epoch, intent.scan_number) > after:
                intents.append(intent)
        return intents

    def start(self) -> None:
        """Start the helper thread, once nothing more is read."""
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why nothing may be opened, or None: a failed write, or a disk that lags."""
        if self.fault is not None:
            return "JOURNAL_FAILED"
        return "JOURNAL_BEHIND" if self._queue.qsize() > BACKLOG_MAX else None

    def intend(self, epoch: int, scan_number: int, orders: list[InFlight]) -> bool:
        """Append the intent of a scan's orders; return False where it could not be written.

        One write: it survives a kill of the process from here on.
        """
        line = _encoder.encode(Intent(epoch=epoch, scan_number=scan_number, orders=orders)) + b"\n"
        try:
            return os.write(self._intent_fd, line) == len(line)
        except OSError as e:
            self.fault = f"intent file: {e}"
            return False

    def commit(self, record: ScanRecord) -> None:
        """Hand a scan's record to the helper thread."""
        self._queue.put(record)

    def close(self) -> None:
        """Write what waits, and close."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout=20)
        self._db.close()
        os.close(self._intent_fd)
        self._lock.close()

    def _write_all(self) -> None:
        waiting: list[ScanRecord] = []
        is_open = True
        while is_open or waiting:
            if is_open and not waiting:
                is_open = self._collect(waiting, timeout=None)
            if waiting and self._write(waiting):
                waiting.clear()
            elif waiting:
                if not is_open:
                    return
                is_open = self._collect(waiting, timeout=1.0)

    def _collect(self, waiting: list[ScanRecord], timeout: float | None) -> bool:
        try:
            record = self._queue.get(timeout=timeout)
        except queue.Empty:
            return True
        while record is not None:
            waiting.append(record)
            try:
                record = self._queue.get_nowait()
            except queue.Empty:
                return True
        return False

    def _write(self, records: list[ScanRecord]) -> bool:
        try:
            os.fdatasync(self._intent_fd)
            with self._db:
                for record in records:
                    self._insert(record)
        except (sqlite3.Error, OSError) as e:
            self.fault = f"{type(e).__name__}: {e}"
            return False
        self.fault = None
        self.n_committed += len(records)
        for record in records:
            self._on_commit(record)
        return True

    def _insert(self, record: ScanRecord) -> None:
        for table, rows in record.rows.items():
            if rows:
                verb = "INSERT OR REPLACE" if table in _UPSERT else "INSERT"
                marks = ",".join("?" * len(rows[0]))
                self._db.executemany(f"{verb} INTO {table} VALUES ({marks})", rows)
        self._db.execute("INSERT OR REPLACE INTO state VALUES (0, ?)", (record.desk,))
