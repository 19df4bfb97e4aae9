"""Writing a running trader's journal.

The sequence of writing belongs here; the tables are in tables.py, the rows of a scan in rows.py.
An intent is appended before its orders are sent. Everything else of a scan is written by a helper
thread, in one transaction per batch of waiting scans, so the trader's loop never waits for a
disk sync. A reserve of disk space is held: when the disk is full it is released for exits, and
nothing is opened until it is held again.
"""

import fcntl
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import fault_points
from dolphin_realtime.journal.database import LIFE, PAPER, insert, meta, open_new
from dolphin_realtime.journal.intents import IntentFile
from dolphin_realtime.journal.kept_state import KeptState
from dolphin_realtime.journal.reserve import Reserve
from dolphin_realtime.journal.tables import Row
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.risk.permission import TradingPermission

BACKLOG_MAX: Final = 1000
"""If more scans than this wait for the disk, nothing may be opened."""
RETRY_S: Final = 1.0


class ScanRecord(msgspec.Struct, kw_only=True):
    """Everything one scan adds to the journal: rows by table, and the portfolio after it.

    ``portfolio`` is None if a later record of the same batch supersedes it.
    """

    epoch: int
    scan_number: int
    rows: dict[str, list[Row]]
    portfolio: bytes | None


class Journal:
    """The journal of one running instance, locked against a second trader.

    Args:
        folder: The journal's folder.
        on_commit: Called in the helper thread with each record that is on disk.
        mode: Paper or live; a journal keeps its mode for life.

    Raises:
        JournalError: If another process holds it, it cannot be opened, or another version of
            Dolphin wrote it.

    Attributes:
        life: Four random characters, drawn when the journal was created; part of every order's id.
    """

    def __init__(
        self, folder: Path, on_commit: Callable[[ScanRecord], None], mode: str = PAPER
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._on_commit = on_commit
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._lock.close()
            raise JournalError(f"{folder} is in use by another trader of this instance") from e
        try:
            self._db = open_new(folder, mode)
        except JournalError:
            self._lock.close()
            raise
        self.life = meta(self._db, LIFE)
        self.intents = IntentFile(folder / "intents.jsonl")
        self.reserve = Reserve(folder / "reserve")
        self._queue: queue.Queue[ScanRecord | None] = queue.Queue()
        self._kept = KeptState()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self.fault: str | None = None
        self.broken: str | None = None
        self.n_committed = self.n_handed = 0

    def load_portfolio(self) -> bytes | None:
        """Return the portfolio as it stood after the last committed scan."""
        row = self._db.execute("SELECT desk FROM state").fetchone()
        return None if row is None else row[0]

    @property
    def before_start(self) -> sqlite3.Connection:
        """The database, for reading and for its own facts until `start`."""
        if self._thread.is_alive():
            raise AssertionError("the journal's thread has the database")
        return self._db

    def start(self) -> None:
        """Start the helper thread; nothing may be read from the database afterwards."""
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why nothing may be opened, or None: a failed write, a full disk, or a backlog."""
        if self.fault is not None:
            return "JOURNAL_FAILED"
        if not self.reserve.is_there:
            return "JOURNAL_FULL"
        return "JOURNAL_BEHIND" if self._queue.qsize() > BACKLOG_MAX else None

    def intend(
        self, epoch: int, scan_number: int, orders: Sequence[InFlight], limits: TradingPermission
    ) -> bool:
        """Append the intent of a scan's orders; return False if it could not be written.

        It is one write, so it survives a kill of the process afterwards. On a failed write the
        reserve is released and the write repeated, so that exits can still be written.
        """
        fault = self.intents.append(epoch, scan_number, orders, limits)
        if fault is not None and self.reserve.give_up():
            fault = self.intents.append(epoch, scan_number, orders, limits)
        if fault is not None:
            self.fault = f"intent file: {fault}"
        return fault is None

    def commit(self, record: ScanRecord) -> None:
        """Hand a scan's record to the helper thread."""
        self.n_handed += 1
        self._queue.put(record)

    def close(self) -> None:
        """Write the waiting records, and close."""
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
        """Collect queued records; only the newest keeps its portfolio, to save memory."""
        try:
            record = self._queue.get(timeout=timeout)
        except queue.Empty:
            return True
        while record is not None:
            if waiting:
                waiting[-1].portfolio = None
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
            self._kept.failed()
            return self._set_aside(records, e)
        except (sqlite3.Error, OSError, ValueError) as e:
            self._kept.failed()
            self.fault = f"{type(e).__name__}: {e}"
            self.reserve.give_up()
            return False
        self._kept.committed()
        self.fault = self.broken
        self.n_committed += len(records)
        fault_points.reach("state")
        for record in records:
            self._on_commit(record)
        return True

    def _set_aside(self, records: list[ScanRecord], fault: sqlite3.IntegrityError) -> bool:
        """Write records one by one; skip one that breaks a key, and keep that fault for good."""
        if len(records) > 1:
            while records and self._write(records[:1]):
                del records[0]
            return not records
        key = f"{records[0].epoch}/{records[0].scan_number}"
        self.broken = self.fault = f"the record of scan {key} contradicts the journal: {fault}"
        return True

    def _insert(self, record: ScanRecord) -> None:
        insert(self._db, record.rows)
        if record.portfolio is not None:
            self._kept.write(self._db, record.portfolio)
