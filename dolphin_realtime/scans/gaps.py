"""What counts as a gap in a day's records: more than 3 cadences without a record. Pure."""

from itertools import pairwise
from statistics import median

from dolphin_realtime.model.market.cadence import LATE_CADENCES


def cadence_us(times: list[int]) -> float:
    """Return the median time between records, 0 if there are fewer than two."""
    steps = [b - a for a, b in pairwise(times)]
    return median(steps) if steps else 0.0


def gap_starts(times: list[int], cadence: float) -> list[int]:
    """Return the index of each record that is followed by a gap."""
    steps = enumerate(pairwise(times))
    return [n for n, (a, b) in steps if b - a > LATE_CADENCES * cadence]
