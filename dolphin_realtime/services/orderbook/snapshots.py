"""Order-book snapshots from a venue's REST interface, within its rate limits."""

from typing import Final

import msgspec

from dolphin_realtime.factors.polite_client import PoliteClient
from dolphin_realtime.model.errors import BookSourceError
from dolphin_realtime.model.market.order_book import DepthSnapshot

LEVELS: Final = 100
_decoder = msgspec.json.Decoder(DepthSnapshot)


class Snapshots:
    """One venue's snapshots, fetched per asset."""

    def __init__(self, venue: PoliteClient) -> None:
        self._venue = venue

    async def fetch(self, asset: str) -> DepthSnapshot:
        """Return the book of an asset.

        Raises:
            BookSourceError: If requests to the venue are paused, or it does not answer in time,
                refuses, or sends an invalid answer.
        """
        what = f"snapshot of {asset}"
        body = await self._venue.get("/fapi/v1/depth", what, symbol=asset, limit=LEVELS)
        try:
            return _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise BookSourceError(f"{what}: {e}") from e
