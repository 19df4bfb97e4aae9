"""Publishing scans to the grid: the newest as a document, all of them in the scan ring buffer.

Queueing scans while the grid is unavailable, and refilling a member that came back empty, belong
here; finding scans does not (reader.py).
"""

import asyncio
from typing import Final

from hazelcast.lifecycle import LifecycleState

from dolphin_realtime.grid import maps
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.grid.member.size import scan_bytes_max
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.bridge.outbox import Outbox, size_of

SEND_TIMEOUT_S: Final = 0.5
OUTBOX: Final = maps.SCAN_RING_CAPACITY
KEPT_BYTES: Final = 96 * 1024 * 1024
"""Most bytes of scans that wait for the grid, and as many again of sent ones, to refill a member."""
BATCH_BYTES: Final = 2 * 1024 * 1024
SLOWEST_BYTES_S: Final = 10e6


class Publisher:
    """Sends scan documents in order; `send` never raises and never loses the newest."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._sent = Outbox(OUTBOX, KEPT_BYTES)
        self._unsent = Outbox(OUTBOX, KEPT_BYTES)
        self._bytes_max = scan_bytes_max(context.settings)
        self._newest: str | None = None
        self._must_check, self._is_refilling = True, False
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
        dropped = self._unsent.extend(documents)
        if dropped:
            self._context.counts["ring_overflow"] += dropped
        if documents:
            self._newest = documents[-1]
        return await self._flush()

    @property
    def has_work(self) -> bool:
        """Whether something waits to be sent or checked."""
        return len(self._unsent) > 0 or self._must_check

    async def _flush(self) -> bool:
        try:
            async with asyncio.timeout(self._patience_s()):
                if self._must_check:
                    await self._refill()
                while len(self._unsent) > 1:
                    await self._add(self._unsent.first)
                if self._unsent:
                    newest = self._unsent.first
                    both = (self._map.set(maps.LATEST_SCAN, newest), self._add(newest))
                    for done in await asyncio.gather(*both, return_exceptions=True):
                        if isinstance(done, BaseException):  # after both ended: neither goes on
                            raise done
        except GRID_FAULTS:
            self._must_check = True
            self._context.set_phase("grid_away", unsent=len(self._unsent))
            return False
        return True

    def _patience_s(self) -> float:
        """Return how long the grid may take for all that is to be sent."""
        size = self._unsent.bytes + (self._sent.bytes if self._must_check else 0)
        return SEND_TIMEOUT_S + 0.002 * len(self._unsent) + size / SLOWEST_BYTES_S

    async def _add(self, document: str) -> None:
        """Add a document to the ring buffer; one that is too large for the member is left out."""
        if size_of(document) <= self._bytes_max:
            tail = await self._ring.add(document)
            if tail <= self._tail:  # it was emptied without a word: what it lost is put back
                self._must_check = self._is_refilling = True
            self._tail = tail
            self._sent.extend([document])
        else:
            why = (
                f"{size_of(document)} bytes, {self._bytes_max} fit: raise DOLPHIN_ASSETS_MAX, or "
                "DOLPHIN_HAZELCAST_HEAP_MB if it is set"
            )
            self._context.count_rejection("too_large_for_ring", why=why)
        if self._unsent and self._unsent.first is document:
            self._unsent.pop_first()

    async def _refill(self) -> None:
        """Restore the scans that a restarted, empty member has lost."""
        tail = await self._ring.tail_sequence()
        if tail < 0 or tail < self._tail or self._is_refilling:
            self._is_refilling = True
            for batch in self._sent.batches(BATCH_BYTES):
                tail = await self._ring.add_all(batch, 0)
                self._context.turn()
            if self._sent:
                self._context.log.info("bridge.ring_refilled", scans=len(self._sent))
        self._tail, self._is_refilling = tail, False
        if self._newest is not None and not self._unsent:  # else the unsent scans go first
            await self._map.set(maps.LATEST_SCAN, self._newest)
        self._must_check = False
