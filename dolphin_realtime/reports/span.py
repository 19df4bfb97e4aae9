"""A span of market time."""

from typing import Final, Self

import msgspec

from dolphin_realtime.model.instant import DAY_US, day_us

FOREVER: Final = 1 << 62


class Span(msgspec.Struct, frozen=True):
    """Instants [first_us, last_us) of market time."""

    first_us: int = 0
    last_us: int = FOREVER

    @classmethod
    def of_days(cls, first: str, last: str) -> Self:
        """Return the span of whole UTC days, both included.

        Raises:
            ValueError: If a day is not YYYY-MM-DD.
        """
        return cls(day_us(first), day_us(last) + DAY_US)
