"""Fear & Greed index of the crypto market, 0 to 100, once a day: alternative.me."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import DIFFERENCE, History, Indicator, Quantity

PATH: Final = "/fng/"
NAME: Final = "fear_greed"
CLASSES: Final = (
    (24.0, "Extreme Fear"),
    (44.0, "Fear"),
    (55.0, "Neutral"),
    (75.0, "Greed"),
    (100.0, "Extreme Greed"),
)
"""(highest value, class), as on the source's own page."""
BORDER: Final = 2.0
"""So near a border the source has used either class: 25 as Extreme Fear, 46 as Fear."""
PUBLISHED_AFTER: Final = timedelta(minutes=30)
"""A day's value is published soon after 00:00 UTC of its day, not exactly then."""


class Entry(msgspec.Struct):
    """One day; numbers are texts."""

    value: str
    value_classification: str
    timestamp: str


class Answer(msgspec.Struct):
    """The answer: newest day first."""

    data: list[Entry]


def word(value: float) -> str:
    """Return the source's class of a value."""
    return next((name for highest, name in CLASSES if value <= highest), "beyond 100")


def read(ask: Ask, entry: Entry) -> Observation:
    """Return one day's value; raises SourceFormatChanged if its class does not match."""
    value = ask.number(PATH, "value", entry.value)
    allowed = {word(value), word(value - BORDER), word(min(value + BORDER, CLASSES[-1][0]))}
    if not 0.0 <= value <= CLASSES[-1][0]:
        raise ask.changed(PATH, "value", entry.value, "0 to 100")
    if entry.value_classification not in allowed:
        raise ask.changed(
            PATH, "value_classification", entry.value_classification, f"{word(value)} at {value:g}"
        )
    at = day_of(ask, entry)
    return Observation(name=NAME, value=value, event_time=at, known_at=at + PUBLISHED_AFTER)


def day_of(ask: Ask, entry: Entry) -> datetime:
    """Return the instant of an entry."""
    return ask.seconds(PATH, "timestamp", entry.timestamp)


def fetch(ask: Ask) -> list[Observation]:
    """Return today's value."""
    entries = ask.json(PATH, Answer, limit=1).data
    if not entries:
        raise ask.nothing(PATH, "the list is empty")
    return [read(ask, entries[0])]


def past(ask: Ask, first: datetime, last: datetime) -> list[Observation]:
    """Return the value of each day in [first, last)."""
    days = (ask.now.astimezone(UTC) - first).days + 2
    entries = ask.json(PATH, Answer, limit=days).data
    return [read(ask, entry) for entry in entries if first <= day_of(ask, entry) < last]


INDICATOR: Final = Indicator(
    name=NAME,
    host="alternative",
    path=PATH,
    means="Market sentiment. Reported; there is no evidence for a weight, so no gate reads it.",
    quantities=(
        Quantity(
            name=NAME, unit="0 to 100", lifetime=timedelta(hours=36),
            possible=(0.0, 100.0), usual=(1.0, 99.0), jump=30.0, jump_kind=DIFFERENCE,
        ),
    ),
    event_age_max=timedelta(hours=36),
    cron="12 */3 * * *",
    cadence=timedelta(hours=3),
    fetch=fetch,
    history=History(
        fetch=past,
        lifetime=timedelta(hours=36),
        means="Fear & Greed by day, known from 00:30 UTC of its day.",
        tells=(NAME,),
    ),
)  # fmt: skip
