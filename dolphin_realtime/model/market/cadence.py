"""How often scans come: the median of the last intervals, and when a scan is late. Pure."""

from collections import deque
from statistics import median
from typing import Final

WINDOW: Final = 20
LATE_CADENCES: Final = 3.0
"""This many cadences without a scan are a gap; a scan older than that opens nothing."""


class Cadence:
    """The intervals between the last scans, in seconds of one clock."""

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=WINDOW)
        self.last_s: float | None = None

    def note(self, at_s: float) -> None:
        """Add the instant of a scan; it gives an interval only if it is later than the last."""
        if self.last_s is not None and at_s > self.last_s:
            self._intervals.append(at_s - self.last_s)
        self.last_s = at_s

    @property
    def seconds(self) -> float | None:
        """The median interval, None before there are two scans."""
        return median(self._intervals) if self._intervals else None
