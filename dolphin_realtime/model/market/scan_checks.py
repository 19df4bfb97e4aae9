"""Checks of a scan before its returns are computed: what makes it unusable or odd. Pure."""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.model.documents import finite
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.market.sound_prices import Verdict
from dolphin_realtime.model.signal.slots import Floats

CORRELATION_SUM_TOLERANCE: Final = 0.05
"""Largest deviation of the eigenvalues' sum from the number of assets, as a fraction of it."""
USABLE_SHARE: Final = 0.9
"""A scan with fewer usable prices than this share is incoherent."""


class Coherence(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a scan's document is possible.

    Attributes:
        usable: Number of prices that are finite and above 0.
        sum_share: The eigenvalues' sum divided by the number of assets.
        why: Why the document is impossible, None if it is possible.
    """

    usable: int
    sum_share: float
    why: str | None


def coherence(n_assets: int, prices: list[object], eigenvalues: list[object]) -> Coherence:
    """Check the document of a scan with at least one asset; values may be of any type."""
    usable = sum(1 for p in map(finite, prices) if p is not None and p > 0.0)
    numbers = [v for v in map(finite, eigenvalues) if v is not None]
    total, why = sum(numbers), None
    if usable < USABLE_SHARE * n_assets:
        why = f"fewer than {USABLE_SHARE:.0%} of the prices are usable"
    elif len(numbers) < len(eigenvalues):
        why = "an eigenvalue is not a number"
    elif sum_is_off(total, n_assets):
        why = "the eigenvalues do not sum to the number of assets"
    return Coherence(usable=usable, sum_share=total / n_assets, why=why)


def sum_is_off(total: float, n_assets: int) -> bool:
    """Return whether this sum is impossible for a correlation matrix of n assets."""
    return not abs(total / n_assets - 1.0) <= CORRELATION_SUM_TOLERANCE


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
    """Return the flags of an accepted scan: what is odd about it, apart from its returns."""
    flags: set[str] = set()
    if len(values) < n_assets:
        flags.add("missing_eigenvalues")
    if sum_is_off(float(values.sum()), n_assets):
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
