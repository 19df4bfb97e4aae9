"""Calendar and lunar factors: everything that follows from the date and time alone. Pure.

Sessions, settlements, expiries and the halving cycle belong here; publishing does not
(dolphin_dagster/indicators/calendar_factors.py). The moon is reported and has no weight.
Instants are aware UTC. The caller passes the exchange's sessions, which come from a library.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from dolphin_realtime.model.factors.moon import moon_phase
from dolphin_realtime.model.instant import to_us
from dolphin_realtime.model.signal.gates import calendar_gate, last_friday

NEW_YORK: Final = ZoneInfo("America/New_York")
US_OPEN, US_CLOSE = time(9, 30), time(16, 0)
ASIA_HOURS: Final = (0, 8)
EUROPE_HOURS: Final = (7, 16)
SETTLEMENT_HOURS: Final = 8
HALVINGS: Final = (
    datetime(2012, 11, 28, tzinfo=UTC),
    datetime(2016, 7, 9, tzinfo=UTC),
    datetime(2020, 5, 11, tzinfo=UTC),
    datetime(2024, 4, 20, tzinfo=UTC),
)
"""Days of Bitcoin's block-reward halvings so far."""
HALVING_BLOCKS: Final = 210_000
BLOCK_MINUTES: Final = 10


class CalendarFactors(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar factors of one instant.

    Attributes:
        sessions: Which of asia, europe, us is open (hours only, holidays not counted).
        minutes_to_funding: To the next 00:00, 08:00 or 16:00 UTC.
        days_to_expiry: To 08:00 UTC on the next last Friday of a month.
        new_york_is_open: Whether the stock exchange is open; holidays and half days count.
        minutes_to_new_york: To its close while it is open, else to its next opening.
        halving_fraction: Share of the current halving cycle that has passed, by block time.
        moon_phase: 0 new, 0.5 full.
        gate: The factor by which the signal is multiplied at this instant.
    """

    as_of: datetime
    weekday: int
    hour: int
    is_weekend: bool
    sessions: list[str]
    minutes_to_funding: float
    days_to_expiry: float
    new_york_is_open: bool
    minutes_to_new_york: float
    halving_fraction: float
    moon_phase: float
    gate: float


class CalendarDocument(CalendarFactors, frozen=True, kw_only=True):
    """DOLPHIN_FEATURES["esof_latest"] on the wire; ``pushed_at`` is wall time."""

    market_clock: str
    pushed_at: datetime = msgspec.field(name="_pushed_at")


def open_sessions(moment: datetime) -> list[str]:
    """Return the sessions that are open at ``moment``; the US session is in New York time."""
    hour = moment.hour
    found = []
    if ASIA_HOURS[0] <= hour < ASIA_HOURS[1]:
        found.append("asia")
    if EUROPE_HOURS[0] <= hour < EUROPE_HOURS[1]:
        found.append("europe")
    local = moment.astimezone(NEW_YORK)
    if local.weekday() < 5 and US_OPEN <= local.time() < US_CLOSE:
        found.append("us")
    return found


def next_expiry(moment: datetime) -> datetime:
    """Return the next monthly options expiry at or after ``moment``."""
    this_month = last_friday(moment.year, moment.month)
    if this_month >= moment:
        return this_month
    following = (moment.replace(day=1) + timedelta(days=32)).replace(day=1)
    return last_friday(following.year, following.month)


def halving_fraction(moment: datetime) -> float:
    """Return how much of the cycle since the last halving has passed, capped at 1."""
    last = max((h for h in HALVINGS if h <= moment), default=HALVINGS[0])
    cycle = timedelta(minutes=BLOCK_MINUTES * HALVING_BLOCKS)
    return min(1.0, max(0.0, (moment - last) / cycle))


def calendar_factors(
    moment: datetime,
    session: tuple[datetime, datetime] | None,
    next_open: datetime,
) -> CalendarFactors:
    """Return every calendar factor of an aware UTC instant.

    Args:
        moment: The instant.
        session: Opening and close of the current New York session, None outside of one.
        next_open: When the next session begins.
    """
    turns = session[1] if session else next_open
    minutes = moment.hour * 60 + moment.minute + moment.second / 60 + moment.microsecond / 6e7
    period = SETTLEMENT_HOURS * 60
    return CalendarFactors(
        as_of=moment,
        weekday=moment.weekday(),
        hour=moment.hour,
        is_weekend=moment.weekday() >= 5,
        sessions=open_sessions(moment),
        minutes_to_funding=-minutes % period,
        days_to_expiry=(next_expiry(moment) - moment) / timedelta(days=1),
        new_york_is_open=session is not None,
        minutes_to_new_york=(turns - moment) / timedelta(minutes=1),
        halving_fraction=halving_fraction(moment),
        moon_phase=moon_phase(moment),
        gate=calendar_gate(to_us(moment)),
    )
