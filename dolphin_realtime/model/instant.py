"""Instants: whole microseconds since the Unix epoch in code, ISO 8601 with offset on the wire."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

import msgspec

Aware = Annotated[datetime, msgspec.Meta(tz=True)]
"""An instant of a document: without an offset it does not parse."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US


def to_us(moment: datetime) -> int:
    """Return an aware instant as whole microseconds since the Unix epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Return the aware UTC instant of whole microseconds since the Unix epoch."""
    return _EPOCH + timedelta(microseconds=microseconds)


def parse(value: object) -> datetime | None:
    """Return the aware instant in a wire value, None if it does not hold one."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


def day_of(microseconds: int) -> str:
    """Return the UTC day of an instant as YYYY-MM-DD."""
    return from_us(microseconds).date().isoformat()


def day_us(day: str) -> int:
    """Return the instant at which a UTC day begins.

    Raises:
        ValueError: If ``day`` is not YYYY-MM-DD.
    """
    begin = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    return to_us(begin)


def span(seconds: float) -> str:
    """Return a span as text, in at most two units."""
    left = timedelta(seconds=round(abs(seconds)))
    hours, rest = divmod(left.seconds, 3600)
    parts = [(left.days, "d"), (hours, "h"), (rest // 60, "min"), (rest % 60, "s")]
    shown = [f"{n} {unit}" for n, unit in parts if n][:2] or ["0 s"]
    return ("-" if seconds < 0 else "") + " ".join(shown)
