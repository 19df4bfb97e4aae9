"""Held assets without a sound price: which, since when, and why. Pure.

Which prices are sound is decided in market/sound_prices.py; an operator's changes of such
positions are in position_change.py. These assets are marked at their last sound price and get no
order except a flatten.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from dolphin_realtime.model.market.sound_prices import SoundPrices
from dolphin_realtime.model.signal.in_progress import SignalInProgress

UNPRICED: Final = ("ABSENT", "BAD_PRICE", "DOUBTFUL_PRICE", "STILL_PRICE")
"""Reasons of an asset without a sound price in a scan that is otherwise accepted."""
UNPRICED_SCANS: Final = 3
"""After this many consecutive scans without a sound price a person must look."""


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """One held asset that the last scan gave no sound price.

    Attributes:
        reason: Its reason at that scan; ABSENT where the scan does not list it.
        since_us: When its price was last sound.
        scans: Number of consecutive scans without a sound price.
        waits_at: The price that waits for confirmation, None if there is none.
    """

    reason: str
    since_us: int
    scans: int
    waits_at: float | None = None


def unpriced(
    held: Iterable[str],
    draft: SignalInProgress,
    sound: SoundPrices,
    before: Mapping[str, Unpriced],
    now_us: int,
) -> dict[str, Unpriced]:
    """Return the held assets without a sound price at a scan that has ended.

    Args:
        held: The held assets.
        draft: The scan's signals.
        sound: The state of the price check, after this scan.
        before: The result of this function at the scan before.
        now_us: The scan's instant.
    """
    found = {}
    for asset in held:
        since_us = sound.last_sound_us(asset)
        if since_us is not None and since_us < now_us:
            last = before.get(asset)
            found[asset] = Unpriced(
                reason=draft.reason(asset),
                since_us=since_us,
                scans=last.scans + 1 if last else 1,
                waits_at=sound.waits_at(asset),
            )
    return found
