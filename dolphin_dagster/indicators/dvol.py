"""Implied volatility of Bitcoin and Ether: Deribit's DVOL, with its own 30-day percentile.

In percent a year. Old answers were fractions: both are accepted and distinguished by size. The
percentile is that of hourly closes, interpolated linearly, and is published once seven days of
them are known; hours that the history lacks are fetched and stored.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import History, Indicator, Quantity
from dolphin_realtime.factors.store import HOURLY, hourly_closes
from dolphin_realtime.model.errors import SourceError
from dolphin_realtime.model.factors.document import DVOL_BTC

PATH: Final = "/api/v2/public/get_volatility_index_data"
DVOL_ETH: Final = "dvol_eth"
CURRENCIES: Final = {DVOL_BTC: "BTC", DVOL_ETH: "ETH"}
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
LOOK_BACK: Final = timedelta(minutes=10)
WINDOW: Final = timedelta(days=30)
LEAST: Final = 7 * 24
"""Fewest hourly closes for a percentile: seven days."""
POSSIBLE: Final = (5.0, 400.0)
PERCENT: Final = 100.0
PAGES_MAX: Final = 40

Candle = tuple[int, float, float, float, float]
"""(begin in ms, open, high, low, close)."""


class Result(msgspec.Struct):
    """Candles, oldest first, and where the next page ends."""

    data: list[Candle]
    continuation: int | None


class Answer(msgspec.Struct):
    """The answer's envelope."""

    result: Result


def percent(value: float) -> float:
    """Return a volatility in percent: a value below 5 is a fraction."""
    return value * PERCENT if 0.0 < value < POSSIBLE[0] else value


def closes(
    ask: Ask, currency: str, first: datetime, last: datetime, step: timedelta
) -> dict[datetime, float]:
    """Return the closes of candles that end in (first, last], by the candle's end."""
    found: dict[datetime, float] = {}
    begin_ms = round((first - step).timestamp() * 1e3)
    end_ms: int | None = round(last.timestamp() * 1e3)
    for _ in range(PAGES_MAX):
        result = ask.json(
            PATH, Answer, currency=currency, start_timestamp=begin_ms, end_timestamp=end_ms,
            resolution=round(step.total_seconds()),
        ).result  # fmt: skip
        for candle in result.data:
            end = ask.milliseconds(PATH, f"time of {currency}", candle[0]) + step
            if first < end <= last:
                found[end] = percent(candle[4])
        end_ms = result.continuation
        if end_ms is None or end_ms <= begin_ms:
            break
    return found


def fetch(ask: Ask) -> list[Observation]:
    """Return the close of each currency's newest minute, the current one included."""
    found = []
    for name, currency in CURRENCIES.items():
        minutes = closes(ask, currency, ask.now - LOOK_BACK, ask.now + 2 * MINUTE, MINUTE)
        if not minutes:
            raise ask.nothing(PATH, f"no candle of {currency} in the last {LOOK_BACK}")
        end = max(minutes)
        found.append(Observation(name=name, value=minutes[end], event_time=min(end, ask.now)))
    return found


def percentile_90(values: list[float]) -> float | None:
    """Return the 90th percentile, None where there are too few closes."""
    return float(np.percentile(values, 90)) if len(values) >= LEAST else None


def percentiles(ask: Ask) -> tuple[dict[str, float], list[Observation]]:
    """Return each currency's percentile of its last thirty days of hourly closes.

    The second value holds the hours that the history lacked and the source had. They are fetched
    only if the newest hour is missing, so once an hour.
    """
    last = ask.now.replace(minute=0, second=0, microsecond=0)
    first, found, learnt = last - WINDOW, {}, []
    for name, currency in CURRENCIES.items():
        known = hourly_closes(ask.history, name, first, last)
        if last not in known:
            missing = _missing(ask, currency, known, last)
            learnt += [
                Observation(name=f"{name}{HOURLY}", value=v, event_time=t)
                for t, v in missing.items()
            ]
            known |= missing
        value = percentile_90(list(known.values()))
        if value is not None:
            found[name] = value
    return found, learnt


def _missing(
    ask: Ask, currency: str, known: dict[datetime, float], last: datetime
) -> dict[datetime, float]:
    """Return the hourly closes that are not known, from the first gap on; odd ones left out."""
    hours = [last - n * HOUR for n in range(int(WINDOW / HOUR))]
    gap = min(hour for hour in hours if hour not in known)
    try:
        told = closes(ask, currency, gap - HOUR, last, HOUR)
    except SourceError as e:
        ask.left_out.append(f"hours of {currency} for the percentile: {e}")
        return {}
    low, high = POSSIBLE
    odd = [t for t, v in told.items() if not low <= v <= high]
    ask.left_out += [f"hour {t.isoformat()} of {currency} is {told[t]}" for t in odd]
    return {t: v for t, v in told.items() if t not in known and t not in odd}


def past(ask: Ask, first: datetime, last: datetime) -> list[Observation]:
    """Return hourly closes in [first, last) with the percentile of the thirty days before each."""
    found = []
    for name, currency in CURRENCIES.items():
        hours = closes(ask, currency, first - WINDOW, last, HOUR)
        for end, value in sorted(hours.items()):
            if first <= end < last:
                window = [v for t, v in hours.items() if end - WINDOW < t <= end]
                found.append(
                    Observation(
                        name=name,
                        value=value,
                        event_time=end,
                        known_at=end + MINUTE,
                        percentile_90=percentile_90(window),
                    )
                )
    return found


def _quantity(name: str) -> Quantity:
    return Quantity(
        name=name, unit="% a year", lifetime=timedelta(minutes=10),
        possible=POSSIBLE, usual=(15.0, 180.0), jump=1.5,
    )  # fmt: skip


INDICATOR: Final = Indicator(
    name="dvol",
    host="deribit",
    path=PATH,
    means=(
        "Volatility of the next 30 days implied by options. The signal halves every weight while "
        "Bitcoin's is at or above the 90th percentile of its own last 30 days (gate *dvol*)."
    ),
    quantities=(_quantity(DVOL_BTC), _quantity(DVOL_ETH)),
    event_age_max=timedelta(minutes=10),
    cron="*/5 * * * *",
    cadence=timedelta(minutes=5),
    fetch=fetch,
    is_weighed=True,
    percentiles=percentiles,
    history=History(
        fetch=past,
        lifetime=HOUR + 10 * MINUTE,
        means="Hourly closes of DVOL, each with the 90th percentile of its last 30 days.",
        tells=tuple(CURRENCIES),
    ),
)
