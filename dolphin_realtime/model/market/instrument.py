"""Instruments: price and size precision of each.

The table of the shipped perpetuals and the rule for valid names belong here. Which of them a
venue lists is in venue.py, NautilusTrader's own instruments are made in engine/. Precisions are
decimal places.
"""

import math
import re
from typing import Final

import msgspec

OTHER_PRICE_PRECISION: Final = 9
MODELLED_DIGITS: Final = 3
"""Decimal places that a modelled price has beyond the venue's tick (see SHIPPED)."""
MAX_STEPS: Final = 1e15
"""An order of more steps than this is refused: such a quantity comes from an absurd price."""
OTHER_SIZE_PRECISION: Final = 6
_NAME: Final = re.compile(r"[A-Za-z0-9_:-]{1,32}", re.ASCII)


class InstrumentSpec(msgspec.Struct, frozen=True):
    """Rules of one perpetual: decimal places of its price and size, its smallest order in USDT."""

    price_precision: int
    size_precision: int
    least_usd: float = 0.0

    def floor_quantity(self, quantity: float) -> float:
        """Return ``quantity`` in units, rounded toward zero to the size step.

        A 1e-12th of it is added first, for rounding errors. A quantity of MAX_STEPS or more is
        returned unchanged: the pre-trade limits refuse it.
        """
        steps = quantity * 10.0**self.size_precision
        if not steps < MAX_STEPS:
            return quantity
        whole = math.floor(steps + 1e-9 * max(1.0, steps) * 1e-3)
        return round(whole / 10.0**self.size_precision, self.size_precision)


SHIPPED: Final = {
    "ADAUSDT": InstrumentSpec(7, 0),
    "AVAXUSDT": InstrumentSpec(6, 1),
    "BCHUSDT": InstrumentSpec(5, 2),
    "BNBUSDT": InstrumentSpec(5, 2),
    "BTCUSDT": InstrumentSpec(4, 3),
    "ENAUSDT": InstrumentSpec(7, 0),
    "ETCUSDT": InstrumentSpec(6, 1),
    "ETHUSDT": InstrumentSpec(5, 3),
    "LAYERUSDT": InstrumentSpec(7, 0),
    "LINKUSDT": InstrumentSpec(6, 1),
    "LTCUSDT": InstrumentSpec(5, 1),
    "SOLUSDT": InstrumentSpec(5, 2),
    "SUIUSDT": InstrumentSpec(7, 0),
    "XLMUSDT": InstrumentSpec(8, 0),
    "XMRUSDT": InstrumentSpec(5, 2),
    "XRPUSDT": InstrumentSpec(7, 0),
}
"""Binance USD-M perpetuals of the shipped sample. Three decimals more than the venue's tick:
a modelled fill is an average price, and rounding it to the tick would move the modelled
half spread of 2 bps by as much as itself on the cheap names."""

OTHER: Final = InstrumentSpec(OTHER_PRICE_PRECISION, OTHER_SIZE_PRECISION)


def is_name(asset: str) -> bool:
    """Return whether this is a valid instrument name."""
    return _NAME.fullmatch(asset) is not None
