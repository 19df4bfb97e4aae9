"""Saving a portfolio to bytes and restoring it: its whole state except its parameters.

What the state means is in portfolio.py; the journal stores the bytes.
"""

from typing import Any

import msgspec

from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.portfolio.account import Account
from dolphin_realtime.model.portfolio.equity_curve import EquityCurve
from dolphin_realtime.model.portfolio.funding import FundingClock
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import PositionChange
from dolphin_realtime.model.portfolio.unpriced import Unpriced
from dolphin_realtime.model.risk.exposure import Pace
from dolphin_realtime.model.risk.market_posture import MarketPosture
from dolphin_realtime.model.signal.state import SignalState

_encoder = msgspec.msgpack.Encoder()


def save(portfolio: Portfolio) -> bytes:
    """Return the portfolio as MessagePack; nothing is rounded.

    What keeps its length comes first, so that it stays in its place from one scan to the next: the
    journal writes only what changed.
    """
    saved: dict[str, Any] = {
        "instance": portfolio.instance,
        "instruments": portfolio.instruments,
        "prices": portfolio.prices,
        "signals": portfolio.signals.save(),
        "account": portfolio.account,
        "in_flight": list(portfolio.in_flight.values()),
        "last_key": portfolio.last_key,
        "last_us": portfolio.last_us,
        "market_posture": portfolio.market_posture,
        "marks": portfolio.marks,
        "unpriced": portfolio.unpriced,
        "changes": portfolio.changes,
        "pace": portfolio.pace,
        "funding": portfolio.funding,
        "flattened": (portfolio.flattened_id, portfolio.n_flattened),
    }
    return _encoder.encode(saved)


def restore(portfolio: Portfolio, saved: bytes) -> None:
    """Restore a portfolio from the bytes of `save`; it keeps its own parameters."""
    raw = msgspec.msgpack.decode(saved)
    params = portfolio.signals.params
    portfolio.signals = SignalState.load(raw["signals"])
    portfolio.signals.params = params
    portfolio.account = msgspec.convert(raw["account"], Account)
    portfolio.instruments = msgspec.convert(raw["instruments"], dict[str, InstrumentSpec])
    _to_whole_steps(portfolio)
    flying = msgspec.convert(raw["in_flight"], list[InFlight])
    portfolio.in_flight = {o.client_order_id: o for o in flying}
    portfolio.prices = raw["prices"]
    portfolio.last_key = None if raw["last_key"] is None else tuple(raw["last_key"])
    portfolio.last_us = raw["last_us"]
    portfolio.market_posture = msgspec.convert(raw["market_posture"], MarketPosture)
    portfolio.marks = msgspec.convert(raw["marks"], EquityCurve)
    portfolio.unpriced = msgspec.convert(raw.get("unpriced", {}), dict[str, Unpriced])
    portfolio.changes = msgspec.convert(raw.get("changes", {}), dict[str, PositionChange])
    portfolio.pace = msgspec.convert(raw["pace"], Pace)
    portfolio.funding = msgspec.convert(raw.get("funding", {}), FundingClock)
    portfolio.flattened_id, portfolio.n_flattened = raw["flattened"]


def _to_whole_steps(portfolio: Portfolio) -> None:
    """Round positions to whole size steps: versions before schema 4 kept rounding residues."""
    for asset, position in portfolio.account.positions.items():
        if position.quantity:
            position.quantity = round(position.quantity, portfolio.digits(asset))
            position.average_price = position.average_price if position.quantity else 0.0


class Books(msgspec.Struct, frozen=True):
    """A saved portfolio's account, and the last sound price of every asset it had seen."""

    account: Account
    prices: dict[str, float]


def books(saved: bytes) -> Books:
    """Return the account and the prices from the bytes of `save`."""
    raw = msgspec.msgpack.decode(saved)
    return Books(msgspec.convert(raw["account"], Account), raw["prices"])
