"""A venue's stream of depth updates, Binance USD-M's wire format. Keeping books belongs in keeper.py."""

from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from dolphin_realtime.model.market.order_book import DepthUpdate
from dolphin_realtime.venues import public_stream

SILENCE_S: Final = 20.0
"""A stream without an update for this long is connected anew."""


class _Envelope(msgspec.Struct):
    """A message of the combined stream."""

    data: DepthUpdate


_updates = msgspec.json.Decoder(_Envelope)


def stream_url(base: str, assets: list[str], speed_ms: int) -> str:
    """Return the URL of the combined stream of the assets' depth updates."""
    return public_stream.stream_url(base, (f"{a.lower()}@depth@{speed_ms}ms" for a in assets))


async def updates(url: str, on_fault: Callable[[str], None]) -> AsyncIterator[DepthUpdate | None]:
    """Yield updates for ever; None after each (re)connection: books must be fetched again.

    A message that is not an update is reported to ``on_fault`` and skipped. A connection that
    breaks or falls silent is also reported, then a new one is made.
    """
    async for one in public_stream.messages(
        url, lambda message: _updates.decode(message).data, on_fault, SILENCE_S
    ):
        yield one
