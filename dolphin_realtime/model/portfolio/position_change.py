"""An operator's changes of a position whose price is not sound: four acts, as rules. Pure.

The acts, their record and their effect on an account belong here; applying one to a portfolio is
in position_orders.py. Each change is a row of the journal and is never edited: it is undone by
another change. Quantities are signed units, prices and profit USDT.
"""

from enum import StrEnum

import msgspec

from dolphin_realtime.model.portfolio.account import Account, Position


class Act(StrEnum):
    """The operator's acts on a position."""

    REDENOMINATE = "redenominate"
    """One old unit is K new ones: quantity times K, prices divided by K, no profit."""
    ACCEPT = "accept"
    """The price that waits for confirmation is the asset's real price."""
    SETTLE = "settle"
    """The position is closed at a price without an order: delisted, or written off."""
    UNDO = "undo"
    """The last change of the asset is undone."""


class PositionChange(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a position command: before, after, and the profit it realised.

    Attributes:
        undoes: Id of the change that this one undoes, else empty.
        price: The last sound price afterwards, None if there is none.
    """

    id: str
    act: Act
    asset: str
    value: float | None
    undoes: str
    quantity_before: float
    quantity: float
    average_before: float
    average: float
    price_before: float | None
    price: float | None
    realised: float


def change_account(
    account: Account, act: Act, asset: str, value: float, price: float, digits: int
) -> float:
    """Redenominate or settle a position; return the profit that this realised.

    Args:
        account: The account.
        act: REDENOMINATE or SETTLE.
        asset: The asset.
        value: The factor, or the price.
        price: The last sound price before.
        digits: Decimal places of the size. The remainder of a redenomination that is less than a
            step is closed at the price, so that equity does not change.
    """
    position = account.positions.setdefault(asset, Position())
    quantity, average = position.quantity, position.average_price
    if act is Act.SETTLE:
        position.quantity, position.average_price = 0.0, 0.0
        realised = quantity * (value - average)
    else:
        position.quantity = round(quantity * value, digits)
        position.average_price = average / value if position.quantity else 0.0
        realised = (quantity * value - position.quantity) * (price - average) / value
    position.realised += realised
    account.realised += realised
    return realised


def restore_position(account: Account, change: PositionChange) -> float:
    """Restore a position to its state before a change; return the profit that this realised."""
    position = account.positions.setdefault(change.asset, Position())
    position.quantity, position.average_price = change.quantity_before, change.average_before
    position.realised -= change.realised
    account.realised -= change.realised
    return -change.realised
