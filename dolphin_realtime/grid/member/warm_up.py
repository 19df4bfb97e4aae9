"""A member's way of a scan, run until Java has compiled it: put, listener, ring buffer, read.

A young member interprets each step, and a scan comes only every few seconds: without this it would
stay slow for hours (benchmarks/latency.md). It uses a map and a ring buffer of its own.
"""

import time
from typing import Final

from hazelcast.client import HazelcastClient

from dolphin_realtime.grid import maps

ROUNDS: Final = 3000
ADDS_EVERY: Final = 3
"""The ring buffer and the read are run every so many rounds: their steps are mostly the put's."""
LONGEST_S: Final = 5.0
_DOCUMENT: Final = "x" * 3000
"""As long as a scan of 50 assets."""


def _ignore(event: object) -> None:
    """Do nothing: the event was sent and read."""


def warm_up(client: HazelcastClient) -> tuple[int, float]:
    """Run the rounds, LONGEST_S at the most; return how many there were and their seconds.

    Raises:
        HazelcastError: If the member does not answer.
    """
    began, rounds = time.monotonic(), 0
    values = client.get_map(maps.WARM_UP).blocking()
    ring = client.get_ringbuffer(maps.WARM_UP_RING).blocking()
    try:
        heard = values.add_entry_listener(
            include_value=True, key=maps.LATEST, added_func=_ignore, updated_func=_ignore
        )
        while rounds < ROUNDS and time.monotonic() - began < LONGEST_S:
            values.set(maps.LATEST, _DOCUMENT)
            if rounds % ADDS_EVERY == 0:
                ring.add(_DOCUMENT)
                values.get(maps.LATEST)
            rounds += 1
        values.remove_entry_listener(heard)
    finally:
        values.destroy()
        ring.destroy()
    return rounds, time.monotonic() - began
