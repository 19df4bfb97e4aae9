"""Funding settlements: what positions pay or receive at 00:00, 08:00 and 16:00 UTC. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec

from dolphin_realtime.model.gates import Factors

SETTLEMENT_US: Final = 8 * 3600 * 1_000_000


class FundingCharge(msgspec.Struct, frozen=True, kw_only=True):
    """One settlement of one position; ``amount`` is USDT, positive = paid."""

    settlement_us: int
    asset: str
    quantity: float
    rate: float | None
    amount: float


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
    first = (last_us // SETTLEMENT_US + 1) * SETTLEMENT_US
    for settlement_us in range(first, now_us + 1, SETTLEMENT_US):
        for asset, quantity in held.items():
            reading = factors.funding.get(asset) if factors is not None else None
            rate = reading.value if reading and reading.is_current(now_us) else None
            amount = quantity * prices.get(asset, 0.0) * (rate or 0.0)
            charge = FundingCharge(
                settlement_us=settlement_us,
                asset=asset,
                quantity=quantity,
                rate=rate,
                amount=amount,
            )
            charges.append(charge)
    return charges
