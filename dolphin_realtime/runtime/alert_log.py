"""Alerts on disk: one line when something goes wrong, one when it is well again.

The line's shape and its file, `run_logs/alerts.jsonl`, belong here; deciding what is worth one
belongs to who sees it, sending it to people to alerter/.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from dolphin_realtime.infra import files

FILE: Final = "run_logs/alerts.jsonl"
LOOKED: Final = "run/alerts_looked"
"""Touched each time Dagster's side has looked for what is wrong; meta health watches it."""


AlertState = Literal["red", "recovered"]
AlertKey = tuple[str, str]
"""(asset, check)."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One line.

    Attributes:
        ts: Wall time.
        asset: What it is about: an asset, a service, a job, a sensor.
        check: What of it.
        state: red, or recovered.
        facts: What the check saw; ``why`` in words.
        runbook: Where to read what to do.
    """

    ts: datetime
    asset: str
    check: str
    state: AlertState
    facts: dict[str, Any]
    runbook: str

    @property
    def key(self) -> AlertKey:
        """What a recovery takes back."""
        return (self.asset, self.check)


def write_alert(home: Path, alert: Alert) -> None:
    """Append an alert and have it on disk.

    Raises:
        OSError: If it is not there whole.
    """
    files.append_line(home / FILE, alert, files.SHARED, is_durable=True)


def note_look(home: Path) -> None:
    """Leave word that Dagster's side has looked.

    Raises:
        OSError: If the file cannot be touched.
    """
    path = home / LOOKED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def read_alerts(home: Path) -> list[Alert]:
    """Return the alerts so far, oldest first; a torn line is left out."""
    return [alert for alert in files.read_lines(home / FILE, Alert) if alert is not None]


def parse_alerts(content: bytes) -> list[Alert]:
    """Return the alerts of some lines; what cannot be read is left out."""
    return [alert for alert in files.parse_lines(content, Alert) if alert is not None]


def standing(alerts: Iterable[Alert]) -> dict[AlertKey, Alert]:
    """Return what is red after some alerts: each with the alert that said so last."""
    found: dict[AlertKey, Alert] = {}
    for alert in alerts:
        if alert.state == "red":
            found[alert.key] = alert
        else:
            found.pop(alert.key, None)
    return found
