"""A venue as a value: its instruments, their rules, and the fee of a fill. Pure.

A portfolio and an engine get it; no other code knows a venue's name or rules. Connecting to a
venue belongs to engine/. Fees are basis points of the notional, money is USDT.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Final

import msgspec

from dolphin_realtime.model.market.instrument import OTHER, SHIPPED, InstrumentSpec, is_name
from dolphin_realtime.model.market.paper_faults import PaperFaults
from dolphin_realtime.model.portfolio.costs import CostParams

MONEY_STEPS: Final = 10**8
"""An amount of USDT has eight decimal places, as in NautilusTrader."""


def steps(usdt: float) -> int:
    """Return a non-negative amount in units of its smallest step, halves rounded up."""
    return math.floor(usdt * MONEY_STEPS + 0.5)


@cache
def ratio(bps: float) -> tuple[int, int]:
    """Return a rate in basis points as an exact fraction: numerator, denominator."""
    return (Fraction(str(bps)) / 10_000).as_integer_ratio()


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """One venue.

    Attributes:
        name: Its name in NautilusTrader's ids.
        account: Number of the account there.
        listed: Rules of the instruments it lists.
        other: Rules of any other valid name; None if such a name cannot be traded.
        taker_fee_bps: Fee of a market order.
        faults: Injected faults; for a simulated venue only.
        is_real: Whether fills, fees and funding are what the venue says; else they are modelled.
    """

    name: str
    account: str
    listed: Mapping[str, InstrumentSpec]
    other: InstrumentSpec | None
    taker_fee_bps: float
    faults: PaperFaults = PaperFaults()
    is_real: bool = False

    def spec(self, asset: str) -> InstrumentSpec | None:
        """Return the rules of a name, None if it cannot be traded here."""
        known = self.listed.get(asset)
        if known is not None:
            return known
        return self.other if is_name(asset) else None

    def fee(self, quantity: float, price: float) -> float:
        """Return the fee of a market order's fill, rounded to eight decimal places."""
        numerator, denominator = ratio(self.taker_fee_bps)
        notional = steps(quantity * price)
        return steps(notional * numerator / (denominator * MONEY_STEPS)) / MONEY_STEPS


def paper_venue(costs: CostParams, faults: PaperFaults | None = None) -> Venue:
    """Return the simulated venue: the shipped perpetuals, and fine steps for any other name."""
    return Venue(
        name="SIM",
        account="001",
        listed=SHIPPED,
        other=OTHER,
        taker_fee_bps=costs.taker_fee_bps,
        faults=faults or PaperFaults(),
    )
