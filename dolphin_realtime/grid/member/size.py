"""How large a member is: its heap, by assets, and the largest scan that its ring buffer takes. Pure.

The ring buffer holds a fixed number of scans, so a bound on each bounds all of them. It may take half
of the heap; the rest is for the newest documents and for what a refill leaves behind.
"""

import math
from typing import Final

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid.maps import SCAN_RING_CAPACITY
from dolphin_realtime.model.errors import SettingsError

BYTES_AN_ASSET: Final = 80
"""A name, a price and an eigenvalue in a scan's document; 62 were measured at 2,000 assets."""
BYTES_OF_THE_REST: Final = 1000
HEAP_MIN_MB: Final = 256
HEAP_LEAST_MB: Final = 128
_OVERHEAD_MB: Final = 96
_MIB: Final = 1024 * 1024


def heap_mb(settings: Settings) -> int:
    """Return the member's largest heap in MiB: the one that is set, else by `assets_max`.

    Raises:
        SettingsError: If one is set that holds no scan.
    """
    if 0 < settings.hazelcast_heap_mb < HEAP_LEAST_MB:
        raise SettingsError(
            f"DOLPHIN_HAZELCAST_HEAP_MB is {settings.hazelcast_heap_mb}: 0, or {HEAP_LEAST_MB} and more"
        )
    if settings.hazelcast_heap_mb:
        return settings.hazelcast_heap_mb
    scan_bytes = BYTES_OF_THE_REST + BYTES_AN_ASSET * settings.assets_max
    ring_mb = SCAN_RING_CAPACITY * scan_bytes / _MIB
    return max(HEAP_MIN_MB, math.ceil(_OVERHEAD_MB + 2 * ring_mb))


def scan_bytes_max(settings: Settings) -> int:
    """Return the size of the largest document that fits the ring buffer as often as it must."""
    return (heap_mb(settings) - _OVERHEAD_MB) * _MIB // (2 * SCAN_RING_CAPACITY)
