"""The pause before another attempt, for every connection that is made again and again."""

from typing import Final

DOUBLINGS: Final = 32
"""More make no difference, and a float has no room for a thousand."""


def backoff_s(attempt: int, jitter: float, low_s: float, high_s: float) -> float:
    """Return the pause before an attempt: doubling, capped, scaled by jitter in [0, 1]."""
    return min(high_s, low_s * 2.0 ** min(attempt, DOUBLINGS)) * (0.5 + 0.5 * jitter)
