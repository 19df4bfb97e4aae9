"""One reading of the realtime services: the grid's documents and the journals' check results.

Reading belongs here; judging does not (rules.py).
"""

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from dolphin_dagster.resources import Grid
from dolphin_realtime.config.services import shown
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import maps
from dolphin_realtime.journal.check import CheckResult, check
from dolphin_realtime.model.documents import Heartbeat, StateDocument
from dolphin_realtime.model.errors import GridError

Document = dict[str, Any] | None
JOURNAL_SHARE: Final = 0.02
"""Largest share of the time that checking journals may take."""
JOURNAL_PAUSE_S: Final = 10.0
FIRST_S: Final = 3.0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What was read at one instant; ``fault`` says why the grid could not be read."""

    now: datetime
    scan: Document = None
    books: Document = None
    safety: Document = None
    health: Document = None
    states: Mapping[str, StateDocument | None] = {}
    heartbeats: Mapping[str, Heartbeat | None] = {}
    journals: Mapping[str, CheckResult] = {}
    fault: str | None = None


class Journals:
    """The instances' journals, checked repeatedly in a thread that uses a small share of the time.

    Longer journals are checked less often: one whose check takes a second, every 50 s.
    The thread ends with the process.
    """

    def __init__(self) -> None:
        self._found: dict[str, CheckResult] = {}
        self._thread: threading.Thread | None = None

    def look(self, settings: Settings) -> dict[str, CheckResult]:
        """Return each journal's last result; the first call waits at most 3 s for one."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._verify, args=[settings], daemon=True)
            self._thread.start()
            self._thread.join(FIRST_S)
        return dict(self._found)

    def _verify(self, settings: Settings) -> None:
        while True:
            began_s = time.monotonic()
            for instance in settings.instance_names:
                self._found[instance] = _verified(settings, instance)
            took_s = time.monotonic() - began_s
            time.sleep(max(JOURNAL_PAUSE_S, took_s / JOURNAL_SHARE - took_s))


def _verified(settings: Settings, instance: str) -> CheckResult:
    """Return a journal's check result; a journal that cannot be read does not hold."""
    try:
        return check(settings.journal_dir(instance))
    except Exception as e:  # noqa: BLE001 - a row of any shape may be in a damaged file
        return CheckResult(ok=False, rows=0, first_break=f"{type(e).__name__}: {e}")


_JOURNALS: Final = Journals()


def read_snapshot(settings: Settings, the_grid: Grid) -> Snapshot:
    """Return a snapshot of now; if the grid is away, the snapshot has a fault.

    Its instant is taken after the reading, so that no document is newer than it.
    """
    journals = _JOURNALS.look(settings)
    try:
        found = Snapshot(
            now=datetime.now(UTC),
            scan=the_grid.get(maps.FEATURES, maps.LATEST_SCAN),
            books=the_grid.get(maps.FEATURES, maps.LATEST_BOOKS),
            safety=the_grid.get(maps.SAFETY, maps.LATEST),
            health=the_grid.get(maps.META_HEALTH, maps.LATEST),
            states={
                instance: the_grid.read(maps.state_map(instance), maps.LATEST_STATE, StateDocument)
                for instance in settings.instance_names
            },
            heartbeats={
                name: the_grid.read(maps.HEARTBEAT, name, Heartbeat) for name in shown(settings)
            },
            journals=journals,
        )
    except GridError as e:
        return Snapshot(now=datetime.now(UTC), journals=journals, fault=str(e))
    return msgspec.structs.replace(found, now=datetime.now(UTC))
