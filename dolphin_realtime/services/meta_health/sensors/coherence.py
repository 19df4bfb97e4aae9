"""M5, data coherence: whether the documents that are there say possible things.

Age is M3's business: an absent or old document is not incoherent.
"""

import math
from collections.abc import Callable
from typing import Any

from dolphin_realtime.grid import wire
from dolphin_realtime.model.documents import PnlDocument, StateDocument
from dolphin_realtime.model.market.scan_checks import coherence
from dolphin_realtime.model.portfolio.account import TOLERANCE_USD
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.services.meta_health.reading import Reading, Snapshot


def scan_holds(scan: dict[str, Any]) -> bool:
    """Return whether a scan document is possible: prices above 0, eigenvalues summing near N."""
    assets, prices, values = scan.get("assets"), scan.get("asset_prices"), scan.get("eigenvalues")
    if not (isinstance(assets, list) and isinstance(prices, dict) and isinstance(values, list)):
        return False
    if not assets or len(prices) != len(assets):
        return False
    return coherence(len(assets), list(prices.values()), values).why is None


def safety_holds(safety: dict[str, Any]) -> bool:
    """Return whether a safety document names a posture and its multiplier."""
    posture, multiplier = safety.get("posture"), safety.get("size_multiplier")
    return posture in set(Posture) and multiplier == Posture(posture).size_multiplier


def state_holds(state: StateDocument) -> bool:
    """Return whether an instance's equity is its cash and its positions' open profit."""
    if any(p.price is None for p in state.positions):
        return False
    unrealised = sum(p.quantity * ((p.price or 0.0) - p.average_price) for p in state.positions)
    return abs(state.cash + unrealised - state.equity) <= TOLERANCE_USD and not state.mismatch


def pnl_holds(pnl: PnlDocument) -> bool:
    """Return whether a day's profit is made of finite figures; their ranges are the document's."""
    figures = (pnl.realised, pnl.unrealised, pnl.fees, pnl.funding, pnl.equity)
    return all(math.isfinite(figure) for figure in figures)


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
            is_stalled = state.is_stalled(wire.bridged_at(snapshot.scan))
            results[f"state_{instance}"] = state_holds(state) and not is_stalled
    for instance, pnl in snapshot.pnl.items():
        if pnl is not None:
            results[f"pnl_{instance}"] = pnl_holds(pnl)
    results |= dict.fromkeys(snapshot.unparsable, False)
    facts: dict[str, dict[str, object]] = {k: {"holds": v} for k, v in results.items()}
    return Reading(scores={k: float(v) for k, v in results.items()}, facts=facts)
