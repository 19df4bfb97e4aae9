"""A venue's stream of mark prices, Binance USD-M's wire format: `!markPrice@arr@1s`.

Connecting again after a loss or a silence belongs here; what a scan is made of does not (service.py).
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from dolphin_realtime.infra.backoff import backoff_s

PATH: Final = "/ws/!markPrice@arr@1s"
OPEN_TIMEOUT_S: Final = 5.0
SILENCE_S: Final = 10.0
BACKOFF_S: Final = (0.2, 20.0)
MAX_MESSAGE: Final = 4 << 20
FAULTS: Final = (OSError, WebSocketException, TimeoutError)


class Mark(msgspec.Struct, frozen=True):
    """One asset's mark price; ``event_ms`` is the venue's clock."""

    symbol: str = msgspec.field(name="s")
    event_ms: int = msgspec.field(name="E")
    price: str = msgspec.field(name="p")


_marks = msgspec.json.Decoder(list[Mark])


async def marks(base: str, on_fault: Callable[[str], None]) -> AsyncIterator[list[Mark]]:
    """Yield messages for ever; an empty one after each new connection: some may have been missed.

    A message that is none is reported to ``on_fault`` and skipped; so is a connection that breaks or falls
    silent, before a new one is made.
    """
    attempt = 0
    while True:
        try:
            url = f"{base.rstrip('/')}{PATH}"
            async with connect(url, open_timeout=OPEN_TIMEOUT_S, max_size=MAX_MESSAGE) as socket:
                yield []
                while True:
                    async with asyncio.timeout(SILENCE_S):
                        message = await socket.recv()
                    attempt = 0
                    try:
                        yield _marks.decode(message)
                    except (msgspec.DecodeError, UnicodeDecodeError) as e:
                        on_fault(f"bad_marks: {e}")
        except FAULTS as e:
            on_fault(f"stream_lost: {type(e).__name__}: {e}")
        await asyncio.sleep(backoff_s(attempt, random.random(), *BACKOFF_S))
        attempt += 1
