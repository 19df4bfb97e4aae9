"""A venue's public combined stream, Binance USD-M's wire format: messages for ever, over one websocket.

Connecting, and connecting again after a loss or a silence, belong here; what a message holds does not.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from dolphin_realtime.infra.backoff import backoff_s

OPEN_TIMEOUT_S: Final = 5.0
BACKOFF_S: Final = (0.2, 20.0)
MAX_MESSAGE: Final = 4 << 20
FAULTS: Final = (OSError, WebSocketException, TimeoutError)


def stream_url(base: str, names: Iterable[str]) -> str:
    """Return the address of the combined stream of these streams."""
    return f"{base.rstrip('/')}/stream?streams={'/'.join(names)}"


async def messages(
    url: str, silence_s: float, on_fault: Callable[[str], None]
) -> AsyncIterator[str | bytes | None]:
    """Yield messages for ever; None after each new connection: some may have been missed.

    Args:
        url: Address of the stream.
        silence_s: A stream without a message for this long is connected anew.
        on_fault: Is told of a connection that broke, fell silent or was refused.
    """
    attempt = 0
    while True:
        try:
            async with connect(url, open_timeout=OPEN_TIMEOUT_S, max_size=MAX_MESSAGE) as socket:
                yield None
                while True:
                    try:
                        async with asyncio.timeout(silence_s):
                            message = await socket.recv()
                    except TimeoutError:
                        raise TimeoutError(f"nothing came for {silence_s:.0f} s") from None
                    attempt = 0
                    yield message
        except FAULTS as e:
            on_fault(f"stream_lost: {type(e).__name__}: {e}")
        await asyncio.sleep(backoff_s(attempt, random.random(), *BACKOFF_S))
        attempt += 1
