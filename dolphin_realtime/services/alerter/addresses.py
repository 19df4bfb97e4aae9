"""Receivers that are asked by HTTP: Prometheus' Alertmanager, and an outside watch on this machine.

An Alertmanager is told what is red every minute and groups, repeats and silences by itself. The
outside watch is called while the alerter runs: someone else notices when the calls end.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from dolphin_realtime.model.errors import DeliveryError
from dolphin_realtime.runtime.alert_log import why_of
from dolphin_realtime.services.alerter.episodes import Episode

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


def alerts_of(episodes: Iterable[Episode], host: str, now: datetime) -> list[dict[str, Any]]:
    """Return what is red as Alertmanager's API takes it (v2, postableAlerts)."""
    found = []
    for one in episodes:
        alert = one.alert
        ends = one.recovered.ts if one.recovered else now + LIVES
        labels = {"alertname": alert.check, "asset": alert.asset, "host": host, "system": "dolphin"}
        if one.cause is not None:
            labels["cause"] = " ".join(one.cause)
        found.append(
            {
                "labels": labels,
                "annotations": {"summary": why_of(alert.facts), "runbook": alert.runbook},
                "startsAt": alert.ts.astimezone(UTC).isoformat(),
                "endsAt": ends.astimezone(UTC).isoformat(),
            }
        )
    return found


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
        answer = httpx.request(method, url, json=body, timeout=TIMEOUT_S)
    except httpx.HTTPError as e:
        raise DeliveryError(f"it did not answer: {type(e).__name__}") from None
    if not answer.is_success:
        raise DeliveryError(f"it answered {answer.status_code}")
