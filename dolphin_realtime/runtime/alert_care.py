"""Who takes care of an alert: acknowledged, or silenced for a time, always with a reason and a name.

The lines' format and their file, `run_logs/alert_care.jsonl`, belong here. Care changes only what is
sent: an alert stays red until what it is about is well.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

import msgspec

from dolphin_realtime.infra import files
from dolphin_realtime.runtime.alert_log import Alert, AlertKey, Zoned

FILE: Final = "run_logs/alert_care.jsonl"
Kind = Literal["ack", "silence", "lift"]


class CareLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line.

    Attributes:
        at: Wall time.
        kind: ack: someone works on this episode, do not repeat it; silence: send nothing of what
            matches; lift: end both.
        asset: What it is about; of a silence, a pattern with ``*``.
        check: Which check of it; of a silence, a pattern with ``*``.
        until: When it ends by itself; None: with the episode.
        episode: Time of the acknowledged alert.
        reason: Why.
        by: Who.
    """

    at: Zoned
    kind: Kind
    asset: str
    check: str
    until: Zoned | None = None
    episode: Zoned | None = None
    reason: str
    by: str


class Care(msgspec.Struct, frozen=True):
    """The care that an alert has now."""

    line: CareLine

    @property
    def is_silenced(self) -> bool:
        """Whether nothing of it is sent."""
        return self.line.kind == "silence"

    @property
    def words(self) -> str:
        """Who, until when, why."""
        line = self.line
        end = f"until {line.until:%Y-%m-%d %H:%M}" if line.until else "until it is well"
        what = "silenced" if self.is_silenced else "acknowledged"
        return f"{what} by {line.by} {end}: {line.reason}"


def add(home: Path, line: CareLine) -> None:
    """Append a line and sync it to disk.

    Raises:
        OSError: If it was not written completely.
    """
    files.append_line(home / FILE, line, files.SHARED, is_durable=True)


def read(home: Path) -> list[CareLine]:
    """Return the lines so far, oldest first; unreadable ones are skipped."""
    return [line for line in files.read_lines(home / FILE, CareLine) if line is not None]


def care_for(
    active: Mapping[AlertKey, Alert], lines: Iterable[CareLine], now: datetime
) -> dict[AlertKey, Care]:
    """Return the care of each active alert that has some; a silence counts before an acknowledgement."""
    known = list(lines)
    found = {key: _care(key, alert, known, now) for key, alert in active.items()}
    return {key: care for key, care in found.items() if care is not None}


def care_of(home: Path, active: Mapping[AlertKey, Alert], now: datetime) -> dict[AlertKey, Care]:
    """Return the care of active alerts, by the file."""
    return care_for(active, read(home), now)


def _care(key: AlertKey, alert: Alert, lines: list[CareLine], now: datetime) -> Care | None:
    found: list[CareLine] = []
    for line in lines:
        if not (fnmatchcase(key[0], line.asset) and fnmatchcase(key[1], line.check)):
            continue
        if line.kind == "lift":
            found.clear()
        elif line.kind == "silence" or line.episode == alert.ts:
            found.append(line)
    valid = [line for line in found if line.until is None or now < line.until]
    silences = [line for line in valid if line.kind == "silence"]
    chosen = (silences or valid)[-1:]
    return Care(chosen[0]) if chosen else None
