"""Alerts on disk: one line when something goes wrong, one when it recovers.

The line's format and its file, `run_logs/alerts.jsonl`, belong here. Whoever detects a fault
decides whether to write an alert; sending alerts to people belongs in services/alerter/.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from dolphin_realtime.infra import files

FILE: Final = "run_logs/alerts.jsonl"
FACTS_SHOWN: Final = 3
LENGTH: Final = 300
"""Longest text of one alert, in characters: some receivers cut a message at two thousand."""
LOOKED: Final = "run/alerts_looked"
"""Touched each time Dagster's sensor `alerts` has run; meta health watches its age."""


Zoned = Annotated[datetime, msgspec.Meta(tz=True)]
"""A wall time with its zone: a line in which it has none is unreadable."""
AlertState = Literal["red", "recovered"]
AlertKey = tuple[str, str]
"""(asset, check)."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One line.

    Attributes:
        ts: Wall time.
        asset: What it is about: an asset, a service, a job, a sensor.
        check: Which check of it, or `run` or `tick`.
        state: red, or recovered.
        facts: What the check found; ``why`` says it in words.
        runbook: Runbook section that says what to do.
    """

    ts: Zoned
    asset: str
    check: str
    state: AlertState
    facts: dict[str, Any]
    runbook: str

    @property
    def key(self) -> AlertKey:
        """The key by which a recovery clears an alert."""
        return (self.asset, self.check)


def write_alert(home: Path, alert: Alert) -> None:
    """Append an alert and sync it to disk.

    Raises:
        OSError: If it was not written completely.
    """
    files.append_line(home / FILE, alert, files.SHARED, is_durable=True)


def note_look(home: Path) -> None:
    """Note that Dagster's sensor has looked.

    Raises:
        OSError: If the file cannot be touched.
    """
    path = home / LOOKED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def read_alerts(home: Path) -> list[Alert]:
    """Return the alerts so far, oldest first; unreadable lines are skipped."""
    return [alert for alert in files.read_lines(home / FILE, Alert) if alert is not None]


def parse_alerts(content: bytes) -> list[Alert]:
    """Return the alerts in some lines; unreadable lines are skipped."""
    return [alert for alert in files.parse_lines(content, Alert) if alert is not None]


def standing(alerts: Iterable[Alert]) -> dict[AlertKey, Alert]:
    """Return the active alerts: the last red alert of each key that has not recovered since."""
    found: dict[AlertKey, Alert] = {}
    for alert in alerts:
        if alert.state == "red":
            found[alert.key] = alert
        else:
            found.pop(alert.key, None)
    return found


def why_of(facts: dict[str, Any]) -> str:
    """Return an alert's facts as text: ``why`` if present, else the first few."""
    if facts.get("why"):
        return str(facts["why"])[:LENGTH]
    some = list(facts.items())[:FACTS_SHOWN]
    return ", ".join(f"{name} {value}" for name, value in some)[:LENGTH]
