"""Rows of the tables that only a live journal fills (tables.py has all others)."""

from typing import NamedTuple


class IncomeRow(NamedTuple):
    """A change of a wallet at a real venue, as the venue says it."""

    kind: str
    tran_id: int
    symbol: str
    asset: str
    amount: float
    venue_us: int
    booked_us: int
    seq: int


class InputRow(NamedTuple):
    """The books and factors that a live scan was decided with, packed; None: as at the row before."""

    timestamp_us: int
    books: bytes | None
    factors: bytes | None


class ShadowFillRow(NamedTuple):
    """The fill that the model gives an order at a real venue: it moves nothing.

    ``decided`` is the price of the scan that decided it.
    """

    client_order_id: str
    asset: str
    side: str
    quantity: float
    decided: float
    price: float
    mid: float
    fee: float
    timestamp_us: int
    source: str
    booked_us: int
