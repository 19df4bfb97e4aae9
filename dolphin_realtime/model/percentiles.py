"""Percentiles as documents and reports show them."""

from collections.abc import Sequence


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p90, p99, max and n of some measurements, in their own unit."""
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    at = {f"p{q}": ordered[min(len(ordered) - 1, len(ordered) * q // 100)] for q in (50, 90, 99)}
    return {**at, "max": ordered[-1], "n": len(ordered)}
