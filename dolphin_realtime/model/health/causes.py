"""What follows from what: which active alerts are consequences of another one.

Pure. A table of causes; an alert that is a consequence is told under its cause. An alert about
money (a loss, a mismatch, a venue's answer) is never a consequence.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final, Protocol

import msgspec

from dolphin_realtime.model.risk.posture import Posture

Key = tuple[str, str]
"""(asset, check) of an alert."""

GRID_READ: Final = (
    ("*", "is_alive"), ("*", "is_fresh"), ("*", "is_coherent"), ("safety", "may_trade"),
    ("*", "posture"), ("meta_health", "is_green"), ("meta_health", "m?_*"), ("*", "state_holds"),
    ("*", "positions_are_priced"), ("*", "has_books"), ("external_factors", "is_complete"),
    ("calendar_factors*", "*"), ("dagster-*", "service"),
)  # fmt: skip
"""Everything that is read through Hazelcast."""
FEED: Final = (
    ("scan_feed", "*"), ("trader_*", "state_holds"), ("trader_*", "positions_are_priced"),
    ("safety", "may_trade"), ("*", "posture"), ("meta_health", "is_green"),
    ("meta_health", "m?_*"),
)  # fmt: skip
"""Everything that scans are needed for."""
HEALTH: Final = (("safety", "may_trade"), ("*", "posture"), ("meta_health", "is_green"))
OWN: Final = ("state_holds", "positions_are_priced", "venue_is_well", "has_books")
"""Checks of a service that its process is needed for."""
PROCESS: Final = (*HEALTH, ("meta_health", "m1_proc"), ("meta_health", "m2_heartbeat"))


class Cause(msgspec.Struct, frozen=True):
    """A rule: while an alert like ``cause`` is active, alerts like ``follows`` are its consequences.

    Attributes:
        cause: Patterns of (asset, check).
        follows: Patterns of (asset, check); ``{}`` is the cause's asset.
    """

    cause: Key
    follows: tuple[Key, ...]


CAUSES: Final = (
    Cause(("hazelcast", "answers"), GRID_READ),
    Cause(("hazelcast", "unit"), (("hazelcast", "answers"), *GRID_READ)),
    Cause(("hazelcast", "service"), (("hazelcast", "answers"), *GRID_READ)),
    Cause(("*", "unit"), (("{}", "is_alive"), ("{}", "state_holds"), *PROCESS)),
    Cause(("dagster-*", "unit"), (("{}", "service"),)),
    Cause(("bridge", "is_alive"), (*FEED, *PROCESS)),
    Cause(("scan_feed", "is_fresh"), FEED),
    Cause(("scan_feed", "is_coherent"), (*HEALTH, ("meta_health", "m5_coherence"))),
    Cause(("*", "is_alive"), (*(("{}", check) for check in OWN), *PROCESS)),
    Cause(("dagster-*", "service"), (("meta_health", "m4_control_plane"), *PROCESS)),
    Cause(("*", "state_holds"), (*HEALTH, ("meta_health", "m5_coherence"))),
    Cause(("meta_health", "m?_*"), HEALTH),
    Cause(("*", "posture"), (("safety", "may_trade"),)),
    Cause(("scan_archive *", "*"), (("{}", "run"),)),
)
"""In the order of depth: the first rule that explains an alert gives its cause."""
FOLLOWING_REASONS: Final = (
    "NO_SCAN", "STALE_SCAN", "STATE_UNKNOWN", "HEALTH_CRITICAL", "HEALTH_DEAD", "HEALTH_UNKNOWN",
)  # fmt: skip
"""Reasons of a posture that a fault elsewhere gives; every other one is its own."""


class Active(Protocol):
    """What is needed of an alert here."""

    @property
    def facts(self) -> dict[str, object]:
        """What was found; ``why`` says it in words."""


def explained(active: Mapping[Key, Active]) -> dict[Key, Key]:
    """Return the consequences among active alerts, each with its deepest cause."""
    parents = {key: cause for key, one in active.items() if (cause := _cause(key, one, active))}
    return {key: _root(key, parents) for key in parents}


def grouped(active: Mapping[Key, Active]) -> dict[Key, list[Key]]:
    """Return each active alert that is no consequence, with the sorted consequences it explains."""
    causes = explained(active)
    found: dict[Key, list[Key]] = {key: [] for key in active if key not in causes}
    for key in sorted(causes):
        found.setdefault(causes[key], []).append(key)
    return found


def may_follow(key: Key, one: Active) -> bool:
    """Return whether an alert can be a consequence of some other one."""
    if key[1] in ("posture", "may_trade") and not _is_following(one):
        return False
    return any(
        _matches(key, (asset.replace("{}", rule.cause[0]), check))
        for rule in CAUSES
        for asset, check in rule.follows
    )


def _cause(key: Key, one: Active, active: Mapping[Key, Active]) -> Key | None:
    if not may_follow(key, one):
        return None
    for rule in CAUSES:
        for other in active:
            if other != key and _matches(other, rule.cause) and _follows(key, other, rule):
                return other
    return None


def _follows(key: Key, cause: Key, rule: Cause) -> bool:
    return any(
        _matches(key, (asset.replace("{}", cause[0]), check)) for asset, check in rule.follows
    )


def _matches(key: Key, pattern: Key) -> bool:
    return fnmatchcase(key[0], pattern[0]) and fnmatchcase(key[1], pattern[1])


def _root(key: Key, parents: Mapping[Key, Key]) -> Key:
    seen = {key}
    while key in parents and parents[key] not in seen:
        key = parents[key]
        seen.add(key)
    return key


def _is_following(one: Active) -> bool:
    """Return whether every reason of a posture is one that a fault elsewhere gives.

    Text that names no posture says that none could be read: that is a fault elsewhere, too.
    """
    posture, _, said = str(one.facts.get("why", "")).partition(": ")
    if posture not in list(Posture):
        return True
    reasons = [part.strip() for part in said.split("; ") if part.strip()]
    return bool(reasons) and all(r.startswith(FOLLOWING_REASONS) for r in reasons)
