"""What a health sensor returns, and the grid documents that most of them judge."""

from typing import Any

import msgspec
from hazelcast.asyncio import HazelcastClient

from dolphin_realtime import grid


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One health sensor's score in [0, 1], and what it saw of each subsystem."""

    score: float
    subsystems: dict[str, dict[str, object]] = {}


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Grid documents as read in one turn, None where absent or unreadable."""

    scan: dict[str, Any] | None
    safety: dict[str, Any] | None
    states: dict[str, dict[str, Any] | None]
    heartbeats: dict[str, dict[str, Any] | None]
    sources: dict[str, dict[str, Any] | None]


class GridReader:
    """Reads a `Snapshot` through proxies made once."""

    def __init__(self, client: HazelcastClient, instances: list[str]) -> None:
        self._client, self._instances = client, instances
        self._maps: dict[str, Any] = {}

    async def start(self) -> None:
        """Create the proxies; creating one is not retried by the client."""
        names = [grid.FEATURES, grid.SAFETY, grid.HEARTBEAT]
        names += [grid.state_map(i) for i in self._instances]
        self._maps = {name: await self._client.get_map(name) for name in names}

    async def _get(self, map_name: str, key: str) -> dict[str, Any] | None:
        return grid.decode(await self._maps[map_name].get(key))

    async def read(self) -> Snapshot:
        """Return the documents as they are now."""
        beats = await self._maps[grid.HEARTBEAT].entry_set()
        features = {k: await self._get(grid.FEATURES, k) for k in (
            grid.LATEST_SCAN, grid.LATEST_BOOKS, grid.LATEST_FACTORS, grid.LATEST_CALENDAR)}  # fmt: skip
        safety = await self._get(grid.SAFETY, grid.LATEST)
        states = {i: await self._get(grid.state_map(i), grid.LATEST_STATE) for i in self._instances}
        sources: dict[str, dict[str, Any] | None] = {
            f"{grid.FEATURES}/{key}": document for key, document in features.items()
        }
        sources[f"{grid.SAFETY}/{grid.LATEST}"] = safety
        for instance, state in states.items():
            sources[f"{grid.state_map(instance)}/{grid.LATEST_STATE}"] = state
        return Snapshot(
            scan=features[grid.LATEST_SCAN],
            safety=safety,
            states=states,
            heartbeats={str(k): grid.decode(v) for k, v in beats},
            sources=sources,
        )
