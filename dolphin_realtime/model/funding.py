"""Funding settlements: what positions pay or receive at their interval's hours, UTC. Pure.

The interval is the asset's own (8 h where none is known), counted from 00:00 UTC.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from dolphin_realtime.model.gates import Factors

HOUR_US: Final = 3600 * 1_000_000
INTERVAL_H: Final = 8.0


class FundingCharge(msgspec.Struct, frozen=True, kw_only=True):
    """One settlement of one position; ``amount`` is USDT, positive = paid."""

    settlement_us: int
    asset: str
    quantity: float
    rate: float | None
    amount: float


def may_settle(last_us: int, now_us: int) -> bool:
    """Return whether any interval could end in (last_us, now_us]: they end on whole hours."""
    return last_us > 0 and last_us // HOUR_US != now_us // HOUR_US


def funding_charges(
    held: Mapping[str, float],
    prices: Mapping[str, float],
    factors: Factors | None,
    last_us: int,
    now_us: int,
) -> list[FundingCharge]:
    """Return the charges of every settlement in (last_us, now_us].

    Args:
        held: Positions before the first scan at or after the settlement, in units.
        prices: That scan's prices.
        factors: Where the rates are; an asset without a current rate pays 0, rate None.
        last_us: The last scan's instant, 0 before the first.
        now_us: This scan's instant.
    """
    if last_us == 0 or not held:
        return []
    charges = []
    for asset, quantity in held.items():
        reading = factors.funding.get(asset) if factors is not None else None
        known = reading if reading and reading.is_current(now_us) else None
        rate = known.value if known else None
        amount = quantity * prices.get(asset, 0.0) * (rate or 0.0)
        interval_us = _interval_us(known.interval_h if known else None)
        first = (last_us // interval_us + 1) * interval_us
        charges += [
            FundingCharge(
                settlement_us=settlement_us,
                asset=asset,
                quantity=quantity,
                rate=rate,
                amount=amount,
            )
            for settlement_us in range(first, now_us + 1, interval_us)
        ]
    return sorted(charges, key=lambda c: c.settlement_us)


def _interval_us(interval_h: float | None) -> int:
    """Return an interval that divides the day; one that does not is not known."""
    is_known = interval_h is not None and interval_h >= 1.0 and (24.0 / interval_h).is_integer()
    return round((interval_h if is_known and interval_h else INTERVAL_H) * HOUR_US)
