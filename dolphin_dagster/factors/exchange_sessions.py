"""Sessions of the New York Stock Exchange, holidays and half days included (exchange_calendars).

The library is slow to import, so it is imported at first use.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

XNYS = "XNYS"
MARGIN = timedelta(days=400)


@cache
def _calendar(year: int) -> Any:
    import exchange_calendars

    first, last = date(year, 1, 1) - timedelta(days=31), date(year, 12, 31) + timedelta(days=31)
    return exchange_calendars.get_calendar(XNYS, start=first.isoformat(), end=last.isoformat())


def is_session(day: date) -> bool:
    """Return whether the exchange trades on a day."""
    return bool(_calendar(day.year).is_session(day.isoformat()))


def session_close(day: date) -> datetime | None:
    """Return when a day's session ends, None on a day without one."""
    if not is_session(day):
        return None
    end: datetime = _calendar(day.year).session_close(day.isoformat()).to_pydatetime()
    return end


def session_at(moment: datetime) -> tuple[datetime, datetime] | None:
    """Return open and close of the session under way at an instant, None outside of one."""
    day = moment.astimezone(UTC).date()
    if not is_session(day):
        return None
    calendar = _calendar(day.year)
    begin = calendar.session_open(day.isoformat()).to_pydatetime()
    end = calendar.session_close(day.isoformat()).to_pydatetime()
    return (begin, end) if begin <= moment < end else None


def next_open(moment: datetime) -> datetime:
    """Return when the next session begins, that of today included if it is still to come."""
    day = moment.astimezone(UTC).date()
    for _ in range(MARGIN.days):
        if is_session(day):
            begin: datetime = _calendar(day.year).session_open(day.isoformat()).to_pydatetime()
            if begin > moment:
                return begin
        day += timedelta(days=1)
    raise ValueError(f"no session of {XNYS} within {MARGIN.days} days of {moment.isoformat()}")
