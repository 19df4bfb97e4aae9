"""Open interest of a few perpetuals, in units of the base asset: Binance."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import History, Indicator, Quantity
from dolphin_dagster.factors.pages import rows_by_instant

PATH: Final = "/fapi/v1/openInterest"
PAST: Final = "/futures/data/openInterestHist"
NAME: Final = "open_interest"
PAGE: Final = 500
STEP: Final = timedelta(hours=1)
PUBLISHED_AFTER: Final = timedelta(minutes=5)


class OpenInterest(msgspec.Struct, rename="camel"):
    """The answer."""

    open_interest: str
    symbol: str
    time: int


class Past(msgspec.Struct, rename="camel"):
    """One row of the past."""

    symbol: str
    sum_open_interest: str
    timestamp: str | int


def fetch(ask: Ask) -> list[Observation]:
    """Return the open interest of each symbol of the settings."""
    ask.learn_limit()
    found = []
    for symbol in ask.symbols:
        row = ask.json(PATH, OpenInterest, symbol=symbol)
        if row.symbol != symbol:
            raise ask.changed(PATH, "symbol", row.symbol, symbol)
        value = ask.number(PATH, f"openInterest of {symbol}", row.open_interest)
        at = ask.milliseconds(PATH, f"time of {symbol}", row.time)
        found.append(Observation(name=NAME, asset=symbol, value=value, event_time=at))
    return found


def past(ask: Ask, first: datetime, last: datetime) -> list[Observation]:
    """Return the hourly open interest in [first, last); the venue keeps thirty days."""
    ask.learn_limit()
    return [one for symbol in ask.symbols for one in hours(ask, symbol, first, last)]


def hours(ask: Ask, symbol: str, first: datetime, last: datetime) -> list[Observation]:
    """Return one symbol's past, hour by hour."""
    rows = rows_by_instant(
        ask, PAST, list[Past],
        lambda row: ask.milliseconds(PAST, f"timestamp of {symbol}", row.timestamp),
        symbol, first, last, period="1h", limit=PAGE,
    )  # fmt: skip
    values = {
        at: ask.number(PAST, f"sumOpenInterest of {symbol}", row.sum_open_interest)
        for at, row in rows.items()
    }
    return [
        Observation(name=NAME, asset=symbol, value=v, event_time=at, known_at=at + PUBLISHED_AFTER)
        for at, v in values.items()
        if first <= at < last
    ]


INDICATOR: Final = Indicator(
    name=NAME,
    host="binance",
    path=PATH,
    means="Size of all open contracts. Reported; no gate of the signal reads it.",
    quantities=(
        Quantity(
            name=NAME, unit="base units", lifetime=timedelta(minutes=15),
            possible=(0.0, 1e12), usual=(1.0, 1e11), jump=1.5,
        ),
    ),
    event_age_max=timedelta(minutes=10),
    cron="1-59/5 * * * *",
    cadence=timedelta(minutes=5),
    fetch=fetch,
    is_per_symbol=True,
    history=History(
        fetch=past,
        lifetime=STEP + timedelta(minutes=15),
        means="Hourly open interest; the venue keeps the last thirty days.",
    ),
)  # fmt: skip
