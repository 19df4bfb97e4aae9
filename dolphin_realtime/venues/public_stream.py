"""A venue's public combined stream, Binance USD-M's wire format: messages for ever, over one websocket.

Connecting, and connecting again after a loss or a silence, belong here; what a message holds does not.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from dolphin_realtime.infra.backoff import backoff_s

OPEN_TIMEOUT_S: Final = 5.0
BACKOFF_S: Final = (0.2, 20.0)
HEALTHY_S: Final = 10.0
"""A connection that lasted this long was well: the next pause is the shortest again."""
MAX_MESSAGE: Final = 4 << 20
FAULTS: Final = (OSError, WebSocketException, TimeoutError)
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def stream_url(base: str, names: Iterable[str]) -> str:
    """Return the address of the combined stream of these streams."""
    return f"{base.rstrip('/')}/stream?streams={'/'.join(names)}"


async def messages[T](
    url: str, decode: Callable[[str | bytes], T], on_fault: Callable[[str], None],
    silence_s: float | None = None,
) -> AsyncIterator[T | None]:  # fmt: skip
    """Yield decoded messages for ever; None after each new connection: some may have been missed.

    Args:
        url: Address of the stream.
        decode: Reads a message; one that it cannot read is told, skipped, and no sign of life.
        on_fault: Is told of those, and of a connection that broke, fell silent or was refused.
        silence_s: A stream without a message that can be read for this long is connected anew.
    """
    attempt, loop = 0, asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            async with connect(url, open_timeout=OPEN_TIMEOUT_S, max_size=MAX_MESSAGE) as socket:
                began = heard = loop.time()
                yield None
                while True:
                    message = await _next(socket.recv, heard, silence_s)
                    try:
                        found = decode(message)
                    except UNREADABLE as e:
                        on_fault(f"bad_message: {str(e)[:200]}")
                        continue
                    heard = loop.time()
                    yield found
        except FAULTS as e:
            on_fault(f"stream_lost: {type(e).__name__}: {e}")
        attempt = 0 if loop.time() - began > HEALTHY_S else attempt + 1
        await asyncio.sleep(backoff_s(attempt, random.random(), *BACKOFF_S))


async def _next[M](receive: Callable[[], Awaitable[M]], heard: float, silence_s: float | None) -> M:
    try:
        async with asyncio.timeout_at(None if silence_s is None else heard + silence_s):
            return await receive()
    except TimeoutError:
        raise TimeoutError(f"nothing came that can be read for {silence_s:.0f} s") from None
