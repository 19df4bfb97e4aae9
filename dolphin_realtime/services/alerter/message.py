"""The text of alert messages. Pure."""

from collections.abc import Sequence
from typing import Final

from dolphin_realtime.runtime.alert_log import AlertKey, why_of
from dolphin_realtime.services.alerter.episodes import Item

SHOWN: Final = 8
FOLLOWERS_SHOWN: Final = 12
WORDS: Final = {"red": "RED", "still red": "STILL RED", "recovered": "recovered"}


def title_of(items: Sequence[Item], host: str) -> str:
    """Return the title: how many alerts are red and recovered, and the host."""
    counts = {word: sum(item.word == word for item in items) for word in WORDS}
    parts = [f"{n} {word}" for word, n in counts.items() if n]
    return f"Dolphin on {host}: {', '.join(parts)}"


def body_of(items: Sequence[Item]) -> str:
    """Return one paragraph per alert; of more than SHOWN alerts, the newest."""
    said = [_paragraph(item) for item in items[-SHOWN:]]
    left = len(items) - SHOWN
    more = [f"{left} earlier ones: dolphin alerts history"] if left > 0 else []
    return "\n\n".join([*more, *said])


def _paragraph(item: Item) -> str:
    alert = item.alert
    lines = [
        f"{WORDS[item.word]}: {alert.asset} {alert.check}, {alert.ts:%Y-%m-%d %H:%M:%S} UTC",
        why_of(alert.facts),
        _followers(item.followers, "And with it" if item.word == "recovered" else "It explains"),
    ]
    if item.word != "recovered":
        lines.append(f"What to do: {alert.runbook}")
    if item.word == "still red":
        lines.append(
            f"Nobody has acknowledged it: dolphin alerts ack {alert.asset!r} {alert.check}"
        )
    return "\n".join(line for line in lines if line)


def _followers(keys: Sequence[AlertKey], word: str) -> str:
    names = ", ".join(" ".join(key) for key in keys[:FOLLOWERS_SHOWN])
    more = f" and {len(keys) - FOLLOWERS_SHOWN} more" if len(keys) > FOLLOWERS_SHOWN else ""
    return f"{word}: {names}{more}" if keys else ""
