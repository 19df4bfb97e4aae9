"""Meta health's files, for itself after a restart and for `dolphin health history`.

The recovery ledger (`health/ledger.jsonl`), the maintenance command (`health/maintenance.json`)
and the health history (`run_logs/health_history.jsonl`): their lines, writing and reading belong
here; deciding does not (model/health/recovery.py).
"""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra import files
from dolphin_realtime.model.health.recovery_memory import BUDGET_WINDOW, Action, Memory
from dolphin_realtime.model.instant import Aware

HISTORY_MAX_BYTES: Final = 5_000_000
Event = Literal["acts", "refused", "cured", "not_cured", "well"]


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the recovery ledger.

    Attributes:
        event: acts (written before the action), refused (the request failed), cured, not_cured,
            or well: after ten healthy minutes the target's memory was cleared.
        why: The faults that led to it, or how it ended.
        manager: Name of the service manager.
        dry_run: Whether it was a dry run: nothing was done.
    """

    at: Aware
    event: Event
    action: Action
    why: str = ""
    manager: str = ""
    dry_run: bool = False


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the health history.

    Attributes:
        turn: Number of turns of this process so far.
        kind: start, change (of the status or of a target), or hour (every 720 turns).
        changed: The new word, by sensor and target.
        statuses: For an hour: the number of turns with each status.
        actions: For an hour: the number of recovery actions begun.
        turn_ms: For an hour: the median and the longest duration of a turn.
    """

    at: Aware
    turn: int
    kind: Literal["start", "change", "hour"]
    status: str
    rm_meta: float
    changed: dict[str, str] = {}
    statuses: dict[str, int] = {}
    actions: int = 0
    turn_ms: dict[str, float] = {}


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """An operator command to repair nothing until an instant."""

    until: Aware
    reason: str
    who: str
    at: Aware


def document_path(settings: Settings) -> Path:
    """Return the path of the newest health document, a copy of the one in the grid."""
    return settings.run_logs / "meta_health.json"


def ledger_path(settings: Settings) -> Path:
    """Return the path of the recovery ledger."""
    return settings.health_dir / "ledger.jsonl"


def history_path(settings: Settings) -> Path:
    """Return the path of the health history."""
    return settings.run_logs / "health_history.jsonl"


def maintenance_path(settings: Settings) -> Path:
    """Return the path of the maintenance command."""
    return settings.health_dir / "maintenance.json"


class Ledger:
    """The recovery ledger, open for appending; a line is on disk once `add` returns."""

    def __init__(self, path: Path) -> None:
        self._lines = files.JsonLines(path, files.SHARED)

    def add(self, line: LedgerLine) -> None:
        """Append a line and sync it to disk.

        Raises:
            OSError: If it could not be written completely.
        """
        self._lines.append(line)
        self._lines.sync()

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def read_ledger(path: Path) -> tuple[list[LedgerLine], int]:
    """Return the ledger's lines, oldest first, and the number of unreadable lines at its end."""
    return _read(path, LedgerLine)


def read_history(path: Path) -> tuple[list[HistoryLine], int]:
    """Return the history's lines, oldest first, and the number of unreadable lines at its end."""
    return _read(path, HistoryLine)


def _read[L: LedgerLine | HistoryLine](path: Path, kind: type[L]) -> tuple[list[L], int]:
    found, unreadable = [], 0
    for line in files.read_lines(path, kind):
        if line is None:
            unreadable += 1
        else:
            found.append(line)
            unreadable = 0
    return found, unreadable


def remembered(
    lines: list[LedgerLine], unreadable: int, now: datetime, *, is_dry: bool = False
) -> Memory:
    """Return recovery's memory from the ledger, of real actions or of dry runs.

    An unreadable line at the end counts as an action now. An instant in the future, written by a
    wrong clock, counts as now.
    """
    memory = Memory()
    for line in lines:
        if line.dry_run != is_dry:
            continue
        target, at = line.action.target, min(line.at, now)
        if line.event == "acts":
            memory.acted(line.action, at)
        elif line.event == "well":
            memory.targets.pop(target, None)
        else:
            memory.ended(target, at, is_cured=line.event == "cured")
    memory.acted_at = [at for at in memory.acted_at if now - at < BUDGET_WINDOW]
    memory.acted_at += [now] * unreadable
    return memory


def append_history(path: Path, line: HistoryLine) -> None:
    """Append a line; a file over HISTORY_MAX_BYTES is first moved to ``.old.jsonl``."""
    if path.is_file() and path.stat().st_size > HISTORY_MAX_BYTES:
        path.replace(path.with_suffix(".old.jsonl"))
    files.append_line(path, line, files.SHARED)


def keep_maintenance(path: Path, order: Maintenance | None) -> None:
    """Write a maintenance command, or delete it if ``order`` is None."""
    if order is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, msgspec.json.encode(order), 0o640)  # independent of root's umask


def maintenance(path: Path, now: datetime) -> str | None:
    """Return why nothing may be repaired now, None if no maintenance command is active.

    A command that cannot be read counts as active, because a person wrote it.
    """
    try:
        order = msgspec.json.decode(path.read_bytes(), type=Maintenance)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as e:
        return f"maintenance: {path} cannot be read ({e}); dolphin maintenance off"
    if now >= order.until:
        return None
    return f"maintenance until {order.until:%H:%M:%S} by {order.who}: {order.reason}"
