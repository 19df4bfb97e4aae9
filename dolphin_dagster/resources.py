"""What assets, checks and sensors are given: the stack's settings, and the grid's documents.

Both are seen in the UI and replaced in tests. Resources are rebuilt at every sensor tick, so the
grid's client is kept at module level: one a process, made at first use, with bounded waits.
"""

import os
import random
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

import dagster as dg
from hazelcast.client import HazelcastClient
from hazelcast.errors import HazelcastError

from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import connection, wire
from dolphin_realtime.grid.cluster import Cluster, cluster_of
from dolphin_realtime.model.errors import GridError

FAULTS: Final = (HazelcastError, TimeoutError, OSError)
UPDATE_DEADLINE_S: Final = 10.0
CONNECT_S: Final = connection.PROBE_TIMEOUT_S + 1.0
CALL_S: Final = connection.INVOCATION_TIMEOUT_S + 1.0
"""A client's future has no deadline of its own, and never ends if the member hangs."""
Document = dict[str, Any]
_clients: dict[Cluster, HazelcastClient] = {}
_lock: Final = Lock()


def _client(cluster: Cluster) -> HazelcastClient:
    """Return the process's client; a thread waits at most CONNECT_S for another's connecting.

    Raises:
        GridError: If no member answers in time.
    """
    client = _clients.get(cluster)
    if client is not None and client.lifecycle_service.is_running():
        return client
    if not _lock.acquire(timeout=CONNECT_S):
        raise GridError(f"{cluster.addresses[0]} does not answer: others wait for it already")
    try:
        client = _clients.get(cluster)
        if client is None or not client.lifecycle_service.is_running():
            client = connection.within(
                CONNECT_S, lambda: connection.connect_blocking(cluster, "dagster")
            )
            _clients[cluster] = client
        return client
    finally:
        _lock.release()


class Stack(dg.ConfigurableResource[None]):
    """The settings of a stack: its environment's, with the home that was given.

    Attributes:
        home: Folder of everything that the stack writes.
    """

    home: str

    @property
    def settings(self) -> Settings:
        """The settings as they are now; raises SettingsError if one is wrong."""
        return load({**os.environ, "DOLPHIN_HOME": self.home})


class Grid(dg.ConfigurableResource[None]):
    """Documents of the grid; each call is bounded by the client's invocation time-out.

    Attributes:
        cluster_name: Name of the cluster.
        addresses: Its members, host:port, the nearest first.
    """

    cluster_name: str
    addresses: list[str]

    @property
    def _cluster(self) -> Cluster:
        return Cluster(self.cluster_name, tuple(self.addresses))

    def get(self, map_name: str, key: str) -> dict[str, Any] | None:
        """Return a document, None where absent or unreadable.

        Raises:
            GridError: If the grid does not answer in time.
        """
        try:
            future = _client(self._cluster).get_map(map_name).get(key)
            return wire.decode(connection.within(CALL_S, future.result))
        except FAULTS as e:
            raise GridError(f"{map_name}/{key} was not read: {e}") from e

    def read[D](self, map_name: str, key: str, kind: type[D]) -> D | None:
        """Return a document as its type, None if absent or of another shape.

        Raises:
            GridError: If the grid does not answer in time.
        """
        try:
            future = _client(self._cluster).get_map(map_name).get(key)
            return wire.read(connection.within(CALL_S, future.result), kind)
        except FAULTS as e:
            raise GridError(f"{map_name}/{key} was not read: {e}") from e

    def put(self, map_name: str, key: str, document: object) -> None:
        """Write a document.

        Raises:
            GridError: If the grid does not answer in time.
        """
        try:
            future = _client(self._cluster).get_map(map_name).set(key, wire.encode(document))
            connection.within(CALL_S, future.result)
        except FAULTS as e:
            raise GridError(f"{map_name}/{key} was not written: {e}") from e

    def update[D](self, map_name: str, key: str, change: Callable[[Document | None], D]) -> D:
        """Replace a document by what ``change`` makes of it, by compare-and-set, and return that.

        ``change`` is called again, with the newer document, if another writer was quicker.

        Raises:
            GridError: If the grid does not answer, or others are quicker for 10 s.
        """
        deadline = time.monotonic() + UPDATE_DEADLINE_S
        try:
            the_map = _client(self._cluster).get_map(map_name)
            while time.monotonic() < deadline:
                held = the_map.get(key).result()
                document = change(wire.decode(held))
                text = wire.encode(document)
                if held is None:
                    is_done = the_map.put_if_absent(key, text).result() is None
                else:
                    is_done = the_map.replace_if_same(key, held, text).result()
                if is_done:
                    return document
                time.sleep(random.uniform(0.0, 0.02))
        except FAULTS as e:
            raise GridError(f"{map_name}/{key} was not updated: {e}") from e
        raise GridError(f"{map_name}/{key} was not updated: other writers were always quicker")


def resources_of(settings: Settings) -> dict[str, Any]:
    """Return every resource of a stack, by the name that assets ask for."""
    cluster = cluster_of(settings)
    return {
        "stack": Stack(home=str(settings.home)),
        "grid": Grid(cluster_name=cluster.name, addresses=list(cluster.addresses)),
    }
