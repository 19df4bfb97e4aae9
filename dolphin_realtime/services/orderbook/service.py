"""`dolphin service orderbook`: depth streams in, `ob_features_latest` out.

Publishing at most every 250 ms and the service's status belong here; books are kept in keeper.py,
streams are read in stream.py. Assets are divided among sockets; a slow venue affects only books.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

from dolphin_realtime.books.documents import BooksDocument
from dolphin_realtime.config.settings import listed
from dolphin_realtime.factors.polite_client import PoliteClient, http_client
from dolphin_realtime.factors.source_memory import memory_of
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.runtime.service_context import ServiceContext, pause
from dolphin_realtime.services.orderbook.keeper import BookKeeper
from dolphin_realtime.services.orderbook.record import BookRecord
from dolphin_realtime.services.orderbook.snapshots import Snapshots
from dolphin_realtime.services.orderbook.stream import stream_url, updates

STREAMS_PER_SOCKET: Final = 100


class OrderBooks:
    """The order books of one stack's assets."""

    def __init__(
        self, context: ServiceContext, assets: list[str], http: httpx2.AsyncClient
    ) -> None:
        self._context, self._assets = context, assets
        self._settings = context.settings
        s = context.settings
        snapshots = Snapshots(PoliteClient(http, s.orderbook_rest, memory_of(s.run_dir)))
        self._keeper = BookKeeper(assets, snapshots.fetch, context.counts)
        every_s = context.settings.orderbook_record_s
        self._record = BookRecord(context.settings.books, every_s, self._simulated)

    async def run(self) -> None:
        """Follow the streams and publish until the service stops."""
        features = await self._context.client.get_map(maps.FEATURES)
        shards = [
            self._assets[i : i + STREAMS_PER_SOCKET]
            for i in range(0, len(self._assets), STREAMS_PER_SOCKET)
        ]
        following = [asyncio.create_task(self._follow(shard)) for shard in shards]
        self._context.ready()
        try:
            while not self._context.stopping.is_set():
                await self._publish(features)
                self._context.turn()
                await pause(self._context.stopping, self._settings.orderbook_publish_s)
        finally:
            self._keeper.stop()
            self._record.close()
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def _follow(self, shard: list[str]) -> None:
        url = stream_url(self._settings.orderbook_ws, shard, self._settings.orderbook_stream_ms)
        async for update in updates(url, self._on_fault):
            if update is None:
                self._keeper.begin_again()
            else:
                self._keeper.apply(update)

    def _on_fault(self, why: str) -> None:
        self._context.count_rejection(why.split(":", maxsplit=1)[0], why=why)

    async def _publish(self, features: Any) -> None:
        now = datetime.now(UTC)
        found, n_missing = self._keeper.features(now, self._settings.orderbook_stale_s)
        label = f"; SIMULATED: {self._simulated}" if self._simulated else ""
        self._context.detail = f"{len(found)} books, {n_missing} assets without one{label}"
        if n_missing and self._keeper.trouble:
            self._context.detail += f"; {self._keeper.trouble}"
        self._context.figures.set("books", len(found))
        self._record.record(found)
        self._context.counts["books_unrecorded"] = self._record.n_failed
        document = BooksDocument(assets=found, pushed_at=now, simulated=self._simulated)
        try:
            async with asyncio.timeout(2.0):
                await features.set(maps.LATEST_BOOKS, wire.encode(document))
        except GRID_FAULTS:
            self._context.counts["books_unsent"] += 1
        self._context.set_phase("ready" if found else "no_books")

    @property
    def _simulated(self) -> str | None:
        return self._settings.orderbook_simulated or None


async def run(context: ServiceContext) -> None:
    """Run the order-book service in its service context.

    Raises:
        SettingsError: If the assets or an address are not set.
    """
    s = context.settings
    assets = [asset.upper() for asset in listed(s.orderbook_assets)]
    if not (assets and s.orderbook_ws and s.orderbook_rest):
        raise SettingsError(
            "the order-book service needs DOLPHIN_ORDERBOOK_WS, _REST and _ASSETS; "
            "leave DOLPHIN_ORDERBOOK_WS empty to run without it"
        )
    async with http_client() as http:
        await OrderBooks(context, assets, http).run()
