"""Names of the grid's maps, keys and scan ring buffer; no other file spells them out."""

from typing import Final

FEATURES: Final = "DOLPHIN_FEATURES"
SAFETY: Final = "DOLPHIN_SAFETY"
META_HEALTH: Final = "DOLPHIN_META_HEALTH"
HEARTBEAT: Final = "DOLPHIN_HEARTBEAT"
LATEST_SCAN: Final = "latest_eigen_scan"
LATEST_BOOKS: Final = "ob_features_latest"
LATEST_FACTORS: Final = "exf_latest"
LATEST_CALENDAR: Final = "esof_latest"
LATEST: Final = "latest"
LATEST_STATE: Final = "latest_nautilus"
STOPPED: Final = "stopped"
"""Phase of the last heartbeat of a service that stopped cleanly."""
SCAN_RING: Final = "dolphin_scans"
SCAN_RING_CAPACITY: Final = 2000
WARM_UP: Final = "DOLPHIN_WARM_UP"
WARM_UP_RING: Final = "dolphin_warm_up"
"""A young member's exercise; both are removed again."""
ALL_STATES: Final = "DOLPHIN_STATE_*"
"""Stands for the states of all instances; its age is that of the oldest."""


def state_map(instance: str) -> str:
    """Return the name of an instance's state map."""
    return f"DOLPHIN_STATE_{instance}"


def pnl_map(instance: str) -> str:
    """Return the name of an instance's daily profit map."""
    return f"DOLPHIN_PNL_{instance}"
