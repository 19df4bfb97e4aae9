"""Data coherence (`m5_coherence`): whether the contents of the existing documents are possible.

Age belongs to M3 data freshness: an absent or old document is not incoherent.
"""

import math
from collections.abc import Callable
from typing import Any

import msgspec

from dolphin_realtime.grid import wire
from dolphin_realtime.model.documents import PnlDocument, StateDocument
from dolphin_realtime.model.market.scan_checks import coherence
from dolphin_realtime.model.portfolio.account import TOLERANCE_USD
from dolphin_realtime.model.risk.posture import SafetyDocument
from dolphin_realtime.services.meta_health.reading import Reading, Snapshot


def scan_holds(scan: dict[str, Any]) -> bool:
    """Return whether a scan is possible: prices above 0, eigenvalues that sum to about N."""
    assets, prices, values = scan.get("assets"), scan.get("asset_prices"), scan.get("eigenvalues")
    if not (isinstance(assets, list) and isinstance(prices, dict) and isinstance(values, list)):
        return False
    if not assets or len(prices) != len(assets):
        return False
    return coherence(len(assets), list(prices.values()), values).why is None


def safety_holds(safety: dict[str, Any]) -> bool:
    """Return whether a safety document is what traders read, with the multiplier of its posture."""
    try:
        found = msgspec.convert(safety, SafetyDocument)
    except msgspec.ValidationError:
        return False
    return found.size_multiplier == found.posture.size_multiplier


def state_holds(state: StateDocument) -> bool:
    """Return whether equity is cash plus unrealised profit, and there is no mismatch."""
    if any(p.price is None for p in state.positions):
        return False
    unrealised = sum(p.quantity * ((p.price or 0.0) - p.average_price) for p in state.positions)
    return abs(state.cash + unrealised - state.equity) <= TOLERANCE_USD and not state.mismatch


def pnl_holds(pnl: PnlDocument) -> bool:
    """Return whether a day's figures are finite; the document type checks their ranges."""
    figures = (pnl.realised, pnl.unrealised, pnl.fees, pnl.funding, pnl.equity)
    return all(math.isfinite(figure) for figure in figures)


def _holds(rule: Callable[[dict[str, Any]], bool], document: dict[str, Any]) -> bool:
    """Return whether a document passes a rule; one that the rule cannot read does not pass."""
    try:
        return rule(document)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return False


def read_coherence(snapshot: Snapshot) -> Reading:
    """Return the coherence of each existing document; an unreadable document scores 0."""
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
