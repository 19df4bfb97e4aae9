"""The smallest change of one input that would have turned a decision. Pure.

Each input of one asset's decision is moved by itself, the others stay, and the decision is made
again by the trader's own sizing and limits; where another action comes out, the nearest such value
is found by bisection. Other assets keep their signals.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import numpy as np

from dolphin_realtime.model.orders import OrderIntent
from dolphin_realtime.model.portfolio.decision import Market
from dolphin_realtime.model.portfolio.sizing import Decisions, TargetWeights
from dolphin_realtime.model.risk.exposure import Exposure
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.risk.pre_trade import LIMITS, PreTradeParams, check, record_sent
from dolphin_realtime.model.signal.asset_states import directions_of
from dolphin_realtime.why.replay import Moment

NOTHING: Final = "no order"
GRID: Final = 48
STEPS: Final = 40
Action = str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one input that turns the decision.

    Attributes:
        size: The change in units of the input's own range: what is sorted by.
        becomes: What would have been done instead.
    """

    input: str
    was: float | str
    would_be: float | str
    size: float
    becomes: Action


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What one asset's decision is made of; the rest of the scan is fixed."""

    score: float
    r_ar: float
    r_vol: float
    gate_dvol: float
    gate_calendar: float
    gate_book: float
    gate_spread: float
    gate_funding: float
    held: float
    equity: float
    posture: Posture
    entry_block: str | None = None


RANGES: Final = {
    "score": 5.0, "r_ar": 1.0, "r_vol": 1.0, "gate_dvol": 1.0, "gate_calendar": 1.0,
    "gate_book": 1.0, "gate_spread": 1.0, "gate_funding": 1.0,
}  # fmt: skip
"""Range of each input that has one of its own; position and equity are moved by their own size."""


class Case:
    """One decision as a function of its inputs."""

    def __init__(self, moment: Moment, asset: str) -> None:
        draft, rest = moment.plan.draft, moment.rest
        if draft is None or rest is None or draft.gates is None or draft.ready is None:
            raise LookupError("nothing was decided at that scan")
        if moment.standing is None or asset not in draft.position:
            raise LookupError(f"{asset} had no sound price at that scan")
        self.asset, self.at, self.rest = asset, draft.position[asset], rest
        self.params, self.limits = moment.portfolio.signals.params, moment.portfolio.pre_trade
        self.exposure: Exposure = moment.standing
        self.is_warm = bool(draft.ready.warm[self.at])
        self.held_direction = moment.directions.get(asset, 0.0)
        gates, at = draft.gates, self.at
        self.inputs = Inputs(
            score=float(draft.s[at]), r_ar=draft.r_ar, r_vol=draft.r_vol, gate_dvol=gates.dvol,
            gate_calendar=gates.calendar, gate_book=float(gates.book[at]),
            gate_spread=float(gates.spread[at]), gate_funding=float(gates.funding[at]),
            held=rest.market.held.get(asset, 0.0), equity=rest.market.equity,
            posture=rest.limits.posture, entry_block=rest.limits.entry_block,
        )  # fmt: skip

    def action(self, x: Inputs, limits: PreTradeParams | None = None) -> Action:
        """Return what is done with these inputs: the orders' sides and legs, or NOTHING."""
        signal, is_active = self._signal(x)
        wanted = msgspec.structs.replace(
            self.rest.wanted,
            signal=_with(self.rest.wanted.signal, self.at, signal),
            is_active=_with(self.rest.wanted.is_active, self.at, is_active),
            reason=lambda asset: "OK" if asset == self.asset else self.rest.wanted.reason(asset),
        )
        market = msgspec.structs.replace(
            self.rest.market, held={**self.rest.market.held, self.asset: x.held}, equity=x.equity
        )
        permission = TradingPermission(posture=x.posture, entry_block=x.entry_block)
        return self._orders(wanted, market, permission, limits or self.limits)

    def _orders(
        self, wanted: TargetWeights, market: Market, permission: TradingPermission,
        limits: PreTradeParams,
    ) -> Action:  # fmt: skip
        found = Decisions(wanted, market, permission, self.rest.p)
        exposure = msgspec.structs.replace(self.exposure.copied(), equity=market.equity)
        kept: list[str] = []
        for decision in found.first:
            for order in decision.orders:
                if check(order, exposure, limits) is None:
                    record_sent(order, exposure)
                    kept += [_words_of(order)] if decision.asset == self.asset else []
        return ", ".join(kept) or NOTHING

    def _signal(self, x: Inputs) -> tuple[float, bool]:
        """Return an asset's signal and whether a zero one closes its position, as in state.py."""
        p, size = self.params, abs(x.score)
        score, held = np.array([x.score]), np.array([self.held_direction])
        direction = float(directions_of(score, held, p)[0]) if self.is_warm else 0.0
        of_asset = x.gate_book * x.gate_spread * x.gate_funding
        risk = x.r_ar * x.r_vol * x.gate_dvol * x.gate_calendar
        signal = direction * min(1.0, size / p.s_full) * risk * of_asset
        is_open = of_asset > 0.0 and x.gate_calendar > 0.0
        return signal + 0.0, self.is_warm and (is_open or direction == 0.0)


def _words_of(order: OrderIntent) -> str:
    legs = {"C": "closes", "O": "opens"}
    return f"{order.side} {legs.get(order.leg, 'reduces' if order.is_reduce_only else 'adds')}"


def turns(moment: Moment, asset: str) -> list[Turn]:
    """Return the changes of single inputs that turn a decision, the smallest first.

    Empty if nothing was decided at the scan, or no input alone turns it.
    """
    try:
        case = Case(moment, asset)
    except LookupError:
        return []
    now = case.action(case.inputs)
    found = [*_numbers(case, now), *_words(case, now), *_bounds(case, now)]
    return sorted(found, key=lambda turn: turn.size)


def _numbers(case: Case, now: Action) -> Iterator[Turn]:
    x = case.inputs
    moved = (*RANGES, "held", "equity") if x.held else (*RANGES, "equity")
    for name in moved:
        was: float = getattr(x, name)
        unit = RANGES.get(name) or _own_size(case, name)

        def act(value: float, name: str = name) -> Action:
            return case.action(msgspec.structs.replace(x, **{name: value}))

        low, high = _span(name, was, unit)
        nearest = min(
            (v for v in (_nearest(act, was, low, now), _nearest(act, was, high, now)) if v is not None),
            key=lambda v: abs(v - was),
            default=None,
        )  # fmt: skip
        if nearest is not None:
            yield Turn(
                input=name, was=was, would_be=nearest, size=abs(nearest - was) / unit,
                becomes=act(nearest),
            )  # fmt: skip


def _own_size(case: Case, name: str) -> float:
    """Return the range of a position (a full one, in units) or of the equity (itself)."""
    market = case.rest.market
    if name == "equity":
        return max(market.equity, 1.0)
    return case.rest.p.asset_cap * max(market.equity, 1.0) / market.prices[case.asset]


def _span(name: str, was: float, unit: float) -> tuple[float, float]:
    if name == "score":
        return was - 2.0 * unit, was + 2.0 * unit
    if name == "held":  # of the same side: what is not held cannot be closed
        return 0.01 * was, was + math.copysign(2.0 * unit, was)
    if name == "equity":
        return max(was - unit, 1.0), was + unit
    return 0.0, 1.0


def _nearest(act: Callable[[float], Action], was: float, end: float, now: Action) -> float | None:
    """Return the value nearest to ``was``, towards ``end``, at which the action is another one."""
    if was == end:
        return None
    inside = was
    for n in range(1, GRID + 1):
        outside = was + (end - was) * n / GRID
        if act(outside) != now:
            for _ in range(STEPS):
                middle = (inside + outside) / 2.0
                if act(middle) == now:
                    inside = middle
                else:
                    outside = middle
            return outside
        inside = outside
    return None


def _words(case: Case, now: Action) -> Iterator[Turn]:
    """Yield the postures, and the end of an entry block, that turn the decision."""
    x = case.inputs
    for posture in Posture:
        becomes = case.action(msgspec.structs.replace(x, posture=posture))
        if becomes != now:
            size = abs(posture.rank - x.posture.rank) / len(Posture)
            yield Turn(input="posture", was=x.posture.value, would_be=posture.value, size=size, becomes=becomes)  # fmt: skip
    if x.entry_block is not None:
        becomes = case.action(msgspec.structs.replace(x, entry_block=None))
        if becomes != now:
            yield Turn(input="entry block", was=x.entry_block, would_be="none", size=0.5, becomes=becomes)  # fmt: skip


def _bounds(case: Case, now: Action) -> Iterator[Turn]:
    """Yield the limits' bounds that turn the decision: a wider one, or a tighter one."""
    fields = {limit.setting for limit in LIMITS} & set(PreTradeParams.__struct_fields__)
    for name in sorted(fields - {"allow", "duplicate_window_s", "max_orders_per_minute"}):
        was: float = getattr(case.limits, name)

        def act(value: float, name: str = name) -> Action:
            return case.action(case.inputs, msgspec.structs.replace(case.limits, **{name: value}))

        found = [v for end in (was * 1e-6, was * 3.0) if (v := _nearest(act, was, end, now)) is not None]  # fmt: skip
        for value in found:
            yield Turn(
                input=f"limit {name}", was=was, would_be=value, size=abs(value - was) / was,
                becomes=act(value),
            )  # fmt: skip


def _with[A: np.ndarray](values: A, at: int, value: object) -> A:
    changed = values.copy()
    changed[at] = value
    return changed
