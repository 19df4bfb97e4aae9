"""Keeping the order books of many assets: snapshots, queued updates, resynchronisation.

Which book needs a snapshot, and which books can be published, belong here; the rules of one book
are in model/market/order_book.py, sockets in stream.py.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from dolphin_realtime.model.errors import BookChainBroken, BookSourceError
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.market import order_book
from dolphin_realtime.model.market.order_book import (
    BookFeatures,
    DepthSnapshot,
    DepthUpdate,
    LocalBook,
)

WAITING_MAX: Final = 2000
"""Updates queued per asset while a snapshot is fetched; beyond this the oldest are dropped."""
FETCHES: Final = 4
LATEST_MS: Final = 253_402_300_800_000
"""The year 10000: an event time from then on is invalid."""
RETRY_S: Final = 1.0
RETRY_MAX_S: Final = 60.0

Fetch = Callable[[str], Awaitable[DepthSnapshot]]


class _Kept:
    """One asset: its book, the updates that wait for its snapshot, and the fetch task."""

    def __init__(self) -> None:
        self.book = LocalBook()
        self.waiting: deque[DepthUpdate] = deque(maxlen=WAITING_MAX)
        self.is_synced = False
        self.fetching: asyncio.Task[None] | None = None
        self.touched_at: datetime | None = None


class BookKeeper:
    """Books by asset.

    Attributes:
        counts: Number of resynchronisations and refusals, by reason.
        trouble: Why the last snapshot could not be fetched; empty after a success.
    """

    def __init__(self, assets: list[str], fetch: Fetch, counts: Counter[str]) -> None:
        self._kept = {asset: _Kept() for asset in assets}
        self._fetch = fetch
        self._fetches = asyncio.Semaphore(FETCHES)
        self.counts = counts
        self.trouble = ""

    def begin_again(self) -> None:
        """Fetch every book again, because updates were missed."""
        for asset in self._kept:
            self._resync(asset)

    def apply(self, update: DepthUpdate) -> None:
        """Apply an update, or queue it until its book's snapshot is there."""
        kept = self._kept.get(update.symbol)
        if not 0 <= update.event_ms < LATEST_MS:
            self.counts["bad_time"] += 1
            return
        if kept is None:
            self.counts["unknown_symbol"] += 1
            return
        if not kept.is_synced:
            kept.waiting.append(update)
            return
        self._apply(update.symbol, kept, update)

    def _apply(self, asset: str, kept: _Kept, update: DepthUpdate) -> None:
        try:
            kept.book.update(update)
        except BookChainBroken:
            self.counts["chain_broken"] += 1
            self._resync(asset, first=update)
        except ValueError:
            self.counts["bad_level"] += 1
            self._resync(asset)
        else:
            kept.touched_at = datetime.now(UTC)

    def _resync(self, asset: str, first: DepthUpdate | None = None) -> None:
        kept = self._kept[asset]
        kept.is_synced = False
        kept.waiting.clear()
        if first is not None:
            kept.waiting.append(first)
        if kept.fetching is None or kept.fetching.done():
            kept.fetching = asyncio.get_running_loop().create_task(self._synchronise(asset))

    async def _synchronise(self, asset: str) -> None:
        """Fetch snapshots until the queued updates follow one without a gap."""
        kept, attempt = self._kept[asset], 0
        while not kept.is_synced:
            pause_s = min(RETRY_S * 2.0**attempt, RETRY_MAX_S) * (0.5 + 0.5 * random.random())
            attempt += 1
            try:
                async with self._fetches:
                    snapshot = await self._fetch(asset)
                self._join(kept, snapshot)
            except BookSourceError as e:
                self.counts["snapshot_failed"] += 1
                self.trouble = str(e)
                await asyncio.sleep(pause_s)
            except BookChainBroken:
                self.counts["snapshot_too_old"] += 1
                await asyncio.sleep(pause_s)
            except ValueError:
                self.counts["bad_level"] += 1
                kept.waiting.clear()
                await asyncio.sleep(pause_s)

    def _join(self, kept: _Kept, snapshot: DepthSnapshot) -> None:
        if not 0 <= snapshot.event_ms < LATEST_MS:
            raise ValueError(f"event time {snapshot.event_ms} ms")
        kept.book.load(snapshot)
        for update in kept.waiting:
            kept.book.update(update)
        kept.waiting.clear()
        kept.is_synced, kept.touched_at, self.trouble = True, datetime.now(UTC), ""

    def stop(self) -> None:
        """Stop every fetch."""
        for kept in self._kept.values():
            if kept.fetching is not None:
                kept.fetching.cancel()

    def features(self, now: datetime, stale_s: float) -> tuple[dict[str, BookFeatures], int]:
        """Return the features of every usable book, and how many assets have no usable book.

        A book is not usable if it is not synchronised, crossed, one-sided, or without an update
        for ``stale_s`` of wall time.
        """
        found = {}
        for asset, kept in self._kept.items():
            if not kept.is_synced or kept.touched_at is None:
                continue
            if (now - kept.touched_at).total_seconds() > stale_s:
                continue
            bids, asks = kept.book.top()
            fault = order_book.fault(bids, asks)
            if fault is not None:
                self.counts[fault.lower()] += 1
                continue
            found[asset] = order_book.features(bids, asks, from_us(kept.book.event_us))
        return found, len(self._kept) - len(found)
