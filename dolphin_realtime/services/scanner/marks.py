"""A venue's streams of mark prices and of changes of its listing, Binance USD-M's wire format.

What a scan is made of does not belong here (service.py).
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from dolphin_realtime.model.market.mark_feed import Mark
from dolphin_realtime.venues.public_stream import messages, stream_url

MARKS: Final = "!markPrice@arr@1s"
LISTING: Final = "!contractInfo"
SILENCE_S: Final = 10.0


class Contract(msgspec.Struct, frozen=True):
    """A contract that was listed, delisted or changed."""

    symbol: str = msgspec.field(name="s")
    status: str = msgspec.field(name="cs")


class _Marks(msgspec.Struct):
    data: list[msgspec.Raw]


class _Contract(msgspec.Struct):
    data: Contract


_message, _mark = msgspec.json.Decoder(_Marks), msgspec.json.Decoder(Mark)
_contract = msgspec.json.Decoder(_Contract)


async def marks(base: str, on_fault: Callable[[str], None]) -> AsyncIterator[list[Mark] | None]:
    """Yield the marks of each message for ever; None after each new connection.

    A mark that cannot be read is told to ``on_fault`` and left out; the others of its message are not.
    """

    def decode(message: str | bytes) -> list[Mark]:
        found = []
        for raw in _message.decode(message).data:
            try:
                found.append(_mark.decode(raw))
            except (msgspec.DecodeError, UnicodeDecodeError) as e:
                on_fault(f"bad_mark: {e}")
        return found

    async for one in messages(stream_url(base, [MARKS]), decode, on_fault, SILENCE_S):
        yield one


async def contracts(base: str, on_fault: Callable[[str], None]) -> AsyncIterator[Contract | None]:
    """Yield every contract that changes, for ever; None after each new connection."""
    url = stream_url(base, [LISTING])
    async for one in messages(url, lambda m: _contract.decode(m).data, on_fault):
        yield one
