"""What each check of a realtime service looks at: pure rules over one snapshot of the grid.

Conditions, limits and wording belong here; reading and reporting do not (realtime.py).
Ages are seconds.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from dolphin_dagster import checks
from dolphin_dagster.checks import Facts, Verdict
from dolphin_realtime import grid
from dolphin_realtime.model.posture import Posture

HEARTBEAT_LIMIT_S: Final = 15.0
SCAN_LIMIT_S: Final = 30.0
DOCUMENT_LIMIT_S: Final = 30.0

Document = dict[str, Any] | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The grid's documents at one instant; ``fault`` says why none could be read."""

    now: datetime
    instance: str
    scan: Document = None
    safety: Document = None
    health: Document = None
    state: Document = None
    heartbeats: Mapping[str, Document] = {}
    fault: str | None = None


Rule = Callable[[Snapshot], Verdict]


class CheckRule(msgspec.Struct, frozen=True, kw_only=True):
    """One check: which asset, its name, what it means, and the rule."""

    asset: str
    name: str
    means: str
    rule: Rule


def _unreadable(snapshot: Snapshot) -> Verdict | None:
    if snapshot.fault is None:
        return None
    return Verdict(False, {"age_s": -1.0, "why": snapshot.fault})


def _age_rule(pick: Callable[[Snapshot], Document], field: str, limit_s: float) -> Rule:
    """Return a rule: the document is there and its instant is young."""

    def rule(snapshot: Snapshot) -> Verdict:
        bad = _unreadable(snapshot)
        if bad is not None:
            return bad
        document = pick(snapshot)
        age_s = None if document is None else grid.age_s(document.get(field), snapshot.now)
        if age_s is None:
            return Verdict(False, {"age_s": -1.0, "limit_s": limit_s, "why": "no document"})
        return Verdict(age_s <= limit_s, {"age_s": age_s, "limit_s": limit_s})

    return rule


def _beat(service: str) -> Rule:
    """Return a rule: the service's heartbeat is young and the manager says that it runs."""
    young = _age_rule(lambda s: s.heartbeats.get(_named(service, s)), "ts", HEARTBEAT_LIMIT_S)

    def rule(snapshot: Snapshot) -> Verdict:
        verdict = young(snapshot)
        process = _process(snapshot, _named(service, snapshot))
        state = str(process.get("state", "unknown"))
        facts = {**verdict.facts, "state": state, "restarts": float(process.get("restarts") or 0)}
        return Verdict(verdict.passed and state in ("running", "unknown"), facts)

    return rule


def _named(service: str, snapshot: Snapshot) -> str:
    return f"trader@{snapshot.instance}" if service == "trader" else service


def _process(snapshot: Snapshot, name: str) -> dict[str, Any]:
    processes = (snapshot.health or {}).get("subsystem_health", {}).get("processes", {})
    found = processes.get(name) if isinstance(processes, dict) else None
    return found if isinstance(found, dict) else {}


def _grid_answers(snapshot: Snapshot) -> Verdict:
    if snapshot.fault is not None:
        return Verdict(False, {"answers": 0.0, "why": snapshot.fault})
    return Verdict(True, {"answers": 1.0})


def _scan_is_coherent(snapshot: Snapshot) -> Verdict:
    bad = _unreadable(snapshot)
    if bad is not None or snapshot.scan is None:
        return bad or Verdict(False, {"assets": 0.0, "why": "no scan in the grid"})
    prices, values = snapshot.scan.get("asset_prices"), snapshot.scan.get("eigenvalues")
    if not isinstance(prices, dict) or not isinstance(values, list) or not prices:
        return Verdict(False, {"assets": 0.0, "why": "prices or eigenvalues are missing"})
    usable = sum(1 for p in prices.values() if isinstance(p, int | float) and p > 0)
    finite = [v for v in values if isinstance(v, int | float)]
    ratio = sum(finite) / len(prices)
    holds = usable >= 0.9 * len(prices) and len(finite) == len(values) and abs(ratio - 1.0) <= 0.05
    facts: Facts = {"assets": float(len(prices)), "usable_prices": float(usable)}
    return Verdict(holds, {**facts, "eigenvalue_sum_share": ratio})


def _health_is_green(snapshot: Snapshot) -> Verdict:
    young = _age_rule(lambda s: s.health, "timestamp", DOCUMENT_LIMIT_S)(snapshot)
    if not young.passed or snapshot.health is None:
        return young
    keys = (
        "rm_meta",
        "m1_proc",
        "m2_heartbeat",
        "m3_data_freshness",
        "m4_control_plane",
        "m5_coherence",
    )
    scores: Facts = {k: float(snapshot.health.get(k) or 0.0) for k in keys}
    status = str(snapshot.health.get("status"))
    return Verdict(status == "GREEN", {**scores, "status": status})


def _may_trade(snapshot: Snapshot) -> Verdict:
    young = _age_rule(lambda s: s.safety, "ts", DOCUMENT_LIMIT_S)(snapshot)
    if not young.passed or snapshot.safety is None:
        return young
    posture = str(snapshot.safety.get("posture"))
    reasons = "; ".join(map(str, snapshot.safety.get("reasons") or [])) or "none"
    facts: Facts = {"size_multiplier": float(snapshot.safety.get("size_multiplier") or 0.0)}
    passed = posture in (Posture.NORMAL, Posture.REDUCED)
    return Verdict(passed, {**facts, "posture": posture, "reasons": reasons})


def _state_holds(snapshot: Snapshot) -> Verdict:
    young = _age_rule(lambda s: s.state, "updated_at", DOCUMENT_LIMIT_S)(snapshot)
    state = snapshot.state
    if not young.passed or state is None:
        return young
    journal = state.get("journal") or {}
    fault = journal.get("fault") or journal.get("trouble")
    mismatch = state.get("mismatch")
    facts: Facts = {
        "equity": float(state.get("equity") or 0.0),
        "positions": float(len(state.get("positions") or [])),
        "fills": float(state.get("fills") or 0),
    }
    deaf = "takes none of the scans that come" if grid.is_deaf(state, snapshot.scan) else None
    wrong = mismatch or fault or deaf
    return Verdict(not wrong, {**facts, "wrong": str(wrong or "nothing")})


RULES: Final = (
    CheckRule(
        asset="hazelcast",
        name="answers",
        means="the grid's member answers reads within 3 s",
        rule=_grid_answers,
    ),
    CheckRule(
        asset="scan_feed",
        name="is_fresh",
        means="the newest scan was bridged less than 30 s ago",
        rule=_age_rule(lambda s: s.scan, "bridge_ts", SCAN_LIMIT_S),
    ),
    CheckRule(
        asset="scan_feed",
        name="is_coherent",
        means="prices are above 0 and the eigenvalues sum to the number of assets",
        rule=_scan_is_coherent,
    ),
    CheckRule(
        asset="bridge",
        name="is_alive",
        means="the bridge runs and beat less than 15 s ago",
        rule=_beat("bridge"),
    ),
    CheckRule(
        asset="trader",
        name="is_alive",
        means="the trader runs and beat less than 15 s ago",
        rule=_beat("trader"),
    ),
    CheckRule(
        asset="trader",
        name="state_holds",
        means="its state is fresh, agrees with Nautilus, and the journal can be written",
        rule=_state_holds,
    ),
    CheckRule(
        asset="safety",
        name="may_trade",
        means="the posture is NORMAL or REDUCED",
        rule=_may_trade,
    ),
    CheckRule(
        asset="meta_health",
        name="is_green",
        means="the product of the five health sensors is above 0.8",
        rule=_health_is_green,
    ),
)


def describe(rule: CheckRule) -> str:
    """Return a check's description: meaning, and where to read what to do."""
    return checks.describe(rule.asset, rule.name, f"Green while {rule.means}. What to do:")


def verdicts(snapshot: Snapshot) -> dict[checks.Key, Verdict]:
    """Return every rule's verdict of a snapshot, by check."""
    return {(rule.asset, rule.name): rule.rule(snapshot) for rule in RULES}
