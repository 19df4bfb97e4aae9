"""Order-book snapshots from a venue's REST interface, within its rate limits.

If a venue answers 429, 418 or with Retry-After, no request is sent for that time. This holds for
all processes at this address: the memory of a host is shared with the factors' sources.
"""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from dolphin_realtime.config.factor_sources import load_sources
from dolphin_realtime.factors.http_patience import note_weight, pause_asked_s
from dolphin_realtime.factors.source_memory import SourceMemory, wall_now
from dolphin_realtime.model.errors import BookSourceError
from dolphin_realtime.model.market.order_book import DepthSnapshot

TIMEOUT_S: Final = 5.0
LEVELS: Final = 100
WEIGHT_LIMIT: Final = 2400.0
"""Binance USD-M's request weight per minute, until a source has read the host's own limit."""
HOST: Final = "orderbook"
_decoder = msgspec.json.Decoder(DepthSnapshot)


def host_name(base: str) -> str:
    """Return a venue's name in the memory: that of the factors' source if it is the same host."""
    sources = load_sources()
    return "binance" if urlsplit(base).netloc == urlsplit(sources.binance).netloc else HOST


class Snapshots:
    """One venue's snapshots, fetched per asset."""

    def __init__(self, client: httpx.AsyncClient, base: str, memory: SourceMemory) -> None:
        self._client, self._base = client, base.rstrip("/")
        self._memory, self._name = memory, host_name(base)

    async def fetch(self, asset: str) -> DepthSnapshot:
        """Return the book of an asset.

        Raises:
            BookSourceError: If requests to the venue are paused, or it does not answer in time,
                refuses, or sends an invalid answer.
        """
        await self._heed()
        try:
            response = await self._client.get(
                f"{self._base}/fapi/v1/depth",
                params={"symbol": asset, "limit": LEVELS},
                timeout=TIMEOUT_S,
            )
            self._learn(response)
            response.raise_for_status()
            return _decoder.decode(response.content)
        except httpx.HTTPError as e:
            raise BookSourceError(f"snapshot of {asset}: {type(e).__name__}: {e}") from e
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise BookSourceError(f"snapshot of {asset}: {e}") from e

    async def _heed(self) -> None:
        memory, now = self._memory.host(self._name), wall_now()
        until = memory.left_alone_until(now)
        if until is not None:
            raise BookSourceError(f"left alone until {until:%H:%M:%S}: {memory.why}")
        memory.weight_limit = memory.weight_limit or WEIGHT_LIMIT
        left = memory.minute_is_used(now)
        if left is not None:
            await asyncio.sleep(left.total_seconds())

    def _learn(self, response: httpx.Response) -> None:
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
