"""The venue's own rules of its instruments, from `exchangeInfo`. Pure.

Modelled precisions would be refused (-1111). Source: Binance USD-M, "Exchange information", filters.
"""

from decimal import Decimal
from typing import Any, Final

import msgspec

from dolphin_realtime.model.errors import VenueError
from dolphin_realtime.model.market.instrument import MODELLED_DIGITS, OTHER, InstrumentSpec
from dolphin_realtime.model.market.venue import Venue

NAME: Final = "BINANCE"
TRADING: Final = "TRADING"
STEPS: Final = ("LOT_SIZE", "MARKET_LOT_SIZE")


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    filters: list[dict[str, Any]]


class _Info(msgspec.Struct):
    symbols: list[_Symbol]


def venue_of(info: bytes, account: str, taker_fee_bps: float) -> Venue:
    """Return the venue with the rules of every symbol that trades and whose steps are decimal.

    Args:
        info: The answer of `exchangeInfo`.
        account: Last characters of the key, by which the account is known.
        taker_fee_bps: Fee of the modelled fills beside the venue's own.

    Raises:
        msgspec.DecodeError: If the answer is not what was agreed.
    """
    listed = {}
    for one in msgspec.json.decode(info, type=_Info).symbols:
        spec = _spec(one) if one.status == TRADING else None
        if spec is not None:
            listed[one.symbol] = spec
    return Venue(
        name=NAME, account=account, listed=listed, other=OTHER, taker_fee_bps=taker_fee_bps,
        is_real=True,
    )  # fmt: skip


def tradable(venue: Venue, names: list[str]) -> dict[str, InstrumentSpec]:
    """Return the rules of the names that may be traded.

    Raises:
        VenueError: Naming those that the venue does not list as trading.
    """
    missing = [name for name in names if name not in venue.listed]
    if missing:
        raise VenueError(f"not listed as trading: {', '.join(missing)}")
    return {name: venue.listed[name] for name in names}


def _spec(one: _Symbol) -> InstrumentSpec | None:
    """Return a symbol's rules, None if a rule is missing or a step is no power of ten."""
    found = {f.get("filterType"): f for f in one.filters}
    try:
        tick = _digits(found["PRICE_FILTER"]["tickSize"])
        steps = [_digits(found[name]["stepSize"]) for name in STEPS]
        least = float(found["MIN_NOTIONAL"]["notional"])
    except (KeyError, ValueError, ArithmeticError):
        return None
    return InstrumentSpec(tick + MODELLED_DIGITS, min(steps), least)


def _digits(step: str) -> int:
    """Return the decimal places of a step.

    Raises:
        ValueError: If it is no power of ten, or above one.
    """
    value = Decimal(step).normalize()
    exponent = value.as_tuple().exponent
    if value.as_tuple().digits != (1,) or not isinstance(exponent, int) or exponent > 0:
        raise ValueError(step)
    return -exponent
