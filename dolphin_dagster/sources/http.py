"""Polite HTTP GET: time-outs, few tries with jitter, and the host's own limits obeyed.

Retry-After, 429 and 418 are obeyed and remembered; Binance's request weight is read from the host
itself. The meaning of statuses belongs here; decoding bodies does not (answers.py).
"""

import atexit
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import httpx2
import msgspec
import tenacity

from dolphin_realtime.factors.http_patience import (
    DEFAULT_BAN_S,
    TOO_MANY,
    note_weight,
    pause_asked_s,
)
from dolphin_realtime.factors.source_memory import LONGEST_BAN, HostMemory, SourceMemory, wall_now
from dolphin_realtime.model.errors import SourceFormatChanged, SourceUnavailable

TRIES: Final = 3
WHOLE_TIMES: Final = 3.0
"""A whole answer may take this many time-outs, so that a host cannot stall a run byte by byte."""
BODY_MAX: Final = 64 * 2**20
SHORT_WAIT_S: Final = 5.0
"""A host's Retry-After up to this is waited for in the run; a longer one ends the run."""
DEAD_S: Final = 60.0
"""Pause for a host that did not answer at all: other indicators wait in the same queue."""
SILENT: Final = (httpx2.TimeoutException, httpx2.ConnectError)
SIMULATED_HEADER: Final = "x-dolphin-simulated"
LIMITS_PATH: Final = "/fapi/v1/exchangeInfo"
LOOPBACK: Final = ("all://127.0.0.1", "all://localhost")
"""Never requested through a proxy from the environment."""


class Answer(msgspec.Struct, frozen=True):
    """A body, and how it was simulated if the server says so."""

    body: bytes
    simulated: str | None


class _TryAgain(Exception):  # noqa: N818 - never leaves this module
    """A failure that a second try may cure; ``ban_s`` is the pause if none of the tries did."""

    def __init__(self, text: str, ban_s: float = 0.0) -> None:
        super().__init__(text)
        self.ban_s = ban_s


@cache
def _client(timeout_s: float) -> httpx2.Client:
    """Return the process's client: connections are shared by every indicator of a run."""
    client = httpx2.Client(
        timeout=timeout_s,
        follow_redirects=True,
        headers={"User-Agent": "dolphin", "Accept-Encoding": "gzip"},
        mounts=dict.fromkeys(LOOPBACK),
    )
    atexit.register(client.close)
    return client


class Http:
    """One host's interface.

    Args:
        name: Name of the host in messages and in the memory.
        base: Its address.
        memory: Where its limits and pauses are remembered.
        timeout_s: Longest wait for a connection or the next bytes.
        pause_s: First pause between two tries.
    """

    def __init__(
        self, name: str, base: str, memory: SourceMemory, timeout_s: float, pause_s: float
    ) -> None:
        self.name, self._base, self._memory = name, base.rstrip("/"), memory
        self._timeout_s, self._pause_s = timeout_s, pause_s

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Return the answer to a GET.

        Raises:
            SourceUnavailable: If there is none: no connection, a refusal, a pause asked for.
            SourceFormatChanged: If the answer is longer than 64 MiB.
        """
        self._heed(wall_now())
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=tenacity.wait_exponential_jitter(multiplier=self._pause_s, jitter=self._pause_s),
            reraise=True,
        )
        try:
            return retrying(self._once, path, dict(params or {}))
        except _TryAgain as e:
            if e.ban_s:
                self._leave_alone(e.ban_s, str(e))
            raise SourceUnavailable(f"{self.name}{path}: {e}, {TRIES} times") from e

    def _heed(self, now: datetime) -> None:
        """Refuse while the host is paused; wait for the next minute if its weight is used up.

        Raises:
            SourceUnavailable: While it is paused.
        """
        memory = self._memory.host(self.name)
        until = memory.left_alone_until(now)
        if until is not None:
            raise SourceUnavailable(
                f"{self.name}: not asked before {until.isoformat()}: {memory.why}"
            )
        left = memory.minute_is_used(now)
        if left is not None:
            time.sleep(left.total_seconds())

    def _leave_alone(self, seconds: float, why: str) -> None:
        memory = self._memory.host(self.name)
        pause = timedelta(seconds=min(seconds, LONGEST_BAN.total_seconds()))
        memory.leave_alone(wall_now(), pause, why)
        self._memory.keep_host(self.name, memory)

    def _once(self, path: str, params: dict[str, Any]) -> Answer:
        try:
            with _client(self._timeout_s).stream("GET", self._base + path, params=params) as got:
                self._remember(got)
                self._refuse(path, got)
                return Answer(self._body(path, got), got.headers.get(SIMULATED_HEADER))
        except SILENT as e:
            raise _TryAgain(f"{type(e).__name__} {e}".strip(), DEAD_S) from e
        except (httpx2.TransportError, httpx2.DecodingError) as e:
            raise _TryAgain(f"{type(e).__name__} {e}".strip()) from e
        except (httpx2.HTTPError, httpx2.InvalidURL) as e:
            raise SourceUnavailable(f"{self.name}{path}: {type(e).__name__} {e}") from e

    def _body(self, path: str, got: httpx2.Response) -> bytes:
        deadline = time.monotonic() + WHOLE_TIMES * self._timeout_s
        body = bytearray()
        for chunk in got.iter_bytes():
            body += chunk
            if len(body) > BODY_MAX:
                raise SourceFormatChanged(
                    f"{self.name}{path}: body is longer than {BODY_MAX} bytes"
                )
            if time.monotonic() > deadline:
                raise _TryAgain("the body came too slowly")
        return bytes(body)

    def _refuse(self, path: str, got: httpx2.Response) -> None:
        """Raise the error of a status other than 200."""
        status = got.status_code
        if status == HTTPStatus.OK:
            return
        said = f"status {status} {got.reason_phrase}".strip()
        wait_s = pause_asked_s(status, got.headers, wall_now())
        if wait_s is not None:
            wait_s = max(wait_s, self._pause_s)
            if wait_s <= SHORT_WAIT_S and status != HTTPStatus.IM_A_TEAPOT:
                time.sleep(wait_s)
                raise _TryAgain(said, DEFAULT_BAN_S if status in TOO_MANY else wait_s)
            self._leave_alone(wait_s, said)
            raise SourceUnavailable(f"{self.name}{path}: {said}; left alone for {wait_s:.0f} s")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _TryAgain(said)
        raise SourceUnavailable(f"{self.name}{path}: {said}")

    def _remember(self, got: httpx2.Response) -> None:
        """Store the weight used, if the host reports it."""
        memory = self._memory.host(self.name)
        if note_weight(memory, got.headers, wall_now()):
            self._memory.keep_host(self.name, memory)

    def learn_limit(self) -> HostMemory:
        """Read the host's weight limit if it is not known or old; Binance's interface.

        Raises:
            SourceUnavailable: If the host cannot be asked.
            SourceFormatChanged: If it names no limit of weight a minute.
        """
        memory = self._memory.host(self.name)
        if not memory.needs_limit(wall_now()):
            return memory
        limit = weight_limit(self.name, self.get(LIMITS_PATH).body)
        memory = self._memory.host(self.name)
        memory.weight_limit, memory.limit_at = limit, wall_now()
        self._memory.keep_host(self.name, memory)
        return memory


class _RateLimit(msgspec.Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class _Limits(msgspec.Struct, rename="camel"):
    rate_limits: list[_RateLimit]


def weight_limit(name: str, body: bytes) -> float:
    """Return the request weight a minute that an exchangeInfo document names.

    Raises:
        SourceFormatChanged: If it names no limit.
    """
    try:
        limits = msgspec.json.decode(body, type=_Limits).rate_limits
    except msgspec.DecodeError as e:
        raise SourceFormatChanged(f"{name}{LIMITS_PATH}: {e}") from e
    for one in limits:
        if one.rate_limit_type == "REQUEST_WEIGHT" and one.interval == "MINUTE" and one.limit > 0:
            return one.limit / max(one.interval_num, 1)
    raise SourceFormatChanged(f"{name}{LIMITS_PATH}: rateLimits has no REQUEST_WEIGHT a MINUTE")
