"""Percentiles as a benchmark prints them."""

import statistics


def percentiles_us(values: list[float]) -> dict[str, float]:
    """Return p50, p90, p99, max and n, in microseconds."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    found = {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "max": max(values)}
    return {**{k: round(v, 1) for k, v in found.items()}, "n": len(values)}
