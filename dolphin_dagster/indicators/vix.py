"""Implied volatility of the S&P 500, by trading day: Cboe's VIX closes.

One file holds all days, dated MM/DD/YYYY; a day's close is known after New York's close.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.exchange_sessions import is_session, session_close
from dolphin_dagster.factors.indicator import History, Indicator, Quantity

PATH: Final = "/api/global/us_indices/daily_prices/VIX_History.csv"
NAME: Final = "vix"
COLUMNS: Final = ("DATE", "CLOSE")
CLOSE: Final = time(16, 0)
FIRST_DAY: Final = date(1990, 1, 1)
AHEAD: Final = timedelta(days=7)
AFTER_CLOSE: Final = timedelta(minutes=15)
"""Options trade a quarter of an hour longer than stocks, on half days too."""
NEW_YORK: Final = ZoneInfo("America/New_York")
KNOWN_AFTER: Final = timedelta(hours=4)
"""The file of a day is published in the evening of New York."""


def read(ask: Ask, text: str, since: date) -> list[Observation]:
    """Return the closes since a day, in the order of the file."""
    rows = csv.DictReader(text.splitlines())
    try:
        names = rows.fieldnames or ()
    except csv.Error as e:
        raise ask.changed(PATH, "header", text[:60], f"CSV ({e})") from e
    for column in COLUMNS:
        if column not in names:
            raise ask.changed(PATH, "header", text[:60], f"a column {column}")
    found = []
    for row in _rows(ask, rows):
        day = _day(ask, row["DATE"])
        if not FIRST_DAY <= day <= ask.now.date() + AHEAD:
            raise ask.changed(PATH, "DATE", row["DATE"], f"{FIRST_DAY} to now")
        if day >= since:
            usual = datetime.combine(day, CLOSE, NEW_YORK).astimezone(UTC)
            at = (session_close(day) or usual) + AFTER_CLOSE
            value = ask.number(PATH, f"CLOSE of {row['DATE']}", row["CLOSE"] or "")
            found.append(
                Observation(name=NAME, value=value, event_time=at, known_at=at + KNOWN_AFTER)
            )
    return found


def _rows(ask: Ask, rows: csv.DictReader[str]) -> Iterator[dict[str, str | None]]:
    try:
        yield from rows
    except csv.Error as e:
        raise ask.changed(PATH, f"line {rows.line_num}", "unreadable", f"CSV ({e})") from e


def _day(ask: Ask, text: str | None) -> date:
    try:
        return datetime.strptime(text or "", "%m/%d/%Y").replace(tzinfo=UTC).date()
    except ValueError:
        raise ask.changed(PATH, "DATE", text, "MM/DD/YYYY") from None


def fetch(ask: Ask) -> list[Observation]:
    """Return the newest close that is not in the future."""
    recent = read(ask, ask.text(PATH), ask.now.date() - timedelta(days=30))
    found = [one for one in recent if one.event_time <= ask.now]
    if not found:
        raise ask.nothing(PATH, "no close of the last 30 days")
    return [found[-1]]


def past(ask: Ask, first: datetime, last: datetime) -> list[Observation]:
    """Return the closes of the trading days in [first, last)."""
    return [o for o in read(ask, ask.text(PATH), first.date()) if first <= o.event_time < last]


INDICATOR: Final = Indicator(
    name=NAME,
    host="cboe",
    path=PATH,
    means="Fear in the stock market. Reported; no gate of the signal reads it.",
    quantities=(
        Quantity(
            name=NAME, unit="% a year", lifetime=timedelta(days=5),
            possible=(5.0, 200.0), usual=(8.0, 90.0), jump=1.8,
        ),
    ),
    event_age_max=timedelta(days=6),
    cron="33 */6 * * *",
    cadence=timedelta(hours=6),
    fetch=fetch,
    history=History(
        fetch=past,
        lifetime=timedelta(days=5),
        means="VIX closes by trading day, known from the evening of New York on.",
        tells=(NAME,),
        is_due=is_session,
    ),
)  # fmt: skip
