"""Clients of the grid: how they connect and fail; they never read or write pickle.

Following a key's newest value belongs in latest_feed.py, the meaning of documents in the model.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any, Final

from hazelcast.asyncio import HazelcastClient as AsyncClient
from hazelcast.client import HazelcastClient
from hazelcast.errors import HazelcastError
from hazelcast.serialization.serializer import BaseSerializer

from dolphin_realtime.grid.cluster import Cluster
from dolphin_realtime.model.errors import GridError

GRID_FAULTS: Final = (HazelcastError, OSError, TimeoutError)
_PICKLE_TYPE_ID: Final = -120
PROBE_TIMEOUT_S: Final = 3.0
INVOCATION_TIMEOUT_S: Final = 3.0


class Refused:
    """The marker that a pickled value is read as, so that it is refused and counted."""

    def __repr__(self) -> str:
        return "<pickled value refused>"


REFUSED: Final = Refused()


class _NoPickle(BaseSerializer):
    def get_type_id(self) -> int:
        return _PICKLE_TYPE_ID

    def read(self, inp: Any) -> Refused:  # noqa: ARG002 - reading it would run its code
        return REFUSED

    def write(self, out: Any, obj: object) -> None:  # noqa: ARG002
        raise TypeError(f"refusing to pickle {type(obj).__name__}: put JSON text")


def forbid_pickle(client: AsyncClient | HazelcastClient) -> None:
    """Make a client unable to read or write pickle (hazelcast-python-client issue 363).

    A read must not raise: an exception inside an event closes the connection.
    """
    registry = client._serialization_service._registry  # noqa: SLF001 - there is no public switch
    serializer = _NoPickle()
    registry._python_serializer = serializer  # noqa: SLF001
    registry._id_dict[_PICKLE_TYPE_ID] = serializer  # noqa: SLF001


def _options(cluster: Cluster, role: str) -> dict[str, Any]:
    return {
        "cluster_name": cluster.name,
        "cluster_members": list(cluster.addresses),
        "client_name": f"dolphin-{role}",
        "connection_timeout": 2.0,
        "retry_initial_backoff": 0.05,
        "retry_max_backoff": 1.0,
        "retry_multiplier": 1.5,
        "retry_jitter": 0.2,
        "heartbeat_interval": 1.0,
        "heartbeat_timeout": 5.0,
        "invocation_timeout": INVOCATION_TIMEOUT_S,
        "invocation_retry_pause": 0.02,
        "shuffle_member_list": False,
        "smart_routing": False,
    }


async def connect(cluster: Cluster, role: str) -> AsyncClient:
    """Return an asyncio client that keeps trying for ever and fails calls fast while down.

    Every proxy must be created at start-up: the client does not retry a proxy's creation.
    """
    options = _options(cluster, role)
    client = await AsyncClient.create_and_start(
        **options, cluster_connect_timeout=-1, reconnect_mode="ASYNC"
    )
    forbid_pickle(client)
    return client


def connect_blocking(
    cluster: Cluster, role: str, timeout_s: float = PROBE_TIMEOUT_S
) -> HazelcastClient:
    """Return a blocking client for command lines, tests and Dagster.

    Raises:
        GridError: If no member of that cluster answers within ``timeout_s``.
    """
    options = _options(cluster, role)
    try:
        client = HazelcastClient(
            **options, cluster_connect_timeout=timeout_s, reconnect_mode="ASYNC"
        )
    except (HazelcastError, OSError) as e:
        raise GridError(
            f"no Hazelcast member of cluster {cluster.name!r} answers on "
            f"{', '.join(cluster.addresses)} ({e}); "
            "is the stack up (dolphin status), and is DOLPHIN_CLUSTER_NAME right?"
        ) from e
    forbid_pickle(client)
    return client


def within[T](seconds: float, call: Callable[[], T]) -> T:
    """Return the result of a blocking client call, made in a thread that is abandoned if late.

    The client's futures have no deadline of their own, and never end if the member hangs.

    Raises:
        GridError: If there is no answer in time, or the client refuses.
    """
    answers: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except Exception as e:  # noqa: BLE001 - handed to the waiting thread
            answers.put((None, e))

    threading.Thread(target=run, daemon=True).start()
    try:
        found, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise GridError(f"the Hazelcast member does not answer within {seconds:.0f} s") from None
    if isinstance(error, HazelcastError | OSError):
        raise GridError(f"the Hazelcast member does not answer: {error}") from error
    if error is not None:
        raise error
    return found  # type: ignore[return-value]
