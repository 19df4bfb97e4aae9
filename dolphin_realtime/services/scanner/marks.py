"""A venue's streams of mark prices and of changes of its listing, Binance USD-M's wire format.

What a scan is made of does not belong here (service.py).
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from dolphin_realtime.venues.public_stream import messages, stream_url

MARKS: Final = "!markPrice@arr@1s"
LISTING: Final = "!contractInfo"
SILENCE_S: Final = 10.0


class Mark(msgspec.Struct, frozen=True):
    """One asset's mark price; ``event_ms`` is the venue's clock."""

    symbol: str = msgspec.field(name="s")
    event_ms: int = msgspec.field(name="E")
    price: str = msgspec.field(name="p")


class Listing(msgspec.Struct, frozen=True):
    """A contract that was listed, delisted or changed."""

    symbol: str = msgspec.field(name="s")
    status: str = msgspec.field(name="cs")


class _Envelope(msgspec.Struct):
    """A message of the combined stream: an array of marks, or one contract."""

    data: list[Mark] | Listing


_decoder = msgspec.json.Decoder(_Envelope)


async def marks(
    base: str, on_fault: Callable[[str], None]
) -> AsyncIterator[list[Mark] | Listing | None]:
    """Yield messages for ever; None after each new connection: some may have been missed.

    A message that is none is reported to ``on_fault`` and skipped; so is a connection that breaks or falls
    silent, before a new one is made.
    """
    async for message in messages(stream_url(base, (MARKS, LISTING)), SILENCE_S, on_fault):
        if message is None:
            yield None
            continue
        try:
            found = _decoder.decode(message).data
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            on_fault(f"bad_marks: {e}")
            continue
        yield found
