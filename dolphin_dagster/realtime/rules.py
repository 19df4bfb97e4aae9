"""What each check of a realtime service looks at: pure rules over one snapshot.

Conditions, limits in seconds and wording belong here; reading and reporting do not. Every red says why.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from dolphin_dagster import checks
from dolphin_dagster.checks import Facts, Verdict
from dolphin_dagster.realtime.snapshot import Document, Snapshot
from dolphin_realtime.config.services import BRIDGE
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model import instant
from dolphin_realtime.model.documents import EntryBlock, StateDocument, finite, refusals
from dolphin_realtime.model.freshness import (
    SHOWN_BLOCK_S,
    SHOWN_BOOKS_S,
    SHOWN_DOCUMENT_S,
    SHOWN_HEARTBEAT_S,
    SHOWN_SCAN_S,
)
from dolphin_realtime.model.market.scan_checks import coherence
from dolphin_realtime.model.portfolio.unpriced import UNPRICED_SCANS
from dolphin_realtime.model.risk.posture import Posture

DOWN: Final = ("failed", "stopped", "backoff")
"""Manager states of a service that is down, even if its last heartbeat is still young."""
FACT_LENGTH: Final = 2000
"""Longest text of a fact, in characters: events are kept for days."""
SENSORS: Final = {
    "m1_proc": ("every service runs", "`dolphin status`: which is not running", "processes"),
    "m2_heartbeat": ("the services beat", "`dolphin logs` of the one that is silent", "processes"),
    "m3_data_freshness": ("every data source is fresh", "the age of each, below", "data_sources"),
    "m4_control_plane": ("Hazelcast and the Dagster UI answer", "`dolphin status`", "processes"),
    "m5_coherence": ("documents agree with each other", "`holds` in `dolphin health`", "data_sources"),
}  # fmt: skip
"""Meta health's sensors: what green means, where to look, and the part of the health document."""

Rule = Callable[[Snapshot], Verdict]


class CheckRule(msgspec.Struct, frozen=True, kw_only=True):
    """One check of one asset.

    Attributes:
        asset: Key of the asset.
        heading: Runbook heading, before the check's name; one for all traders.
        means: When it is green.
        look: Where to look when it is red.
        do: What to do then.
    """

    asset: str
    name: str
    means: str
    look: str
    do: str
    rule: Rule
    heading: str = ""

    @property
    def key(self) -> checks.Key:
        """(asset, check)."""
        return (self.asset, self.name)

    @property
    def description(self) -> str:
        """Meaning, where to look, what to do, and the heading of the runbook."""
        text = f"Green while {self.means}. Look at: {self.look}. Do: {self.do}."
        return checks.describe(self.heading or self.asset, self.name, text)


def _red(why: str, facts: Facts) -> Verdict:
    return Verdict(False, {**facts, "why": why}, summary=why)


def _age(document: Document, field: str, limit_s: float, snapshot: Snapshot) -> Verdict:
    """Return whether a document is there and its timestamp is young."""
    return _young(instant.parse(document.get(field)) if document else None, limit_s, snapshot)


def _young(stamp: datetime | None, limit_s: float, snapshot: Snapshot) -> Verdict:
    """Return whether a document's timestamp is young; None: no readable document."""
    facts: Facts = {"age_s": -1.0, "limit_s": limit_s}
    if snapshot.fault is not None:
        return Verdict(False, {**facts, "why": snapshot.fault}, summary="the grid is away")
    if stamp is None:
        return _red("no document that can be read", facts)
    age_s = (snapshot.now - stamp).total_seconds()
    facts["age_s"] = age_s
    return Verdict(True, facts) if abs(age_s) <= limit_s else _red("it is old", facts)


def is_alive(service: str) -> Rule:
    """Return a rule: a young heartbeat, not of a stopped service, and its manager says it runs."""

    def rule(snapshot: Snapshot) -> Verdict:
        beat = snapshot.heartbeats.get(service)
        verdict = _young(beat.ts if beat else None, SHOWN_HEARTBEAT_S, snapshot)
        process = _subsystem(snapshot, "processes", service)
        facts: Facts = {**verdict.facts, "restarts": _number(process.get("restarts"))}
        if verdict.passed and beat is not None and beat.phase == maps.STOPPED:
            return _red("it was stopped", facts)
        state = str(process.get("state", "unknown"))
        if state in DOWN and _is_known(snapshot):
            return _red(f"its manager says that it is {state}", facts)
        return Verdict(verdict.passed, facts, summary=verdict.summary)

    return rule


def _is_known(snapshot: Snapshot) -> bool:
    """Return whether the health document is young."""
    return _age(snapshot.health, "timestamp", SHOWN_DOCUMENT_S, snapshot).passed


def _subsystem(snapshot: Snapshot, part: str, name: str) -> dict[str, Any]:
    return _dict(_dict(_dict((snapshot.health or {}).get("subsystem_health")).get(part)).get(name))


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float:
    return finite(value) or 0.0


def grid_answers(snapshot: Snapshot) -> Verdict:
    """Judge whether the grid could be read."""
    if snapshot.fault is not None:
        return Verdict(False, {"answers": 0.0, "why": snapshot.fault}, summary="away")
    return Verdict(True, {"answers": 1.0})


def scan_is_fresh(snapshot: Snapshot) -> Verdict:
    """Judge the age of the newest scan; a red verdict says what the bridge has refused since."""
    verdict = _age(snapshot.scan, "bridge_ts", SHOWN_SCAN_S, snapshot)
    refused = refusals(snapshot.heartbeats.get(BRIDGE))
    if verdict.passed or not refused:
        return verdict
    why = f"{verdict.facts['why']}; the bridge refused since the last good scan: {refused}"
    return _red(why[:FACT_LENGTH], dict(verdict.facts))


def scan_is_coherent(snapshot: Snapshot) -> Verdict:
    """Judge the newest scan's prices and eigenvalues."""
    if snapshot.fault is not None or snapshot.scan is None:
        return _red(snapshot.fault or "no scan in the grid", {"assets": 0.0})
    prices, values = snapshot.scan.get("asset_prices"), snapshot.scan.get("eigenvalues")
    if not isinstance(prices, dict) or not isinstance(values, list) or not prices:
        return _red("prices or eigenvalues are missing", {"assets": 0.0})
    found = coherence(len(prices), list(prices.values()), values)
    facts: Facts = {"assets": float(len(prices)), "usable_prices": float(found.usable)}
    facts["eigenvalue_sum_share"] = found.sum_share
    return _red(found.why, facts) if found.why else Verdict(True, facts)


def has_books(snapshot: Snapshot) -> Verdict:
    """Judge the document of order books."""
    young = _age(snapshot.books, "_pushed_at", SHOWN_BOOKS_S, snapshot)
    books = _dict((snapshot.books or {}).get("assets"))
    facts: Facts = {**young.facts, "books": float(len(books))}
    if young.passed and not books:
        return _red("no asset has a book", facts)
    return Verdict(young.passed, facts, summary=young.summary)


def may_trade(snapshot: Snapshot) -> Verdict:
    """Judge the posture."""
    young = _age(snapshot.safety, "ts", SHOWN_DOCUMENT_S, snapshot)
    if not young.passed or snapshot.safety is None:
        return young
    own = _dict(snapshot.safety.get("instances")).items()
    postures = {name: str(_dict(one).get("posture")) for name, one in own}
    posture = str(snapshot.safety.get("posture"))
    listed = snapshot.safety.get("reasons")
    said = [str(reason) for reason in listed] if isinstance(listed, list) else []
    facts: Facts = {"size_multiplier": _number(snapshot.safety.get("size_multiplier"))}
    facts |= {"posture": posture, "reasons": "; ".join(said) or "none"}
    if len(set(postures.values())) > 1:
        facts["traders"] = ", ".join(f"{name} {what}" for name, what in postures.items())
    passed = posture in (Posture.NORMAL, Posture.REDUCED)
    if not passed:
        facts["why"] = f"{posture}: {'; '.join(said) or 'cooling down'}"
    return Verdict(passed, facts, summary=" ".join([posture, *(r.split(":")[0] for r in said)]))


def is_green(snapshot: Snapshot) -> Verdict:
    """Judge the status of meta health."""
    young = _age(snapshot.health, "timestamp", SHOWN_DOCUMENT_S, snapshot)
    if not young.passed or snapshot.health is None:
        return young
    scores: Facts = {k: _number(snapshot.health.get(k)) for k in ("rm_meta", *SENSORS)}
    status = str(snapshot.health.get("status"))
    return Verdict(status == "GREEN", {**scores, "status": status}, summary=status)


def sensor_is_well(sensor: str, part: str) -> Rule:
    """Return a rule: one sensor of meta health has its full score."""

    def rule(snapshot: Snapshot) -> Verdict:
        young = _age(snapshot.health, "timestamp", SHOWN_DOCUMENT_S, snapshot)
        if not young.passed or snapshot.health is None:
            return young
        score = _number(snapshot.health.get(sensor))
        group = _dict(_dict(snapshot.health.get("subsystem_health")).get(part))
        facts: Facts = {**young.facts, "score": score, part: wire.encode(group)[:FACT_LENGTH]}
        bad = [name for name, found in group.items() if _is_bad(_dict(found))]
        why = f"its score is {score:.2f}: {', '.join(sorted(bad)) or 'see dolphin health'}"
        return Verdict(True, facts) if score >= 1.0 else _red(why, facts)

    return rule


def _is_bad(subsystem: dict[str, Any]) -> bool:
    """Return whether meta health's facts about a service or source show a fault."""
    is_down = subsystem.get("state", "running") != "running"
    return is_down or subsystem.get("holds") is False or _number(subsystem.get("score", 1.0)) < 1.0


def _of_trader(instance: str, judge: Callable[[StateDocument, Snapshot], Verdict]) -> Rule:
    """Return a rule: a trader's state is young, and what ``judge`` says of it."""

    def rule(snapshot: Snapshot) -> Verdict:
        state = snapshot.states.get(instance)
        young = _young(state.updated_at if state else None, SHOWN_DOCUMENT_S, snapshot)
        if not young.passed or state is None:
            return young
        return judge(state, snapshot)

    return rule


def state_holds(instance: str) -> Rule:
    """Return a rule: a trader's state is young, agrees with its engine, and follows the scans."""

    def judge(state: StateDocument, snapshot: Snapshot) -> Verdict:
        is_stalled = state.is_stalled(wire.bridged_at(snapshot.scan))
        stalled = "it takes none of the scans that come" if is_stalled else None
        wrong = state.mismatch or state.journal.fault or state.journal.trouble or stalled
        wrong = wrong or _blocked(state.entry_block, snapshot)
        facts: Facts = {"equity": state.equity, "fills": float(state.fills)}
        facts["positions"] = float(len(state.positions))
        return _red(wrong, facts) if wrong else Verdict(True, facts)

    return _of_trader(instance, judge)


def positions_are_priced(instance: str) -> Rule:
    """Return a rule: each held asset had a sound price in one of the last scans."""

    def judge(state: StateDocument, _: Snapshot) -> Verdict:
        found = [one for one in state.unpriced if one.scans >= UNPRICED_SCANS]
        facts: Facts = {"held_without_price": float(len(found))}
        names = [f"{one.asset} {one.reason} since {one.since:%Y-%m-%dT%H:%M:%S}" for one in found]
        return _red("; ".join(names)[:FACT_LENGTH], facts) if found else Verdict(True, facts)

    return _of_trader(instance, judge)


def venue_is_well(instance: str) -> Rule:
    """Return a rule: what a live trader knows of its venue calls for no posture; on paper it holds."""

    def judge(state: StateDocument, _: Snapshot) -> Verdict:
        live = state.live
        if live is None:
            return Verdict(True, {"live": 0.0})
        facts: Facts = {
            "live": 1.0, "unknown_orders": float(live.unknown), "outside": float(live.outside),
            "node_differences": float(live.node_differences), "margin": live.margin,
        }  # fmt: skip
        found = [f"{one.code}: {one.why}" for one in live.findings if one.posture is not None]
        return _red("; ".join(found)[:FACT_LENGTH], facts) if found else Verdict(True, facts)

    return _of_trader(instance, judge)


def _blocked(block: EntryBlock | None, snapshot: Snapshot) -> str | None:
    """Return what has long kept a trader from opening positions, None if nothing has."""
    if block is None or _young(block.since, SHOWN_BLOCK_S, snapshot).passed:
        return None
    return f"it opens nothing: {block.reason}"


def identities_hold(instance: str) -> Rule:
    """Return a rule: a journal was verified and holds."""

    def rule(snapshot: Snapshot) -> Verdict:
        found = snapshot.journals.get(instance)
        if found is None:
            return _red("it was not looked at", {"rows": 0.0})
        facts: Facts = {"rows": float(found.rows)}
        return Verdict(True, facts) if found.ok else _red(found.first_break or "unknown", facts)

    return rule
