"""From signals to target weights: caps, posture, and which assets need an order. Pure.

Target sizes belong here; the rules of one asset's orders are in decision.py, the signal is in
model/signal/. Notionals and equity are USDT, weights fractions of equity.
"""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.model.portfolio.decision import (
    AssetDecision,
    Decision,
    Market,
    TargetParams,
    least_usd,
)
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.signal.in_progress import SignalInProgress

Floats = NDArray[np.float64]


def capped_weights(wanted: Floats, left: float, left_net: float, p: TargetParams) -> Floats:
    """Return weights within the gross and net caps.

    Args:
        wanted: Target weight of each asset before caps.
        left: Gross weight of the positions that are not changed.
        left_net: Their net weight.
        p: The caps.
    """
    gross = float(np.abs(wanted).sum())
    room = max(0.0, p.gross_cap - left)
    weights = wanted * (room / gross) if gross > room and gross > 0.0 else wanted
    longs = float(weights[weights > 0.0].sum())
    shorts = -float(weights[weights < 0.0].sum())
    net = longs - shorts + left_net
    if net > p.net_cap and longs > 0.0:
        factor = max(0.0, longs - (net - p.net_cap)) / longs
        return np.where(weights > 0.0, weights * factor, weights)
    if net < -p.net_cap and shorts > 0.0:
        factor = max(0.0, shorts - (-net - p.net_cap)) / shorts
        return np.where(weights < 0.0, weights * factor, weights)
    return weights


class TargetWeights(msgspec.Struct, frozen=True, kw_only=True):
    """A scan's signals as arrays over its soundly priced assets, and every asset's reason.

    Attributes:
        names: The assets with a sound price.
        position: Index of each in the arrays.
        prices: Their prices.
        signal: Their signals.
        is_active: Whether the asset is traded; a zero or reversed signal then closes its position.
        reason: Returns the reason of any asset; ABSENT if the scan does not list it.
    """

    names: list[str]
    position: Mapping[str, int]
    prices: Floats
    signal: Floats
    is_active: NDArray[np.bool_]
    reason: Callable[[str], str]

    @classmethod
    def of(cls, draft: SignalInProgress) -> "TargetWeights":
        """Return the targets of a signal in progress; reasons are complete once the scan ended."""
        return cls(
            names=draft.names,
            position=draft.position,
            prices=draft.prices,
            signal=draft.signal,
            is_active=draft.is_closing,
            reason=draft.reason,
        )


class Decisions:
    """The decisions of one scan: first those that may need orders, the others on request.

    Orders must not wait for the reasons of assets that do not move: `first` holds the decisions
    that orders need; `all` adds the others, in scan order, for the journal.

    Attributes:
        wanted: The signals.
        market: Prices, positions, equity.
        limits: The permission in force.
        p: Sizing parameters.
    """

    def __init__(
        self, wanted: TargetWeights, market: Market, limits: TradingPermission, p: TargetParams
    ) -> None:
        self.wanted, self.market, self.limits, self.p = wanted, market, limits, p
        self._held = np.zeros(len(wanted.names))
        self._left: list[str] = []
        for asset, quantity in market.held.items():
            at = wanted.position.get(asset)
            if at is not None:
                self._held[at] = quantity
            if quantity != 0.0 and (at is None or not wanted.is_active[at]):
                self._left.append(asset)
        self._targets = self._sized()
        self.first = [self._decide(wanted.names[i]) for i in self._moving()]

    def _sized(self) -> Floats:
        """Return the target notional of every priced asset, caps and posture applied."""
        market, wanted = self.market, self.wanted
        weights = capped_weights(
            np.where(wanted.is_active, wanted.signal, 0.0) * self.p.asset_cap,
            *self.left_weights(),
            self.p,
        )
        return weights * self.limits.posture.target_multiplier * market.equity

    def left_weights(self) -> tuple[float, float]:
        """Return the gross and net weight of the positions that are not changed."""
        market = self.market
        share = 1.0 / market.equity if market.equity > 0.0 else 0.0
        left = [market.held[a] * _mark(a, market) * share for a in self._left]
        return sum(map(abs, left)), sum(left)

    def _moving(self) -> list[int]:
        """Return the indexes of assets to close, or further from their target than the band."""
        if self.limits.posture is Posture.HALTED:
            return []
        held, targets = self._held, self._targets
        turns = (held != 0.0) & (np.sign(targets) != np.sign(held))
        is_far = np.abs(targets - held * self.wanted.prices) >= least_usd(self.market, self.p)
        moving = self.wanted.is_active & (turns | (is_far & (targets != 0.0)))
        found: list[int] = np.flatnonzero(moving).tolist()
        return found

    def all(self) -> list[Decision]:
        """Return a decision for every asset with a signal or a position, and for no other."""
        done, wanted = {d.asset: d for d in self.first}, self.wanted
        arrays = (wanted.signal, self._held, self._targets, wanted.is_active)
        of_assets = zip(wanted.names, *(a.tolist() for a in arrays), strict=True)
        found: list[Decision] = []
        for name, signal, held, target, is_active in of_assets:
            if name in done:
                found.append(done[name])
            elif is_active and (signal or held):
                reason = self._why_left_alone(name, target)
                found.append(
                    Decision(asset=name, signal=signal, target=target, held=held, reason=reason)
                )
            elif signal or held:
                found.append(self._decide(name))
        others = (a for a in self._left if a not in wanted.position)
        return found + [done.get(a) or self._decide(a) for a in others]

    def _why_left_alone(self, asset: str, target: float) -> str:
        """Return the reason of an asset that is traded but does not move."""
        if self.limits.posture is Posture.HALTED:
            return "POSTURE_HALTED"
        if asset not in self.market.instruments:
            return "NO_INSTRUMENT"
        return "BELOW_BAND" if target != 0.0 else self.wanted.reason(asset)

    def _decide(self, asset: str) -> Decision:
        held, reason = self.market.held.get(asset, 0.0), self.wanted.reason(asset)
        at = self.wanted.position.get(asset)
        signal = 0.0 if at is None else float(self.wanted.signal[at])
        if at is None or not self.wanted.is_active[at]:
            target = held * _mark(asset, self.market)
            return Decision(asset=asset, signal=signal, target=target, held=held, reason=reason)
        target = float(self._targets[at])
        one = AssetDecision(asset, signal, reason, target, held, self.market, self.limits, self.p)
        return one.decide()


def _mark(asset: str, market: Market) -> float:
    return market.prices.get(asset) or market.last_prices.get(asset, 0.0)
