"""The result of `compute_signal` for one scan: the record and its reason codes."""

from typing import Final

import msgspec

REASONS: Final = (
    "OK",
    "RISK_SCALER",
    "GATE_CALENDAR",
    "GATE_FUNDING",
    "GATE_BOOK",
    "GATE_SPREAD",
    "NO_DIRECTION",
    "WARMING_UP",
    "STILL_PRICE",
    "DOUBTFUL_PRICE",
    "BAD_PRICE",
)
"""Reasons of single assets, lowest priority first: of those that apply, the last one counts."""
TRADABLE: Final = ("OK", "NO_DIRECTION")
"""Reasons of assets in which a position may be opened, now or when a direction begins."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """The signal of one scan for every asset it lists; lists are in the scan's asset order.

    Attributes:
        r_ar: Risk scaler from the mean correlation, in [0, 1].
        r_vol: Risk scaler from volatility, in [0, 1].
        risk_scaler: r_ar * r_vol * dvol gate * calendar gate, for display.
        signal: Target weight before caps, in [-1, 1].
        reason: Why the signal is what it is, one of REASONS, or the check that failed.
        flags: What was odd about the scan, sorted.
        missing: Count of gate inputs that were missing or stale, by gate.
    """

    epoch: int
    scan_number: int
    timestamp_us: int
    assets: list[str]
    s_score: list[float]
    direction: list[int]
    r_ar: float
    r_vol: float
    gate_book: list[float]
    gate_funding: list[float]
    gate_dvol: float
    gate_calendar: float
    risk_scaler: float
    signal: list[float]
    reason: list[str]
    flags: tuple[str, ...]
    missing: dict[str, int]
    mean_correlation: float = 0.0
    market_share: float = 0.0
