"""Builders of scans for tests."""

from pathlib import Path

import numpy as np

from dolphin_realtime.model.market.scan import Scan

DATA = Path(__file__).parent / "data"
NOON_US = 1_723_032_000_000_000
"""Wednesday 2024-08-07 12:00 UTC: no gate of the calendar is closed for hours."""


def make_scan(
    number: int,
    prices: list[float | None],
    *,
    at_s: float | None = None,
    epoch: int = 1,
    values: list[float | None] | None = None,
    names: list[str] | None = None,
) -> Scan:
    """Return a scan of len(prices) assets, 60 s after the one before it."""
    n = len(prices)
    seconds = number * 60 if at_s is None else at_s
    return Scan(
        scan_number=number,
        timestamp_us=NOON_US - 6 * 3_600_000_000 + round(seconds * 1e6),
        assets=names or [f"A{i:02d}" for i in range(n)],
        prices=list(prices),
        eigenvalues=list(values) if values is not None else [1.0] * n,
        epoch=epoch,
    )


def walk(n_scans: int, n_assets: int = 12, seed: int = 1, volatility: float = 1e-3) -> list[Scan]:
    """Return scans of a seeded walk with a common factor and its own eigenvalues."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n_scans, 1))
    own = rng.standard_normal((n_scans, n_assets))
    paths = 100 * np.exp(((common + own) * volatility).cumsum(axis=0))
    scans = []
    for n in range(n_scans):
        first = 3.0 + float(np.sin(n / 20))
        rest = (n_assets - first) / (n_assets - 1)
        scans.append(make_scan(n + 1, paths[n].tolist(), values=[first] + [rest] * (n_assets - 1)))
    return scans
