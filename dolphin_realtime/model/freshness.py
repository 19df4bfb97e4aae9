"""How old a document may be before it is no longer believed: each bound once, seconds of wall time.

Settings and texts (checks, runbook, Prometheus) take them from here. The health sensors' own
bounds, which score and do not refuse, are health.py's.
"""

from typing import Final

POSTURE_S: Final = 10.0
"""A posture document older than this is no posture: exits only."""
HEALTH_S: Final = 30.0
"""A health document older than this is unknown to the posture."""
STALLED_S: Final = 30.0
"""A trader that handles no scan for so long while scans come is stalled."""
SHOWN_HEARTBEAT_S: Final = 15.0
SHOWN_SCAN_S: Final = 25.0
SHOWN_DOCUMENT_S: Final = 20.0
SHOWN_BOOKS_S: Final = 15.0
"""A check turns red, a command says unknown, beyond these; red within 45 s of a stop."""
SHOWN_BLOCK_S: Final = 20.0
"""A trader that opens nothing of its own accord for longer is shown red."""
