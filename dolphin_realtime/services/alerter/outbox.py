"""Each receiver's position in the alerts file, its open episodes, and what to say to it now.

Both are saved after it took a message: a receiver that is unreachable gets the rest later, and a
crash between the two sends one message twice instead of losing it. A receiver that replaces another
one (its token was rotated) goes on where the old one stood.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files
from dolphin_realtime.runtime.alert_care import care_of
from dolphin_realtime.runtime.alert_log import FILE, Alert, parse_alerts, read_alerts, standing
from dolphin_realtime.services.alerter.episodes import Episode, Item, applied, plan

GROUP_S: Final = 3.0
"""Alerts that follow each other within this time go into one message …"""
GROUP_MAX_S: Final = 15.0
"""… but no alert waits longer than this for others."""
PAUSE_S: Final = 10.0
PAUSE_MAX_S: Final = 600.0


class Place(msgspec.Struct, kw_only=True):
    """Where a receiver stands: how far the file was read, and what it was told that is not over."""

    place: int = 0
    episodes: list[Episode] = []


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What to say to a receiver, and where it stands afterwards."""

    items: list[Item]
    after: Place


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
    """The alerts of one stack, by receiver. Times are seconds of a monotonic clock.

    Args:
        home: Of the stack.
        names: The receivers.
        repeat_s: After so long a red alert is said again while nobody acknowledged it; 0: never.
    """

    def __init__(self, home: Path, names: list[str], repeat_s: float = 0.0) -> None:
        self._home, self._file, self._kept = home, home / FILE, home / "run" / "alerter.json"
        self._repeat = timedelta(seconds=repeat_s) if repeat_s else None
        before = _read(self._kept, self._file)
        dropped = [place for name, place in before.items() if name not in names]
        heir = min(dropped, key=lambda place: place.place, default=None)
        self._waiting = {name: Waiting() for name in names}
        self._places = {name: before.get(name) or heir or self._greeted() for name in names}

    def _greeted(self) -> Place:
        """Return where a new receiver begins: it is told what is red now, and nothing older."""
        red = standing(read_alerts(self._home)).values()
        return Place(place=self._size(), episodes=[Episode(alert=alert) for alert in red])

    def _size(self) -> int:
        return self._file.stat().st_size if self._file.is_file() else 0

    def due(self, name: str, now_s: float, wall: datetime | None = None) -> Due | None:
        """Return what to say to a receiver now, None if there is nothing or not yet."""
        waiting, place = self._waiting[name], self._places[name]
        if now_s < waiting.not_before_s or not self._is_calm(name, now_s):
            return None
        lines, end = self._read_on(place.place)
        episodes = applied({one.alert.key: one for one in place.episodes}, lines)
        if not episodes:
            place.place = end
            return None
        wall = wall or datetime.now(UTC)
        care = care_of(self._home, {key: one.alert for key, one in episodes.items()}, wall)
        items, after = plan(episodes, care, wall, self._repeat)
        stands = Place(place=end, episodes=list(after.values()))
        if not items:
            self._places[name] = stands
            return None
        return Due(items=items, after=stands)

    def _is_calm(self, name: str, now_s: float) -> bool:
        """Return whether no line came lately, or the first waits too long already."""
        size, waiting = self._size(), self._waiting[name]
        if size < self._places[name].place:
            self._places[name].place = 0
        if size == self._places[name].place:
            waiting.first_s = None
            return True
        if size != waiting.size or waiting.first_s is None:
            waiting.size, waiting.last_s = size, now_s
            waiting.first_s = now_s if waiting.first_s is None else waiting.first_s
        return now_s - waiting.last_s >= GROUP_S or now_s - waiting.first_s >= GROUP_MAX_S

    def _read_on(self, place: int) -> tuple[list[Alert], int]:
        """Return the lines after a place, and the end of the last whole one."""
        if self._size() == place:
            return [], place
        with self._file.open("rb") as f:
            f.seek(place)
            text = f.read()
        whole = text[: text.rfind(b"\n") + 1]
        return parse_alerts(whole), place + len(whole)

    def taken(self, name: str, due: Due) -> None:
        """Save that a receiver took a message.

        Raises:
            OSError: If the position cannot be saved; after a restart the message is sent again.
        """
        self._places[name], self._waiting[name] = due.after, Waiting()
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        files.replace(self._kept, msgspec.json.encode(self._places))

    def refused(self, name: str, now_s: float) -> float:
        """Note that a receiver refused a message; return the seconds until the next attempt."""
        waiting = self._waiting[name]
        pause_s: float = min(PAUSE_S * 2 ** min(waiting.failures, 10), PAUSE_MAX_S)
        waiting.failures += 1
        waiting.not_before_s = now_s + pause_s
        return pause_s


def _read(kept: Path, file: Path) -> dict[str, Place]:
    """Return where each receiver stood; an older version kept only places in the file."""
    try:
        found = msgspec.json.decode(kept.read_bytes(), type=dict[str, int | Place])
        lines = file.read_bytes() if file.is_file() else b""
    except (OSError, msgspec.DecodeError):
        return {}
    now = datetime.now(UTC)
    return {
        name: one
        if isinstance(one, Place)
        else Place(
            place=one,
            episodes=[
                Episode(alert=alert, sent=now)
                for alert in standing(parse_alerts(lines[:one])).values()
            ],
        )
        for name, one in found.items()
    }
