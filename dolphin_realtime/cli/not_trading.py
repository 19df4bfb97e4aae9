"""Why no position may be opened now, for which trader, and since when. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from dolphin_realtime.cli.overview import Overview
from dolphin_realtime.config.services import BRIDGE, SCANNER, is_needed_to_trade, trader_of
from dolphin_realtime.grid import wire
from dolphin_realtime.model.documents import StateDocument, refusals
from dolphin_realtime.model.freshness import POSTURE_S

TRADING_POSTURES: Final = ("NORMAL", "REDUCED")
BLOCKS: Final = {
    "STALE_SCAN": "scans come too late",
    "CLOCK_SKEW": "the clocks of NG6 and of this machine are over a minute apart",
    "POSTURE_UNKNOWN": "it sees no recent posture",
    "GRID_DIVIDED": "it sees too few members of the grid, others may see the rest",
}


class Reason(msgspec.Struct, frozen=True):
    """Why no position may be opened; ``since`` is an ISO 8601 instant, None if unknown."""

    text: str
    since: str | None = None


def not_trading(overview: Overview) -> Reason | None:
    """Return why some trader may not open a position, None if every trader may."""
    starting = [s for s in overview.services if s.state in ("waiting", "starting")]
    if starting and overview.scan is None:
        return _services("STARTING", starting)
    down = [s for s in overview.services if s.state != "running" and is_needed_to_trade(s.name)]
    if down:
        return _services("SERVICE_DOWN", down)
    if overview.grid_error:
        return Reason(f"GRID_AWAY: {overview.grid_error}")
    safety = overview.safety
    age = wire.age_s(safety.get("ts"), datetime.now(UTC)) if safety else None
    if safety is None or age is None or age > POSTURE_S:
        text = "POSTURE_UNKNOWN: the safety document is missing or old"
        return Reason(text, safety.get("ts") if safety else None)
    own = (safety.get("instances") or {}).values()
    if safety["posture"] not in TRADING_POSTURES and all(
        one["posture"] not in TRADING_POSTURES for one in own
    ):
        why = "; ".join(safety["reasons"]) or "cooling down"
        refused = _refused(overview, SCANNER, BRIDGE) if "SCAN" in why else ""
        return Reason(f"POSTURE_{safety['posture']}: {why}{refused}", safety["since"])
    return _first_of(list(_of_instances(overview)))


def _refused(overview: Overview, *services: str) -> str:
    """Return what services refused since their last good scan, as the likely cause."""
    words = {service: refusals(overview.beats.get(service)) for service in services}
    return "".join(f"; {s} refused since the last good scan: {w}" for s, w in words.items() if w)


def _services(what: str, services: list[Any]) -> Reason:
    names = ", ".join(s.name for s in services)
    return Reason(f"{what}: {names}", min(s.since for s in services))


def _first_of(reasons: list[Reason]) -> Reason | None:
    if not reasons:
        return None
    since = min((r.since for r in reasons if r.since), default=None)
    return Reason("; ".join(r.text for r in reasons), since)


def _of_instances(overview: Overview) -> Iterator[Reason]:
    for instance, state in overview.states.items():
        reason = _of_instance(instance, state, overview)
        if reason is not None:
            yield reason


def _of_instance(instance: str, state: StateDocument | None, overview: Overview) -> Reason | None:
    if state is None:
        return Reason(f"NO_STATE: trader {instance} has published nothing")
    if state.mismatch:
        return Reason(f"RECONCILIATION: {instance}: {state.mismatch}")
    journal = state.journal
    if journal.trouble:
        return Reason(f"{journal.trouble}: {instance}: {journal.fault or 'see df -h'}")
    own = ((overview.safety or {}).get("instances") or {}).get(instance)
    if own and own["posture"] not in TRADING_POSTURES:
        why = "; ".join(own["reasons"]) or "cooling down"
        return Reason(f"POSTURE_{own['posture']}: {instance}: {why}", own["since"])
    refused = _refused(overview, trader_of(instance))
    if state.is_stalled(wire.bridged_at(overview.scan)):
        text = f"TRADER_DEAF: {instance} does not process the scans that arrive{refused}"
        since = state.handled_at.isoformat()
        return Reason(text if refused else f"{text}; see dolphin logs", since)
    block = state.entry_block
    if block:
        name = block.reason
        refused += _refused(overview, SCANNER, BRIDGE) if name == "STALE_SCAN" else ""
        venue = {f.code: f.why for f in state.live.findings} if state.live else {}
        why = BLOCKS.get(name) or venue.get(name, "see dolphin logs")
        text = f"{name}: {instance}: {why}{refused}"
        return Reason(text, block.since.isoformat())
    if set(state.reasons) == {"WARMING_UP"}:
        return Reason(f"WARMING_UP: {instance} has too little history")
    return _untradable(instance, state)


def _untradable(instance: str, state: StateDocument) -> Reason | None:
    """Return why no asset may be opened, None if at least one may."""
    found = state.untradable
    if not found.of or found.names < found.of:
        return None
    reasons = ", ".join(f"{why} {n}" for why, n in found.reasons.items())
    return Reason(f"NO_TRADABLE_NAME: {instance}: {reasons} of {found.of} names")
