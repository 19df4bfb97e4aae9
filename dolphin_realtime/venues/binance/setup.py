"""Brings an account to what a live trader needs: modes, margin, leverage. Nothing else changes them."""

from collections.abc import AsyncIterator
from typing import Any, Final

from dolphin_realtime.model.errors import VenueRefused
from dolphin_realtime.venues.binance.rest import Rest

ALREADY: Final = (-4046, -4059, -4171)
"""Codes with which the venue says that a mode is as asked for."""


async def set_up(rest: Rest, names: list[str], leverage: int) -> AsyncIterator[str]:
    """Yield a sentence for each thing that was set.

    Raises:
        VenueError: At the first one that the venue refuses; those before it are set.
    """
    yield await _set(rest, "positions one-way", "positionSide/dual", dualSidePosition="false")
    yield await _set(
        rest, "margin of a single asset", "multiAssetsMargin", multiAssetsMargin="false"
    )
    for name in names:
        yield await _set(
            rest, f"{name}: margin crossed", "marginType", symbol=name, marginType="CROSSED"
        )
        yield await _set(
            rest, f"{name}: leverage {leverage}", "leverage", symbol=name, leverage=leverage
        )


async def _set(rest: Rest, what: str, path: str, **params: Any) -> str:
    try:
        await rest.send("POST", f"/fapi/v1/{path}", **params)
    except VenueRefused as e:
        if e.code not in ALREADY:
            raise
        return f"{what} (was so)"
    return what
