"""Held assets without a sound price: which, since when, and why. Pure.

What makes a price sound is sound_prices.py's, what a person does about such an asset
position_change.py's. They are marked at their last sound price and get no order but a flatten.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from dolphin_realtime.model.market.sound_prices import SoundPrices
from dolphin_realtime.model.signal.in_progress import SignalInProgress

UNPRICED: Final = ("ABSENT", "BAD_PRICE", "DOUBTFUL_PRICE", "STILL_PRICE")
"""Reasons of an asset that a scan gives no sound price, though it is whole otherwise."""
UNPRICED_SCANS: Final = 3
"""So many scans running without one are for a person."""


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """One held asset that the last scan gave no sound price.

    Attributes:
        reason: Its reason at that scan; ABSENT where the scan does not list it.
        since_us: When its price was last sound.
        scans: How many scans in a row gave it none.
        waits_at: The price that waits to be believed, None without one.
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
        held: What is held.
        draft: The scan's signals.
        sound: What is remembered of prices, this scan's included.
        before: The same at the scan before.
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
