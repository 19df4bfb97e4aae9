"""Follows the newest value of one key of the grid, even across lost connections.

It listens, then reads the value; it listens again after each reconnect and also polls every
POLL_S. Deciding whether a value is new to it belongs to the handler.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from hazelcast.asyncio import HazelcastClient
from hazelcast.lifecycle import LifecycleState

from dolphin_realtime.grid import connection
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.infra import log

POLL_S: Final = 0.25
RETRY_S: Final = 0.1

Handler = Callable[[str], None]


class LatestFeed:
    """Passes the values of one key to a synchronous handler; the newest is never lost.

    The handler runs in the event loop and may get a value twice. Its exceptions are counted in
    ``errors`` and do not reach the client, which would close the connection.
    """

    def __init__(self, client: HazelcastClient, map_name: str, key: str, handler: Handler) -> None:
        self._client, self._map_name, self._key = client, map_name, key
        self._handler = handler
        self._registration: str | None = None
        self._last: object = None
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.errors = 0
        self.refused = 0

    async def start(self) -> None:
        """Create the proxy, listen, read the current value, and start polling."""
        self._map = await self._client.get_map(self._map_name)
        self._client.lifecycle_service.add_listener(self._on_lifecycle)
        await self._resync()
        self._spawn(self._poll())

    def stop(self) -> None:
        """Stop polling."""
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_lifecycle(self, state: str) -> None:
        if state == LifecycleState.CONNECTED:
            self._spawn(self._resync())

    def _on_event(self, event: Any) -> None:
        self._offer(event.value)

    async def _resync(self) -> None:
        """Listen first, then read: a value written in between arrives as an event."""
        async with self._lock:
            while True:
                try:
                    old = self._registration
                    self._registration = await self._map.add_entry_listener(
                        include_value=True,
                        key=self._key,
                        added_func=self._on_event,
                        updated_func=self._on_event,
                    )
                    if old:
                        await self._map.remove_entry_listener(old)
                    self._offer(await self._map.get(self._key))
                except GRID_FAULTS:
                    await asyncio.sleep(RETRY_S)
                else:
                    return

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                async with asyncio.timeout(1.0):
                    self._offer(await self._map.get(self._key))
            except GRID_FAULTS:
                continue

    def _offer(self, value: object) -> None:
        if value is None or value == self._last:
            return
        self._last = value
        if not isinstance(value, str):
            self.refused += 1
            if value is connection.REFUSED and self.refused == 1:
                log.get().warning("feed.pickle_refused", map=self._map_name, key=self._key)
            return
        try:
            self._handler(value)
        except Exception:  # noqa: BLE001 - an exception here would close the connection
            self.errors += 1
            log.get().exception("feed.handler_failed", map=self._map_name, key=self._key)
