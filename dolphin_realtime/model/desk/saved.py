"""Saving a desk to bytes and back: everything it remembers but its parameters.

What the desk does with it is desk.py's; where the bytes lie is the journal's.
"""

from typing import Any

import msgspec

from dolphin_realtime.model.desk.account import Account
from dolphin_realtime.model.desk.desk import Desk
from dolphin_realtime.model.desk.equity_marks import Marks
from dolphin_realtime.model.desk.funding import FundingClock
from dolphin_realtime.model.desk.position_change import PositionChange
from dolphin_realtime.model.desk.unpriced import Unpriced
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.risk.market_posture import MarketPosture
from dolphin_realtime.model.risk.pre_trade import Pace
from dolphin_realtime.model.signal.state import SignalState

_encoder = msgspec.msgpack.Encoder()


def save(desk: Desk) -> bytes:
    """Return the desk as MessagePack; nothing is rounded."""
    saved: dict[str, Any] = {
        "instance": desk.instance,
        "signals": desk.signals.save(),
        "account": desk.account,
        "in_flight": list(desk.in_flight.values()),
        "prices": desk.prices,
        "instruments": desk.instruments,
        "last_key": desk.last_key,
        "last_us": desk.last_us,
        "market_posture": desk.market_posture,
        "marks": desk.marks,
        "unpriced": desk.unpriced,
        "changes": desk.changes,
        "pace": desk.pace,
        "funding": desk.funding,
        "flattened": (desk.flattened_id, desk.n_flattened),
    }
    return _encoder.encode(saved)


def restore(desk: Desk, saved: bytes) -> None:
    """Give a desk the state held in what `save` returned; the parameters stay its own."""
    raw = msgspec.msgpack.decode(saved)
    params = desk.signals.params
    desk.signals = SignalState.load(raw["signals"])
    desk.signals.params = params
    desk.account = msgspec.convert(raw["account"], Account)
    desk.instruments = msgspec.convert(raw["instruments"], dict[str, InstrumentSpec])
    _to_whole_steps(desk)
    flying = msgspec.convert(raw["in_flight"], list[InFlight])
    desk.in_flight = {o.client_order_id: o for o in flying}
    desk.prices = raw["prices"]
    desk.last_key = None if raw["last_key"] is None else tuple(raw["last_key"])
    desk.last_us = raw["last_us"]
    desk.market_posture = msgspec.convert(raw["market_posture"], MarketPosture)
    desk.marks = msgspec.convert(raw["marks"], Marks)
    desk.unpriced = msgspec.convert(raw.get("unpriced", {}), dict[str, Unpriced])
    desk.changes = msgspec.convert(raw.get("changes", {}), dict[str, PositionChange])
    desk.pace = msgspec.convert(raw["pace"], Pace)
    desk.funding = msgspec.convert(raw.get("funding", {}), FundingClock)
    desk.flattened_id, desk.n_flattened = raw["flattened"]


def _to_whole_steps(desk: Desk) -> None:
    """Round positions to whole size steps: versions before schema 4 kept the dust of sums."""
    for asset, position in desk.account.positions.items():
        if position.quantity:
            position.quantity = round(position.quantity, desk.digits(asset))
            position.average_price = position.average_price if position.quantity else 0.0


class Books(msgspec.Struct, frozen=True):
    """What a saved desk owned: its account, and the last price of every asset it had seen."""

    account: Account
    prices: dict[str, float]


def books(saved: bytes) -> Books:
    """Return the books in what `save` returned."""
    raw = msgspec.msgpack.decode(saved)
    return Books(msgspec.convert(raw["account"], Account), raw["prices"])
