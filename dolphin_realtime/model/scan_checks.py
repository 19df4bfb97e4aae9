"""What makes a scan unusable or odd, before the signal looks at returns. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.model.scan import Scan
from dolphin_realtime.model.slots import Floats
from dolphin_realtime.model.sound_prices import Verdict

CORRELATION_SUM_TOLERANCE: Final = 0.05


def failed_list(scan: Scan) -> str | None:
    """Return why a scan's lists cannot be read, or None."""
    if len(scan.prices) != len(scan.assets):
        return "LENGTH_MISMATCH"
    return "DUPLICATE_ASSET" if len(set(scan.assets)) != len(scan.assets) else None


def prices_of(scan: Scan) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the prices, and which are finite and above 0."""
    prices = np.array(scan.prices, dtype=np.float64)
    return prices, (prices > 0.0) & (prices < np.inf)


def scan_flags(
    values: Floats, n_assets: int, usable: NDArray[np.bool_], verdict: Verdict | None
) -> set[str]:
    """Return what is odd about an accepted scan before its returns are looked at."""
    flags: set[str] = set()
    if len(values) < n_assets:
        flags.add("missing_eigenvalues")
    if abs(float(values.sum()) / n_assets - 1.0) > CORRELATION_SUM_TOLERANCE:
        flags.add("not_correlation")
    if verdict is None:
        return flags
    if not usable.all():
        flags.add("bad_price")
    if verdict.doubtful.any():
        flags.add("doubtful_price")
    if verdict.still.any():
        flags.add("still_price")
    if verdict.is_leap:
        flags.add("leap")
    return flags
