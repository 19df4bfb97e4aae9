"""The queues: each pool's name, how many of its runs may be under way at once, and what comes first.

Every asset and every check names one pool. The limits live in the Dagster instance; setup.py writes
them before the daemon starts, since the daemon does not limit a pool it does not know. Nothing else
limits a queue: dagster.yaml allows as many runs as all pools together, so that no pool waits for
another, and `dagster/priority` orders what waits.
"""

from typing import Final

DOLPHIN: Final = "dolphin"
"""Reports and what is short: nothing long may hold it."""
SCAN: Final = "dolphin-scan"
OBF: Final = "dolphin-obf"
INDICATORS: Final = "dolphin-extf-indicators"
BACKTESTS: Final = "dolphin-backtests"
SWEEPS: Final = "dolphin-sweeps"
HISTORY: Final = "dolphin-history"
"""Backfills of factors: a month a run."""

LIMITS: Final = {
    DOLPHIN: 1, SCAN: 1, OBF: 1, INDICATORS: 1, BACKTESTS: 1, SWEEPS: 1, HISTORY: 1,
}  # fmt: skip
QUEUE_TAG: Final = "dolphin/queue"
"""Run tag with the pool's name, to filter runs by."""
MAX_RUNTIME_TAG: Final = "dagster/max_runtime"
PRIORITY_TAG: Final = "dagster/priority"
RETRIES_TAG: Final = "dagster/max_retries"
"""How often a run whose worker was killed is started again."""
PRIORITY: Final = {
    DOLPHIN: 30,
    SCAN: 40,
    OBF: 40,
    INDICATORS: 30,
    BACKTESTS: 20,
    HISTORY: 10,
    SWEEPS: 0,
}
"""What waits is started in this order, the highest first."""


def tags(pool: str, max_runtime_s: int, **more: str) -> dict[str, str]:
    """Return the run tags of a pool's work: queue, longest time, priority."""
    found = {
        QUEUE_TAG: pool,
        MAX_RUNTIME_TAG: str(max_runtime_s),
        PRIORITY_TAG: str(PRIORITY[pool]),
    }
    return found | ({RETRIES_TAG: "0"} if pool == SWEEPS else {}) | more
