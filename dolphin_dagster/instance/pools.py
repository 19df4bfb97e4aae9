"""The queues: each pool's name and how many runs of it may be under way at once.

Every asset and every check names one of them. The limits live in the Dagster instance; setup.py
writes them before the daemon starts, since the daemon does not limit a pool it does not know.
"""

from typing import Final

DOLPHIN: Final = "dolphin"
SCAN: Final = "dolphin-scan"
OBF: Final = "dolphin-obf"
INDICATORS: Final = "dolphin-extf-indicators"

LIMITS: Final = {DOLPHIN: 1, SCAN: 1, OBF: 1, INDICATORS: 1}
QUEUE_TAG: Final = "dolphin/queue"
"""Run tag with the pool's name: a second limit, set per tag value in dagster.yaml."""
MAX_RUNTIME_TAG: Final = "dagster/max_runtime"
