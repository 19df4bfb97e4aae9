"""Alerts on disk: one line when something goes wrong, one when it is well again.

The line's shape and its file, `run_logs/alerts.jsonl`, belong here; deciding what is worth one
belongs to who sees it.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from dolphin_realtime.append_file import SHARED, open_lines

FILE: Final = "run_logs/alerts.jsonl"


AlertState = Literal["red", "recovered"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One line.

    Attributes:
        ts: Wall time.
        state: red, or recovered.
        facts: What the check saw.
        runbook: Where to read what to do.
    """

    ts: datetime
    asset: str
    check: str
    state: AlertState
    facts: dict[str, Any]
    runbook: str


def write_alert(home: Path, alert: Alert) -> None:
    """Append an alert and have it on disk."""
    path = home / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = open_lines(path, SHARED)
    try:
        os.write(fd, msgspec.json.encode(alert) + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)


def read_alerts(home: Path) -> list[Alert]:
    """Return the alerts so far, oldest first; a torn line is left out."""
    path, found = home / FILE, []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            found.append(msgspec.json.decode(line, type=Alert))
        except msgspec.DecodeError:
            continue
    return found
