"""Carrying out an operator's position command on a portfolio, or refusing it. Pure.

What each act means is in position_change.py; services/trader/position_commands.py receives the
commands.
"""

import math
from datetime import datetime
from typing import Final

import msgspec

from dolphin_realtime.model.errors import PositionRefused
from dolphin_realtime.model.portfolio.account import Position
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import (
    Act,
    PositionChange,
    change_account,
    restore_position,
)

NOTHING: Final = Position()


class PositionOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's position command.

    Attributes:
        id: Random, from the command line; it is the key of the change in the journal.
        value: The factor K of a redenomination, the price of a settlement.
        at: Wall time.
    """

    id: str
    act: Act
    asset: str
    value: float | None
    reason: str
    who: str
    at: datetime


def carry_out(portfolio: Portfolio, order: PositionOrder) -> PositionChange:
    """Carry out an operator's position command on a portfolio.

    Raises:
        PositionRefused: With the reason; nothing was changed.
    """
    asset, price_before = order.asset, portfolio.prices.get(order.asset)
    if any(done.id == order.id for done in portfolio.changes.values()):
        raise PositionRefused(f"{order.id} was carried out already")
    before = msgspec.structs.replace(portfolio.account.positions.get(asset, NOTHING))
    undone = _undone(portfolio, order) if order.act is Act.UNDO else None
    if undone is not None:
        realised = restore_position(portfolio.account, undone)
        _set_price(portfolio, asset, _price_undone(undone, price_before))
    else:
        realised = _act(portfolio, order, before, price_before)
    after = portfolio.account.positions.get(asset, NOTHING)
    change = PositionChange(
        id=order.id,
        act=order.act,
        asset=asset,
        value=order.value,
        undoes=undone.id if undone else "",
        quantity_before=before.quantity,
        quantity=after.quantity,
        average_before=before.average_price,
        average=after.average_price,
        price_before=price_before,
        price=portfolio.prices.get(asset),
        realised=realised,
    )
    portfolio.changes[asset] = change
    portfolio.marks.changed += realised
    portfolio.unpriced.pop(asset, None)
    return change


def _act(
    portfolio: Portfolio, order: PositionOrder, before: Position, price: float | None
) -> float:
    asset = order.asset
    if order.act is Act.ACCEPT:
        level = portfolio.signals.sound.waits_at(asset)
        if level is None:
            raise PositionRefused(f"no price of {asset} waits to be believed; see dolphin status")
        _set_price(portfolio, asset, level)
        return 0.0
    value = order.value
    if price is None or asset not in portfolio.instruments:
        raise PositionRefused(f"{asset} is not known: no sound price of it was ever seen")
    digits = portfolio.digits(asset)
    if value is None or not _is_possible(order.act, value, before, price, digits):
        raise PositionRefused(f"{value} is no number that {order.act.value} of {asset} can use")
    if order.act is Act.SETTLE and not before.quantity:
        raise PositionRefused(f"nothing of {asset} is held")
    realised = change_account(portfolio.account, order.act, asset, value, price, digits)
    if order.act is Act.REDENOMINATE:
        _set_price(portfolio, asset, price / value)
    return realised


def _is_possible(act: Act, value: float, before: Position, price: float, digits: int) -> bool:
    """Return whether a value gives finite numbers, and does not round a held position to 0."""
    if act is Act.SETTLE:
        return 0.0 <= value < math.inf and math.isfinite(before.quantity * value)
    if not 0.0 < value < math.inf:
        return False
    quantity = before.quantity * value
    prices = (price / value, before.average_price / value)
    is_finite = all(map(math.isfinite, (quantity, *prices))) and prices[0] > 0.0
    return is_finite and (not before.quantity or bool(round(quantity, digits)))


def _price_undone(undone: PositionChange, price: float | None) -> float | None:
    """Return the price after a change is undone; None if the change did not set a price."""
    if undone.act is Act.ACCEPT:
        return undone.price_before
    if undone.act is Act.REDENOMINATE and price is not None and undone.value:
        return price * undone.value
    return None


def _set_price(portfolio: Portfolio, asset: str, price: float | None) -> None:
    if price is not None:
        portfolio.prices[asset] = price
        portfolio.signals.set_price(asset, price, portfolio.last_us)


def _undone(portfolio: Portfolio, order: PositionOrder) -> PositionChange:
    last = portfolio.changes.get(order.asset)
    if last is None or last.act is Act.UNDO:
        raise PositionRefused(
            f"no change of {order.asset} is there to be taken back, or it was traded since"
        )
    return last
