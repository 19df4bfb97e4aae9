"""The text of alert messages. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from dolphin_realtime.runtime.alert_log import Alert

SHOWN: Final = 20
FACTS_SHOWN: Final = 3
LENGTH: Final = 300
"""Longest text of one alert, in characters: some receivers cut a message at two thousand."""
WORDS: Final = {"red": "RED", "recovered": "recovered"}


def title_of(alerts: Sequence[Alert], host: str) -> str:
    """Return the title: how many alerts are red and recovered, and the host."""
    red = sum(alert.state == "red" for alert in alerts)
    parts = [f"{red} red"] if red else []
    parts += [f"{len(alerts) - red} recovered"] if len(alerts) > red else []
    return f"Dolphin on {host}: {', '.join(parts)}"


def body_of(alerts: Sequence[Alert]) -> str:
    """Return one paragraph per alert; of more than SHOWN alerts, the newest."""
    said = [_paragraph(alert) for alert in alerts[-SHOWN:]]
    left = len(alerts) - SHOWN
    more = [f"{left} earlier ones: dolphin alerts history"] if left > 0 else []
    return "\n\n".join([*more, *said])


def _paragraph(alert: Alert) -> str:
    head = f"{WORDS[alert.state]}: {alert.asset} {alert.check}, {alert.ts:%Y-%m-%d %H:%M:%S} UTC"
    lines = [head, why_of(alert.facts)]
    if alert.state == "red":
        lines.append(f"What to do: {alert.runbook}")
    return "\n".join(line for line in lines if line)


def why_of(facts: dict[str, Any]) -> str:
    """Return an alert's facts as text: ``why`` if present, else the first few."""
    if facts.get("why"):
        return str(facts["why"])[:LENGTH]
    some = list(facts.items())[:FACTS_SHOWN]
    return ", ".join(f"{name} {value}" for name, value in some)[:LENGTH]
