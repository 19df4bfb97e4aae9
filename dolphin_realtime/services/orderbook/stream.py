"""One websocket to a venue's combined depth stream, Binance USD-M's wire format.

Connecting, reconnecting with back-off and handing out updates belong here; keeping books
does not (keeper.py). Time-outs are seconds.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from dolphin_realtime.infra.backoff import backoff_s
from dolphin_realtime.model.market.order_book import DepthUpdate

OPEN_TIMEOUT_S: Final = 5.0
SILENCE_S: Final = 20.0
"""A stream without a message for this long is reconnected."""
BACKOFF_MIN_S: Final = 0.2
BACKOFF_MAX_S: Final = 20.0
MAX_MESSAGE: Final = 4 << 20
STREAM_FAULTS: Final = (OSError, WebSocketException, TimeoutError)


class _Envelope(msgspec.Struct):
    """A message of the combined stream."""

    data: DepthUpdate


_updates = msgspec.json.Decoder(_Envelope)


def stream_url(base: str, assets: list[str], speed_ms: int) -> str:
    """Return the URL of the combined stream of the assets' depth updates."""
    names = "/".join(f"{asset.lower()}@depth@{speed_ms}ms" for asset in assets)
    return f"{base.rstrip('/')}/stream?streams={names}"


async def updates(url: str, on_fault: Callable[[str], None]) -> AsyncIterator[DepthUpdate | None]:
    """Yield updates for ever; None after each (re)connection: books must be fetched again.

    A message that is not an update is reported to ``on_fault`` and skipped. A connection that
    breaks or falls silent is also reported, then a new one is made.
    """
    attempt = 0
    while True:
        try:
            async with connect(url, open_timeout=OPEN_TIMEOUT_S, max_size=MAX_MESSAGE) as socket:
                yield None
                while True:
                    async with asyncio.timeout(SILENCE_S):
                        message = await socket.recv()
                    attempt = 0
                    try:
                        update = _updates.decode(message).data
                    except (msgspec.DecodeError, UnicodeDecodeError) as e:
                        on_fault(f"bad_update: {e}")
                        continue
                    yield update
        except STREAM_FAULTS as e:
            on_fault(f"stream_lost: {type(e).__name__}: {e}")
        await asyncio.sleep(backoff_s(attempt, random.random(), BACKOFF_MIN_S, BACKOFF_MAX_S))
        attempt += 1
