"""Questions to a venue's REST interface within its limits: pauses and weight are heeded and remembered.

If a venue answers 429, 418 or with Retry-After, nothing is asked for that time. This holds for all
processes at this address: the memory of a host is shared by the factors' sources, order books and scanner.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx2

from dolphin_realtime.config.factor_sources import load_sources
from dolphin_realtime.factors.http_patience import note_weight, pause_asked_s
from dolphin_realtime.factors.source_memory import SourceMemory, wall_now
from dolphin_realtime.model.errors import BookSourceError

TIMEOUT_S: Final = 5.0
WEIGHT_LIMIT: Final = 2400.0
"""Binance USD-M's request weight per minute, until a source has read the host's own limit."""
OWN: Final = "orderbook"


def host_name(base: str) -> str:
    """Return a venue's name in the memory: that of the factors' source if it is the same host."""
    sources = load_sources()
    return "binance" if urlsplit(base).netloc == urlsplit(sources.binance).netloc else OWN


class PoliteClient:
    """Asks one venue."""

    def __init__(self, client: httpx2.AsyncClient, base: str, memory: SourceMemory) -> None:
        self._client, self._base = client, base.rstrip("/")
        self._memory, self._name = memory, host_name(base)

    async def get(self, path: str, what: str, **params: str | int) -> bytes:
        """Return the body of an answer.

        Args:
            path: Path below the base address.
            what: What is asked for, in errors.
            params: Its query.

        Raises:
            BookSourceError: If requests to the venue are paused, or it does not answer in time, or
                refuses.
        """
        await self._heed()
        try:
            response = await self._client.get(
                f"{self._base}{path}", params=params, timeout=TIMEOUT_S
            )
            self._learn(response)
            response.raise_for_status()
        except httpx2.HTTPError as e:
            raise BookSourceError(f"{what}: {type(e).__name__}: {e}") from e
        return response.content

    async def _heed(self) -> None:
        memory, now = self._memory.host(self._name), wall_now()
        until = memory.left_alone_until(now)
        if until is not None:
            raise BookSourceError(f"left alone until {until:%H:%M:%S}: {memory.why}")
        memory.weight_limit = memory.weight_limit or WEIGHT_LIMIT
        left = memory.minute_is_used(now)
        if left is not None:
            await asyncio.sleep(left.total_seconds())

    def _learn(self, response: httpx2.Response) -> None:
        """Remember the host's rate limit information in an answer."""
        now = wall_now()
        pause_s = pause_asked_s(response.status_code, response.headers, now)
        memory = self._memory.host(self._name)
        is_told = note_weight(memory, response.headers, now)
        if pause_s is not None:
            why = f"status {response.status_code} {HTTPStatus(response.status_code).phrase}"
            memory.leave_alone(now, timedelta(seconds=pause_s), why)
        if is_told or pause_s is not None:
            self._memory.keep_host(self._name, memory)


@asynccontextmanager
async def http_client() -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client that reaches loopback without a proxy."""
    direct = dict.fromkeys(f"all://{host}" for host in ("127.0.0.1", "localhost", "[::1]"))
    async with httpx2.AsyncClient(follow_redirects=False, mounts=direct) as client:
        yield client
