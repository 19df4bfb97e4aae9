"""Gates of the signal: factors in [0, 1] that can only reduce the signal.

One function per gate belongs here; a gate is 1 if its input is missing. Freshness is judged
by the scan's timestamp. Rates are fractions per interval, spreads basis points.
"""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec

from dolphin_realtime.model.instant import DAY_US, HOUR_US, from_us

_US: Final = 1_000_000
BOOK_LEAN: Final = 0.5
"""Weight of a book's imbalance I in its gate: clip(1 + BOOK_LEAN sign(q) I, 0, 1)."""
BOOK_AGE_S: Final = 30.0
BOOK_AGE_STEPS: Final = 2.0
"""A book is stale when older than max(BOOK_AGE_STEPS dt, BOOK_AGE_S)."""
FUNDING_FREE: Final = 1.0
FUNDING_RANGE: Final = 0.8
"""The gate of the yearly funding to pay: clip((FUNDING_FREE - paid) / FUNDING_RANGE, 0, 1)."""
FUNDING_INTERVAL_H: Final = 8.0
"""Hours between settlements where the venue does not say."""
YEAR_DAYS: Final = 365.0
DVOL_GATE: Final = 0.5
WEEKEND_GATE: Final = 0.75
EXPIRY_GATE: Final = 0.5
SETTLEMENT_US: Final = 8 * HOUR_US
"""Settlements are at 00:00, 08:00 and 16:00 UTC, the monthly expiry at 08:00."""
NEAR_SETTLEMENT_US: Final = 60 * _US
NEAR_EXPIRY_US: Final = 900 * _US
EPOCH_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday; Monday is 0."""


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one asset's order book that the gates use.

    Attributes:
        event_us: The venue's time of the book.
        imbalance_5: (bid - ask) / (bid + ask) over five levels, in [-1, 1].
        spread_bps: Best ask minus best bid, in basis points of the mid.
    """

    event_us: int
    imbalance_5: float
    spread_bps: float


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One factor's value, and the span of scan time in which it may be used.

    Attributes:
        next_us: The next settlement of a funding rate, as the venue sent it with the rate.
        settled_us: The past settlement at which a funding rate was charged, if it is one of those.
    """

    value: float
    fetch_us: int
    lifetime_s: float
    percentile_90: float | None = None
    interval_h: float | None = None
    next_us: int | None = None
    settled_us: int | None = None

    def is_current(self, now_us: int) -> bool:
        """Return whether the reading may be used at scan time ``now_us``."""
        return self.fetch_us <= now_us <= self.fetch_us + round(self.lifetime_s * _US)


class Past(Protocol):
    """Lookup of readings older than the newest ones."""

    def funding_before(self, asset: str, at_us: int) -> Reading | None:
        """Return the newest funding reading of an asset that was fetched before an instant."""


class Factors(msgspec.Struct, frozen=True, kw_only=True):
    """The external factors that the signal uses: funding by asset, and Bitcoin's DVOL."""

    funding: dict[str, Reading] = {}
    dvol_btc: Reading | None = None
    past: Past | None = None


NO_FACTORS: Final = Factors()


def clip(value: float, low: float, high: float) -> float:
    """Return ``value`` held within [low, high]."""
    return min(max(value, low), high)


def book_gate(direction: int, imbalance_5: float) -> float:
    """Return the gate of a book's imbalance: below 1 if it is against the direction."""
    return clip(1.0 + BOOK_LEAN * direction * imbalance_5, 0.0, 1.0)


def is_book_stale(event_us: int, now_us: int, dt_s: float) -> bool:
    """Return whether a book is older than max(2 dt, 30 s) at the scan, or later than the scan."""
    limit_s = max(BOOK_AGE_STEPS * dt_s, BOOK_AGE_S)
    return event_us > now_us or now_us - event_us > limit_s * _US


def funding_gate(direction: int, rate: float, interval_h: float | None) -> float:
    """Return the gate of the yearly funding a position in ``direction`` would pay."""
    paid = direction * rate * (24.0 / (interval_h or FUNDING_INTERVAL_H)) * YEAR_DAYS
    return clip((FUNDING_FREE - paid) / FUNDING_RANGE, 0.0, 1.0)


def dvol_gate(reading: Reading | None, now_us: int) -> float:
    """Return 0.5 where Bitcoin's implied volatility is at or above its 30-day 90th percentile."""
    if reading is None or reading.percentile_90 is None or not reading.is_current(now_us):
        return 1.0
    return 1.0 if reading.value < reading.percentile_90 else DVOL_GATE


def calendar_gate(timestamp_us: int) -> float:
    """Return the smallest of the weekend, settlement and monthly-expiry gates at an instant."""
    of_day_us = timestamp_us % DAY_US
    weekday = (timestamp_us // DAY_US + EPOCH_WEEKDAY) % 7
    gate = WEEKEND_GATE if weekday >= calendar.SATURDAY else 1.0
    since_us = of_day_us % SETTLEMENT_US
    if min(since_us, SETTLEMENT_US - since_us) <= NEAR_SETTLEMENT_US:
        return 0.0
    if weekday == calendar.FRIDAY and abs(of_day_us - SETTLEMENT_US) <= NEAR_EXPIRY_US:
        day = from_us(timestamp_us)
        if day.date() == last_friday(day.year, day.month).date():
            gate = min(gate, EXPIRY_GATE)
    return gate


def last_friday(year: int, month: int) -> datetime:
    """Return 08:00 UTC on the month's last Friday: the monthly options expiry."""
    last = datetime(year, month, calendar.monthrange(year, month)[1], 8, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() - calendar.FRIDAY) % 7)
