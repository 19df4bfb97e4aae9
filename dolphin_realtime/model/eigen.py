"""Risk features of the eigenvalues of a correlation matrix.

Pure functions of a spectrum belong here; what a strategy does with them does not
(signal.py). Eigenvalues are dimensionless; every function takes them sorted descending
and clipped at zero, as `spectrum` returns them.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEGATIVE_TOLERANCE: Final = 1e-6
"""Eigenvalues below -NEGATIVE_TOLERANCE * N are an error, above it rounding noise."""


def spectrum(eigenvalues: Sequence[float | None], n_assets: int) -> Floats | None:
    """Return the usable spectrum, sorted descending and clipped at 0, or None if unusable.

    Unusable: empty, longer than ``n_assets``, a value null, not finite or below
    ``-NEGATIVE_TOLERANCE * n_assets``, or all zero after clipping.
    """
    if not 0 < len(eigenvalues) <= n_assets:
        return None
    values = np.array(eigenvalues, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < -NEGATIVE_TOLERANCE * n_assets:
        return None
    values = np.sort(np.maximum(values, 0.0))[::-1]
    return values if values[0] > 0.0 else None


def market_mode_share(values: Floats) -> float:
    """Return the first eigenvalue's share of the whole, in [1/N, 1]."""
    return float(values[0] / values.sum())


def mean_correlation(values: Floats, n_assets: int) -> float:
    """Return the mean correlation implied by the first eigenvalue: (N m - 1) / (N - 1)."""
    if n_assets < 2:
        return 0.0
    return (n_assets * market_mode_share(values) - 1.0) / (n_assets - 1.0)


def absorption_ratio(values: Floats, n_assets: int) -> float:
    """Return the share of variance in the first round(N/5) modes (Kritzman et al. 2011)."""
    n_modes = max(1, round(n_assets / 5))
    return float(values[:n_modes].sum() / values.sum())


def spectral_entropy(values: Floats) -> float:
    """Return the Shannon entropy of the spectrum in nats, 0 ln 0 counted as 0."""
    shares = values / values.sum()
    shares = shares[shares > 0.0]
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def normalised_entropy(values: Floats, n_assets: int) -> float:
    """Return the spectral entropy divided by ln N, in [0, 1]."""
    return spectral_entropy(values) / math.log(n_assets) if n_assets > 1 else 0.0


def effective_rank(values: Floats) -> float:
    """Return exp(spectral entropy), in [1, N] (Roy & Vetterli 2007)."""
    return math.exp(spectral_entropy(values))


def marchenko_pastur_edges(n_assets: int, n_returns: int) -> tuple[float, float]:
    """Return the (upper, lower) eigenvalue edges of pure noise: (1 +- sqrt(N/T))^2.

    The lower edge is 0 where there are fewer returns than assets.
    """
    ratio = math.sqrt(n_assets / n_returns)
    lower = (1.0 - ratio) ** 2 if n_assets <= n_returns else 0.0
    return (1.0 + ratio) ** 2, lower
