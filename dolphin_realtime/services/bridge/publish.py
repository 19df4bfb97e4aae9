"""Publishing scans to the grid: the newest as a document, all of them in the scan ring buffer.

Queueing scans while the grid is unavailable, and refilling a member that came back empty, belong
here; finding scans does not (reader.py).
"""

import asyncio
from collections import deque
from typing import Final

from hazelcast.lifecycle import LifecycleState

from dolphin_realtime.grid import maps
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.runtime.service_context import ServiceContext

SEND_TIMEOUT_S: Final = 0.5
OUTBOX: Final = maps.SCAN_RING_CAPACITY


class Publisher:
    """Sends scan documents in order; `send` never raises and never loses the newest."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._sent: deque[str] = deque(maxlen=OUTBOX)
        self._unsent: deque[str] = deque(maxlen=OUTBOX)
        self._newest: str | None = None
        self._must_check = True
        self._tail = -1

    async def start(self) -> None:
        """Create the grid's proxies; this must be done while the grid is available."""
        client = self._context.client
        self._map = await client.get_map(maps.FEATURES)
        self._ring = await client.get_ringbuffer(maps.SCAN_RING)
        client.lifecycle_service.add_listener(self._on_lifecycle)

    def _on_lifecycle(self, state: str) -> None:
        if state == LifecycleState.CONNECTED:
            self._must_check = True

    def remember(self, documents: list[str]) -> None:
        """Add what an earlier process published, oldest first, to refill an empty member."""
        self._sent.extend(documents)
        self._newest = documents[-1] if documents else self._newest

    async def send(self, documents: list[str]) -> bool:
        """Send documents in order, the last one as the newest; return whether all were sent."""
        dropped = len(self._unsent) + len(documents) - OUTBOX
        if dropped > 0:
            self._context.counts["ring_overflow"] += dropped
        self._unsent.extend(documents)
        if documents:
            self._newest = documents[-1]
        return await self._flush()

    @property
    def has_work(self) -> bool:
        """Whether something waits to be sent or checked."""
        return bool(self._unsent) or self._must_check

    async def _flush(self) -> bool:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S + 0.002 * len(self._unsent)):
                if self._must_check:
                    await self._refill()
                while len(self._unsent) > 1:
                    await self._add(self._unsent[0])
                if self._unsent:
                    newest = self._unsent[0]
                    await asyncio.gather(self._map.set(maps.LATEST_SCAN, newest), self._add(newest))
        except GRID_FAULTS:
            self._must_check = True
            self._context.set_phase("grid_away", unsent=len(self._unsent))
            return False
        return True

    async def _add(self, document: str) -> None:
        self._tail = await self._ring.add(document)
        if self._unsent and self._unsent[0] is document:
            self._unsent.popleft()
        self._sent.append(document)

    async def _refill(self) -> None:
        """Restore the scans that a restarted, empty member has lost."""
        tail = await self._ring.tail_sequence()
        if tail < 0 or tail < self._tail:
            lost = list(self._sent)
            for start in range(0, len(lost), 200):
                self._tail = await self._ring.add_all(lost[start : start + 200], 0)
            if lost:
                self._context.log.info("bridge.ring_refilled", scans=len(lost))
        else:
            self._tail = tail
        if self._newest is not None and not self._unsent:  # else the unsent scans go first
            await self._map.set(maps.LATEST_SCAN, self._newest)
        self._must_check = False
