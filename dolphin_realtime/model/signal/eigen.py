"""Risk features of the eigenvalues of a correlation matrix.

Pure functions of a spectrum belong here; their use in the signal does not (state.py).
Eigenvalues are dimensionless. `spectrum` sorts them in descending order and clips them at zero;
the other functions take its result.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEGATIVE_TOLERANCE: Final = 1e-6
"""Eigenvalues below -NEGATIVE_TOLERANCE * N are an error; negative ones above it are noise."""


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
