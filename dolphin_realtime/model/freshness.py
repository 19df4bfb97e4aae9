"""How old a document may be and still be used: each bound once, in seconds of wall time.

Settings and texts (checks, runbook, Prometheus) take the bounds from here. The health sensors
have bounds of their own, which only lower a score (health/scores.py).
"""

from typing import Final

POSTURE_S: Final = 10.0
"""A posture document older than this counts as unknown: exits only."""
HEALTH_S: Final = 30.0
"""For the posture, a health document older than this counts as unknown."""
STALLED_S: Final = 30.0
"""A trader that handles no scan for this long, while scans arrive, is stalled."""
SHOWN_HEARTBEAT_S: Final = 15.0
SHOWN_SCAN_S: Final = 25.0
SHOWN_DOCUMENT_S: Final = 20.0
SHOWN_BOOKS_S: Final = 15.0
"""Beyond these a check turns red and a command shows unknown: red within 45 s of a stop."""
SHOWN_BLOCK_S: Final = 20.0
"""A trader whose own entry block lasts longer than this is shown red."""
