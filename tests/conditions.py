"""A healthy stack's documents, and every condition that turns a realtime check red."""

from datetime import timedelta

from dolphin_dagster.realtime.rules import SENSORS
from dolphin_dagster.realtime.snapshot import Snapshot
from dolphin_realtime.config.services import shown
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import wire
from dolphin_realtime.journal.check import CheckResult
from dolphin_realtime.model.documents import Heartbeat, StateDocument

SETTINGS = Settings(orderbook_ws="ws://127.0.0.1")
BEATING = list(shown(SETTINGS))


def snapshot_of(fields):
    """Return a snapshot of documents as they are on the wire."""
    states, beats = fields.get("states", {}), fields.get("heartbeats", {})
    typed = {
        "states": {i: wire.read(wire.encode(s), StateDocument) for i, s in states.items()},
        "heartbeats": {n: wire.read(wire.encode(b), Heartbeat) for n, b in beats.items()},
    }
    return Snapshot(**{**fields, **typed})


def healthy(now):
    """Return the fields of a snapshot in which every check is green."""
    at = now.isoformat()
    processes = {name: {"state": "running", "restarts": 0} for name in BEATING}
    return {
        "now": now,
        "scan": {
            "bridge_ts": at,
            "timestamp": at,
            "assets": ["A", "B"],
            "asset_prices": {"A": 1.0, "B": 2.0},
            "eigenvalues": [1.2, 0.8],
        },
        "books": {"_pushed_at": at, "assets": {"A": {}}},
        "safety": {"ts": at, "posture": "NORMAL", "size_multiplier": 1.0, "reasons": []},
        "health": {
            "timestamp": at,
            "status": "GREEN",
            "rm_meta": 1.0,
            **dict.fromkeys(SENSORS, 1.0),
            "subsystem_health": {"processes": processes, "data_sources": {}},
        },
        "states": {
            "BLUE": {
                "updated_at": at,
                "handled_at": at,
                "cash": 1.0,
                "equity": 1.0,
                "peak_equity": 1.0,
                "day_loss": 0.0,
                "positions": [],
                "entry_block": None,
                "journal": {"fault": None, "trouble": None},
            }
        },
        "heartbeats": {name: {"ts": at, "pid": 1, "phase": "ready"} for name in BEATING},
        "journals": {"BLUE": CheckResult(ok=True, rows=1, first_break=None)},
    }


def changed(document, path, value):
    """Return a document with the value at a path replaced; None removes it."""
    head, *rest = path
    if rest:
        return {**document, head: changed(document[head], rest, value)}
    without = {k: v for k, v in document.items() if k != head}
    return without if value is None else {**without, head: value}


def conditions(now):
    """Return (path, value, checks that go red) of every condition, one by one."""
    old, later = (now - timedelta(seconds=s) for s in (40, -40))
    found = []
    for service, asset in (
        ("bridge", "bridge"),
        ("safety", "safety"),
        ("orderbook", "orderbook"),
        ("trader@BLUE", "trader_BLUE"),
        ("meta-health", "meta_health"),
    ):
        red = {f"{asset}:is_alive"}
        process = ("health", "subsystem_health", "processes", service)
        found += [
            (("heartbeats", service), None, red),
            (("heartbeats", service, "ts"), old.isoformat(), red),
            (("heartbeats", service, "phase"), "stopped", red),
            (process, {"state": "failed"}, red),
        ]
    everything = {f"meta_health:{name}" for name in ("is_green", *SENSORS)}
    found += [
        (("scan",), None, {"scan_feed:is_fresh", "scan_feed:is_coherent"}),
        (("scan", "bridge_ts"), old.isoformat(), {"scan_feed:is_fresh"}),
        (("scan", "bridge_ts"), (now + timedelta(hours=1)).isoformat(),
         {"scan_feed:is_fresh", "trader_BLUE:state_holds"}),
        (("scan", "asset_prices"), {}, {"scan_feed:is_coherent"}),
        (("scan", "asset_prices"), {"A": 1.0, "B": None}, {"scan_feed:is_coherent"}),
        (("scan", "eigenvalues"), [1.2, None], {"scan_feed:is_coherent"}),
        (("scan", "eigenvalues"), [5.0, 0.8], {"scan_feed:is_coherent"}),
        (("books",), None, {"orderbook:has_books"}),
        (("books", "_pushed_at"), old.isoformat(), {"orderbook:has_books"}),
        (("books", "assets"), {}, {"orderbook:has_books"}),
        (("safety",), None, {"safety:may_trade"}),
        (("safety", "ts"), later.isoformat(), {"safety:may_trade"}),
        (("safety", "posture"), "CLOSE_ONLY", {"safety:may_trade"}),
        (("safety", "posture"), "HALTED", {"safety:may_trade"}),
        (("safety", "posture"), "what is this", {"safety:may_trade"}),
        (("health",), None, everything),
        (("health", "timestamp"), old.isoformat(), everything),
        (("health", "status"), "DEGRADED", {"meta_health:is_green"}),
        *((("health", sensor), 0.5, {f"meta_health:{sensor}"}) for sensor in SENSORS),
        (("states", "BLUE"), None, {"trader_BLUE:state_holds", "trader_BLUE:positions_are_priced"}),
        (("states", "BLUE", "updated_at"), old.isoformat(),
         {"trader_BLUE:state_holds", "trader_BLUE:positions_are_priced"}),
        (("states", "BLUE", "unpriced"),
         [{"asset": "A", "reason": "STILL_PRICE", "since": old.isoformat(), "scans": 3}],
         {"trader_BLUE:positions_are_priced"}),
        (("states", "BLUE", "mismatch"), "BTC differs", {"trader_BLUE:state_holds"}),
        (("states", "BLUE", "entry_block"), {"reason": "CLOCK_SKEW", "since": old.isoformat()},
         {"trader_BLUE:state_holds"}),
        (("states", "BLUE", "journal", "fault"), "disk full", {"trader_BLUE:state_holds"}),
        (("states", "BLUE", "journal", "trouble"), "JOURNAL_BEHIND", {"trader_BLUE:state_holds"}),
        (("states", "BLUE", "handled_at"), (now - timedelta(seconds=60)).isoformat(),
         {"trader_BLUE:state_holds"}),
    ]  # fmt: skip
    return found
