"""What a person does about a position whose price is not sound: four acts, as rules. Pure.

The acts, their record and what they do to an account belong here; doing one to a portfolio is
position_orders.py's. Each is a row of the journal and is never edited: one is taken back by
another. Quantities are signed units, prices and profit USDT.
"""

from enum import StrEnum

import msgspec

from dolphin_realtime.model.portfolio.account import Account, Position


class Act(StrEnum):
    """What can be done about a position."""

    REDENOMINATE = "redenominate"
    """One old unit is K new ones: quantity times K, prices through K, no profit."""
    ACCEPT = "accept"
    """The price that waits is the asset's real level."""
    SETTLE = "settle"
    """Closed at a price without an order: delisted, or written off."""
    UNDO = "undo"
    """The last change of the asset is taken back."""


class PositionChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an order came to: before, after, and the profit it realised.

    Attributes:
        undoes: Id of the change that this one takes back, empty otherwise.
        price: The last sound price afterwards, None where there is none.
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
        account: Whose.
        act: REDENOMINATE or SETTLE.
        asset: Of which asset.
        value: The factor, or the price.
        price: The last sound price before.
        digits: Decimal places of the size. What a redenomination leaves of less than a step is
            closed at the price: equity stays as it was.
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
    """Give a position back what it was before a change; return the profit this realised."""
    position = account.positions.setdefault(change.asset, Position())
    position.quantity, position.average_price = change.quantity_before, change.average_before
    position.realised -= change.realised
    account.realised -= change.realised
    return -change.realised
