"""What meta health keeps on disk, for itself after a restart and for `dolphin health history`.

The recovery ledger (`health/ledger.jsonl`), the maintenance order (`health/maintenance.json`)
and the history of health (`run_logs/health_history.jsonl`): their lines, writing and reading
belong here; deciding does not (model/health/recovery.py).
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
        event: acts (written before the action), refused (by the manager), cured, not_cured,
            or well: ten healthy minutes made the target's slate clean.
        why: What the sensor saw, or how it ended.
        manager: Who was asked.
        dry_run: Nothing was really done.
    """

    at: Aware
    event: Event
    action: Action
    why: str = ""
    manager: str = ""
    dry_run: bool = False


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the history of health.

    Attributes:
        turn: Turns of this process so far.
        kind: start, change (of the status or of a target), or hour: 720 turns went by.
        changed: By sensor and target, the new word.
        statuses: For an hour: how many turns each status had.
        actions: For an hour: how many recovery actions began.
        turn_ms: For an hour: the median and the longest turn.
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
    """A person's order to repair nothing until an instant."""

    until: Aware
    reason: str
    who: str
    at: Aware


def document_path(settings: Settings) -> Path:
    """Return where the newest health document lies, as it is in the grid."""
    return settings.run_logs / "meta_health.json"


def ledger_path(settings: Settings) -> Path:
    """Return where the recovery ledger lies."""
    return settings.health_dir / "ledger.jsonl"


def history_path(settings: Settings) -> Path:
    """Return where the history of health lies."""
    return settings.run_logs / "health_history.jsonl"


def maintenance_path(settings: Settings) -> Path:
    """Return where the maintenance order lies."""
    return settings.health_dir / "maintenance.json"


class Ledger:
    """The recovery ledger, open for appending; a line is on disk once `add` returns."""

    def __init__(self, path: Path) -> None:
        self._lines = files.JsonLines(path, files.SHARED)

    def add(self, line: LedgerLine) -> None:
        """Append a line and have it on disk.

        Raises:
            OSError: If it is not there whole.
        """
        self._lines.append(line)
        self._lines.sync()

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def read_ledger(path: Path) -> tuple[list[LedgerLine], int]:
    """Return the ledger's lines, oldest first, and how many after them cannot be read."""
    return _read(path, LedgerLine)


def read_history(path: Path) -> tuple[list[HistoryLine], int]:
    """Return the history's lines, oldest first, and how many after them cannot be read."""
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
    """Return the memory that a ledger holds, of what was done, or of dry runs.

    A line at its end that cannot be read counts as an action now; an instant after now, which a
    wrong clock wrote, as now.
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
    """Append a line; a large file is moved aside, once."""
    if path.is_file() and path.stat().st_size > HISTORY_MAX_BYTES:
        path.replace(path.with_suffix(".old.jsonl"))
    files.append_line(path, line, files.SHARED)


def keep_maintenance(path: Path, order: Maintenance | None) -> None:
    """Write a maintenance order, or take it back."""
    if order is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, msgspec.json.encode(order), 0o640)  # whatever root's umask hides


def maintenance(path: Path, now: datetime) -> str | None:
    """Return why nothing may be repaired now, None where no order stands.

    An order that cannot be read stands: a person wrote it.
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
