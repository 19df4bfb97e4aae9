"""Receivers that are asked by HTTP: Prometheus' Alertmanager, and an outside watch on this machine.

An Alertmanager is told what is red every minute and groups, repeats and silences by itself. The
outside watch is called while the alerter runs: someone else notices when the calls end.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from dolphin_realtime.model.errors import DeliveryError
from dolphin_realtime.model.health.causes import explained
from dolphin_realtime.runtime.alert_log import Alert, AlertKey, why_of

ALERTMANAGER: Final = {"alertmanager": "http", "alertmanagers": "https"}
HEARTBEAT: Final = {"heartbeat+http": "http", "heartbeat+https": "https"}
EVERY_S: Final = 60.0
TIMEOUT_S: Final = 10.0
LIVES: Final = timedelta(minutes=5)
"""An alert that is no longer told of ends in Alertmanager after this time."""


def url_of(address: str, schemes: dict[str, str], path: str = "") -> str:
    """Return the HTTP address that stands behind one of our schemes."""
    parts = urlsplit(address)
    return parts._replace(scheme=schemes[parts.scheme], path=parts.path.rstrip("/") + path).geturl()


class Held:
    """What an Alertmanager was told that is not over, and with which cause: labels must not change."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._told: dict[AlertKey, dict[str, Any]] = {}

    def is_news(self, active: Mapping[AlertKey, Alert]) -> bool:
        """Return whether something is red or over that it was not told."""
        return active.keys() != self._told.keys()

    def document(self, active: Mapping[AlertKey, Alert], now: datetime) -> list[dict[str, Any]]:
        """Return what to post: what is red, and the end of what is not any more."""
        causes = explained(active)
        found = [
            self._alert(key, alert, causes.get(key), now + LIVES) for key, alert in active.items()
        ]
        ended = [{**one, "endsAt": _stamp(now)} for key, one in self._told.items() if key not in active]  # fmt: skip
        return [*found, *ended]

    def _alert(
        self, key: AlertKey, alert: Alert, cause: AlertKey | None, ends: datetime
    ) -> dict[str, Any]:
        """Return an alert as Alertmanager's API takes it (v2, postableAlerts)."""
        before = self._told.get(key)
        if before is not None and before["startsAt"] == _stamp(alert.ts):
            return {**before, "endsAt": _stamp(ends)}
        labels = {"alertname": key[1], "asset": key[0], "host": self._host, "system": "dolphin"}
        labels |= {"cause": " ".join(cause)} if cause else {}
        return {
            "labels": labels,
            "annotations": {"summary": why_of(alert.facts), "runbook": alert.runbook},
            "startsAt": _stamp(alert.ts),
            "endsAt": _stamp(ends),
        }

    def taken(self, active: Mapping[AlertKey, Alert], posted: list[dict[str, Any]]) -> None:
        """Note that a document was taken."""
        self._told = {
            key: one for one in posted
            if (key := (one["labels"]["asset"], one["labels"]["alertname"])) in active
        }  # fmt: skip


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def tell_alertmanager(address: str, alerts: list[dict[str, Any]]) -> None:
    """Post alerts and return once they were taken. Blocks.

    Raises:
        DeliveryError: If they were not.
    """
    _ask("POST", url_of(address, ALERTMANAGER, "/api/v2/alerts"), alerts)


def call_watch(address: str) -> None:
    """Call the outside watch once. Blocks.

    Raises:
        DeliveryError: If it did not answer with success.
    """
    _ask("GET", url_of(address, HEARTBEAT), None)


def _ask(method: str, url: str, body: Any) -> None:
    """Ask once; an error names no address, which may hold a secret."""
    try:
        answer = httpx2.request(method, url, json=body, timeout=TIMEOUT_S)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as e:
        raise DeliveryError(f"it did not answer: {type(e).__name__}") from None
    if not answer.is_success:
        raise DeliveryError(f"it answered {answer.status_code}")
