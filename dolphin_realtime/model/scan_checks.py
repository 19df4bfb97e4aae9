"""What makes a scan unusable or odd, before the signal looks at returns. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.model.scan import Scan

Floats = NDArray[np.float64]

CORRELATION_SUM_TOLERANCE: Final = 0.05


def failed_check(scan: Scan, usable: NDArray[np.bool_] | None, n_min: int) -> str | None:
    """Return the first check the scan fails, or None; ``usable`` is None on unequal lengths."""
    if usable is None:
        return "LENGTH_MISMATCH"
    if len(set(scan.assets)) != len(scan.assets):
        return "DUPLICATE_ASSET"
    if int(usable.sum()) < n_min:
        return "TOO_FEW_ASSETS"
    return None


def prices_of(scan: Scan) -> tuple[Floats, NDArray[np.bool_] | None]:
    """Return the prices, and which are usable; None where the lengths differ."""
    prices = np.array(scan.prices, dtype=np.float64)
    if len(scan.prices) != len(scan.assets):
        return prices, None
    return prices, (prices > 0.0) & (prices < np.inf)


def scan_flags(values: Floats, n_assets: int, usable: NDArray[np.bool_]) -> set[str]:
    """Return what is odd about an accepted scan before its returns are looked at."""
    flags: set[str] = set()
    if len(values) < n_assets:
        flags.add("missing_eigenvalues")
    if abs(float(values.sum()) / n_assets - 1.0) > CORRELATION_SUM_TOLERANCE:
        flags.add("not_correlation")
    if not usable.all():
        flags.add("bad_price")
    return flags
