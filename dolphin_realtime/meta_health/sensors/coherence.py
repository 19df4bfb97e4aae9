"""M5, data coherence: whether the documents that are there say possible things.

Age is M3's business: an absent or old document is not incoherent.
"""

import math
from collections.abc import Callable
from typing import Any, Final

from dolphin_realtime import grid
from dolphin_realtime.meta_health.reading import Reading, Snapshot
from dolphin_realtime.model.posture import Posture

SUM_TOLERANCE: Final = 0.05
USABLE_SHARE: Final = 0.9
"""A scan with more than a tenth of its prices unusable is incoherent."""


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def scan_holds(scan: dict[str, Any]) -> bool:
    """Return whether a scan document is possible: prices above 0, eigenvalues summing near N."""
    assets, prices, values = scan.get("assets"), scan.get("asset_prices"), scan.get("eigenvalues")
    if not (isinstance(assets, list) and isinstance(prices, dict) and isinstance(values, list)):
        return False
    usable = sum(1 for p in prices.values() if _is_finite(p) and p > 0.0)
    if not assets or len(prices) != len(assets) or usable < USABLE_SHARE * len(assets):
        return False
    if not all(_is_finite(v) for v in values):
        return False
    return abs(sum(values) / len(assets) - 1.0) <= SUM_TOLERANCE


def safety_holds(safety: dict[str, Any]) -> bool:
    """Return whether a safety document names a posture and its multiplier."""
    posture, multiplier = safety.get("posture"), safety.get("size_multiplier")
    return posture in set(Posture) and multiplier == Posture(posture).size_multiplier


def state_holds(state: dict[str, Any]) -> bool:
    """Return whether an instance's equity is its cash and its positions' open profit."""
    cash, equity, positions = state.get("cash"), state.get("equity"), state.get("positions")
    if not isinstance(cash, int | float) or not isinstance(equity, int | float):
        return False
    if not isinstance(positions, list):
        return False
    try:
        unrealised = sum(p["quantity"] * (p["price"] - p["average_price"]) for p in positions)
    except (KeyError, TypeError):
        return False
    return abs(cash + unrealised - equity) <= 1e-6 and not state.get("mismatch")


def pnl_holds(pnl: dict[str, Any]) -> bool:
    """Return whether a day's profit is made of finite figures in their ranges."""
    figures = ("realised", "unrealised", "fees", "funding", "equity")
    if not all(_is_finite(pnl.get(name)) for name in figures):
        return False
    trades, drawdown = pnl.get("trades"), pnl.get("max_drawdown")
    counts = isinstance(trades, int) and trades >= 0
    return counts and isinstance(drawdown, int | float) and 0.0 <= drawdown <= 1.0


def _holds(rule: Callable[[dict[str, Any]], bool], document: dict[str, Any]) -> bool:
    """Return whether a document passes; one that is of no shape the rule can read does not."""
    try:
        return rule(document)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return False


def read_coherence(snapshot: Snapshot) -> Reading:
    """Return M5 by document: each that is there holds or not; one that cannot be read does not."""
    results: dict[str, bool] = {}
    if snapshot.scan is not None:
        results["scan"] = _holds(scan_holds, snapshot.scan)
    if snapshot.safety is not None:
        results["safety"] = _holds(safety_holds, snapshot.safety)
    for instance, state in snapshot.states.items():
        if state is not None:
            is_deaf = grid.is_deaf(state, snapshot.scan)
            results[f"state_{instance}"] = _holds(state_holds, state) and not is_deaf
    for instance, pnl in snapshot.pnl.items():
        if pnl is not None:
            results[f"pnl_{instance}"] = _holds(pnl_holds, pnl)
    results |= dict.fromkeys(snapshot.unparsable, False)
    facts: dict[str, dict[str, object]] = {k: {"holds": v} for k, v in results.items()}
    return Reading(scores={k: float(v) for k, v in results.items()}, facts=facts)
