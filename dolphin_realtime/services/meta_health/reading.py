"""The result type of the health sensors, and the grid documents that most of them check."""

from typing import Any

import msgspec
from hazelcast.asyncio import HazelcastClient

from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model.documents import Heartbeat, PnlDocument, StateDocument


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One health sensor's result of one turn.

    Attributes:
        scores: By target, in [0, 1]; None is unknown.
        facts: By target, the facts behind the score.
    """

    scores: dict[str, float | None]
    facts: dict[str, dict[str, object]] = {}

    def unknown(self, why: str) -> "Reading":
        """Return the same targets, all of them unknown."""
        facts: dict[str, dict[str, object]] = {name: {"unknown": why} for name in self.scores}
        return Reading(scores=dict.fromkeys(self.scores), facts=facts)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Grid documents as read in one turn; None if absent or unreadable."""

    scan: dict[str, Any] | None = None
    safety: dict[str, Any] | None = None
    states: dict[str, StateDocument | None] = {}
    pnl: dict[str, PnlDocument | None] = {}
    heartbeats: dict[str, Heartbeat | None] = {}
    sources: dict[str, dict[str, Any] | None] = {}
    unparsable: list[str] = []


_FEATURE_KEYS = (maps.LATEST_SCAN, maps.LATEST_BOOKS, maps.LATEST_FACTORS, maps.LATEST_CALENDAR)


class GridReader:
    """Reads a `Snapshot` through proxies made once."""

    def __init__(self, client: HazelcastClient, instances: list[str]) -> None:
        self._client, self._instances = client, instances
        self._maps: dict[str, Any] = {}
        self._unparsable: list[str] = []

    async def start(self) -> None:
        """Create the proxies; creating one is not retried by the client."""
        names = [maps.FEATURES, maps.SAFETY, maps.HEARTBEAT]
        names += [maps.state_map(i) for i in self._instances]
        names += [maps.pnl_map(i) for i in self._instances]
        self._maps = {name: await self._client.get_map(name) for name in names}

    async def _get(self, map_name: str, key: str) -> dict[str, Any] | None:
        value = await self._maps[map_name].get(key)
        document = wire.decode(value)
        if value is not None and document is None:
            self._unparsable.append(f"{map_name}/{key}")
        return document

    async def _read[D](self, map_name: str, key: str, kind: type[D]) -> D | None:
        value = await self._maps[map_name].get(key)
        document = wire.read(value, kind)
        if value is not None and document is None:
            self._unparsable.append(f"{map_name}/{key}")
        return document

    async def read(self) -> Snapshot:
        """Return the documents as they are now."""
        self._unparsable = []
        beats = await self._maps[maps.HEARTBEAT].entry_set()
        features = {key: await self._get(maps.FEATURES, key) for key in _FEATURE_KEYS}
        safety = await self._get(maps.SAFETY, maps.LATEST)
        states = {
            i: await self._read(maps.state_map(i), maps.LATEST_STATE, StateDocument)
            for i in self._instances
        }
        days = {i: str(state.since) for i, state in states.items() if state is not None}
        pnl = {i: await self._read(maps.pnl_map(i), day, PnlDocument) for i, day in days.items()}
        sources: dict[str, dict[str, Any] | None] = {
            f"{maps.FEATURES}/{key}": document for key, document in features.items()
        }
        sources[f"{maps.SAFETY}/{maps.LATEST}"] = safety
        sources[f"{maps.ALL_STATES}/{maps.LATEST_STATE}"] = _oldest(states)
        sources[f"{maps.ALL_STATES}/venue"] = _compared(states)
        return Snapshot(
            scan=features[maps.LATEST_SCAN],
            safety=safety,
            states=states,
            pnl=pnl,
            heartbeats={str(k): wire.read(v, Heartbeat) for k, v in beats},
            sources=sources,
            unparsable=self._unparsable,
        )


def _compared(states: dict[str, StateDocument | None]) -> dict[str, Any] | None:
    """Return when the live trader last compared its ledger with the venue, None if none did."""
    live = [state.live for state in states.values() if state is not None and state.live]
    found = [one.compared_at for one in live if one.compared_at is not None]
    return {"compared_at": min(found).isoformat()} if found else None


def _oldest(states: dict[str, StateDocument | None]) -> dict[str, Any] | None:
    """Return the timestamp of the oldest state, None if an instance has no state."""
    found = [state.updated_at for state in states.values() if state is not None]
    if len(found) < len(states):
        return None
    return {"updated_at": min(found).isoformat()} if found else None
