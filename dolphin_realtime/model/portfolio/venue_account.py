"""What a real venue's account does without an order of ours: trades from outside, and payments.

The records and their effect on a portfolio belong here; asking the venue does not
(venues/binance/). Money is USDT unless an asset is named, quantities are units of the base.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from dolphin_realtime.model.orders import FLATTEN_LEG, AtVenue, InFlight
from dolphin_realtime.model.portfolio.payments import FUNDING, QUOTE, is_transfer, take_paid
from dolphin_realtime.model.portfolio.portfolio import Portfolio


class Cause(StrEnum):
    """Why the account traded without an order of ours.

    ADL: the venue reduced the position against a liquidated one. LIQUIDATION, SETTLEMENT: the
    venue closed it. FOREIGN: somebody else's order. LATE: an order of ours that had ended.
    """

    ADL = "ADL"
    LIQUIDATION = "LIQUIDATION"
    SETTLEMENT = "SETTLEMENT"
    FOREIGN = "FOREIGN"
    LATE = "LATE"


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """A trade that no order of ours in flight explains."""

    asset: str
    fill_id: str
    side: str
    quantity: float
    price: float
    fee: float
    cause: Cause
    client_id: str
    venue: AtVenue


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a wallet that is no trade: funding, a transfer, or another kind of the venue's."""

    kind: str
    tran_id: int
    symbol: str
    asset: str
    amount: float
    at_us: int

    @property
    def is_funding(self) -> bool:
        """Whether it is funding in USDT."""
        return self.kind == FUNDING and self.asset == QUOTE


def book_outside(portfolio: Portfolio, trade: Outside) -> float:
    """Book a trade from outside; return the profit that it realised."""
    portfolio.add_instruments([trade.asset])
    portfolio.changes.pop(trade.asset, None)
    realised = portfolio.account.apply_fill(
        trade.asset,
        trade.quantity if trade.side == "BUY" else -trade.quantity,
        trade.price,
        trade.fee,
        portfolio.digits(trade.asset),
        trade.venue.realised,
    )
    if portfolio.marks.day is not None:
        portfolio.marks.day.trades += 1
    return realised


def book_paid(portfolio: Portfolio, paid: Paid) -> None:
    """Book a payment; money that was moved in or out moves the peak with it."""
    take_paid(portfolio.account, paid.kind, paid.asset, paid.amount)
    if paid.is_funding:
        portfolio.account.funding -= paid.amount
    elif is_transfer(paid.kind) and paid.asset == QUOTE:
        portfolio.marks.move(paid.amount)


def count_flattens(portfolio: Portfolio, orders: Iterable[InFlight]) -> None:
    """Note the orders of a flatten that were sent and not saved: their ids are in use."""
    legs = [o.order.leg for o in orders if o.order.leg.startswith(FLATTEN_LEG)]
    portfolio.n_flattened = max([portfolio.n_flattened, *(int(leg[1:], 36) for leg in legs)])


def usdt_of(portfolio: Portfolio, asset: str, amount: float) -> float:
    """Return what an amount of a fee is worth at the last sound price; 0 if there is none."""
    if asset == QUOTE:
        return amount
    return amount * portfolio.prices.get(f"{asset}{QUOTE}", 0.0)
