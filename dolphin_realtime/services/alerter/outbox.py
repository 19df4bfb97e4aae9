"""Each receiver's position in the alerts file, and the alerts to send to it now.

A receiver's position is saved after it took a message: a receiver that is unreachable gets the
rest later, and a crash between the two sends one message twice instead of losing it. A receiver
that replaces another one (its token was rotated) starts at the old one's position.
"""

from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files
from dolphin_realtime.runtime.alert_log import FILE, Alert, parse_alerts, read_alerts, standing

GROUP_S: Final = 3.0
"""Alerts that follow each other within this time go into one message …"""
GROUP_MAX_S: Final = 15.0
"""… but no alert waits longer than this for others."""
PAUSE_S: Final = 10.0
PAUSE_MAX_S: Final = 600.0


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """The alerts to send to a receiver, and its position in the file afterwards."""

    alerts: list[Alert]
    place: int


class Waiting(msgspec.Struct):
    """One receiver's waiting alerts: since when they wait, and its consecutive failures.

    Attributes:
        size: Size of the file when it was last seen to grow.
    """

    size: int = 0
    first_s: float | None = None
    last_s: float = 0.0
    failures: int = 0
    not_before_s: float = 0.0


class Outbox:
    """The alerts of one stack, by receiver. Times are seconds of a monotonic clock."""

    def __init__(self, home: Path, names: list[str]) -> None:
        self._file, self._kept = home / FILE, home / "run" / "alerter.json"
        before = _read(self._kept)
        dropped = [place for name, place in before.items() if name not in names]
        self._waiting = {name: Waiting() for name in names}
        self._greetings: dict[str, Due] = {}
        self._places = {}
        for name in names:
            self._places[name] = before.get(name, min(dropped, default=self._size()))
            if name not in before and not dropped:
                self._greet(name, home)

    def _greet(self, name: str, home: Path) -> None:
        """Queue the alerts that are red now for a new receiver, and no older ones."""
        red = list(standing(read_alerts(home)).values())
        if red:
            self._greetings[name] = Due(alerts=red, place=self._places[name])

    def _size(self) -> int:
        return self._file.stat().st_size if self._file.is_file() else 0

    def _keep(self) -> None:
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        files.replace(self._kept, msgspec.json.encode(self._places))

    def due(self, name: str, now_s: float) -> Due | None:
        """Return the alerts to send to a receiver now, None if there are none or not yet."""
        if name in self._greetings and now_s >= self._waiting[name].not_before_s:
            return self._greetings[name]
        size, waiting = self._size(), self._waiting[name]
        if size < self._places[name]:
            self._places[name] = 0
        if size == self._places[name]:
            waiting.first_s = None
            return None
        if size != waiting.size or waiting.first_s is None:
            waiting.size, waiting.last_s = size, now_s
            waiting.first_s = now_s if waiting.first_s is None else waiting.first_s
        is_calm = now_s - waiting.last_s >= GROUP_S or now_s - waiting.first_s >= GROUP_MAX_S
        if not is_calm or now_s < waiting.not_before_s:
            return None
        return self._read_on(self._places[name])

    def _read_on(self, place: int) -> Due:
        with self._file.open("rb") as f:
            f.seek(place)
            text = f.read()
        whole = text[: text.rfind(b"\n") + 1]
        return Due(alerts=parse_alerts(whole), place=place + len(whole))

    def taken(self, name: str, due: Due) -> None:
        """Save that a receiver took a message.

        Raises:
            OSError: If the position cannot be saved; after a restart the message is sent again.
        """
        self._greetings.pop(name, None)
        self._places[name] = due.place
        self._waiting[name] = Waiting()
        self._keep()

    def refused(self, name: str, now_s: float) -> float:
        """Note that a receiver refused a message; return the seconds until the next attempt."""
        waiting = self._waiting[name]
        pause_s: float = min(PAUSE_S * 2**waiting.failures, PAUSE_MAX_S)
        waiting.failures += 1
        waiting.not_before_s = now_s + pause_s
        return pause_s


def _read(path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}
