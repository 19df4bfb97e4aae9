"""One asset's decision: from target and position to orders, or to the reason for no order.

The records of a decision and its rules belong here; the size of targets is computed in sizing.py,
orders are sent by an engine. Notionals and equity are USDT, quantities units of the base.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.orders import OrderIntent
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture

Fraction = Annotated[float, msgspec.Meta(gt=0, le=10)]


class TargetParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizing: fractions of equity, except min_notional_usd.

    Attributes:
        asset_cap: Weight of a full signal.
        gross_cap: Largest sum of the absolute weights.
        net_cap: Largest sum of the signed weights, in either direction.
        band: Smallest change worth an order, as a share of asset_cap.
        min_notional_usd: Smallest order.
    """

    asset_cap: Fraction = 0.05
    gross_cap: Fraction = 1.0
    net_cap: Fraction = 0.3
    band: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.25
    min_notional_usd: Annotated[float, msgspec.Meta(ge=0)] = 10.0


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided for one asset at one scan, and why.

    Attributes:
        target: Target notional, signed.
        held: Projected position in units, signed.
        reason: OK if an order was sent for a signal, else why not (or why it closed).
    """

    asset: str
    signal: float
    target: float
    held: float
    reason: str
    orders: tuple[OrderIntent, ...] = ()


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of sizing at one scan: prices, positions, equity and instruments.

    Attributes:
        prices: This scan's usable prices.
        last_prices: The last sound prices before this scan.
        held: Projected positions in units.
        equity: Cash and unrealised profit at this scan's prices, before its fills.
        instruments: Tradable instruments.
    """

    prices: Mapping[str, float]
    last_prices: Mapping[str, float]
    held: Mapping[str, float]
    equity: float
    instruments: Mapping[str, InstrumentSpec]


def least_usd(market: Market, p: TargetParams) -> float:
    """Return the smallest change of a position, in USDT, that is worth an order."""
    return max(p.min_notional_usd, p.band * p.asset_cap * market.equity)


def _sign(x: float) -> int:
    return (x > 0.0) - (x < 0.0)


class AssetDecision:
    """The decision of one asset, rule by rule."""

    def __init__(
        self,
        asset: str,
        signal: float,
        reason: str,
        target: float,
        held: float,
        market: Market,
        limits: TradingPermission,
        p: TargetParams,
    ) -> None:
        self.asset, self.signal, self.reason = asset, signal, reason
        self.target, self.held = target, held
        self.price = market.prices[asset]
        self.limits, self.market, self.p = limits, market, p
        self.spec = market.instruments.get(asset)
        self.least = max(least_usd(market, p), self.spec.least_usd if self.spec else 0.0)

    def decide(self) -> Decision:
        """Return the decision: closes first, then the band and reductions, then entry blocks."""
        if self.limits.posture is Posture.HALTED:
            return self._refuse("POSTURE_HALTED")
        if self.spec is None:
            return self._refuse("NO_INSTRUMENT")
        if self.held != 0.0 and _sign(self.target) != _sign(self.held):
            return self._close_and_open()
        if self.target == 0.0:
            return self._refuse(self.reason)
        if abs(self.target - self.held * self.price) < self.least:
            return self._refuse("BELOW_BAND")
        if abs(self.target) < abs(self.held) * self.price:
            return self._shrink()
        block = self._entry_block()
        if block is not None:
            return self._refuse(block)
        quantity = self._floor((abs(self.target) - abs(self.held) * self.price) / self.price)
        leg = "A" if self.held else "O"
        return self._order(self._intent(_sign(self.target), quantity, leg, is_reduce_only=False))

    def _entry_block(self) -> str | None:
        if self.limits.posture is Posture.CLOSE_ONLY:
            return "POSTURE_CLOSE_ONLY"
        return self.limits.entry_block

    def _close_and_open(self) -> Decision:
        close = self._intent(-_sign(self.held), abs(self.held), "C", is_reduce_only=True)
        if close.quantity <= 0.0:
            return self._refuse("BELOW_STEP")
        orders = [close]
        reason = self.reason
        if self.target != 0.0 and abs(self.target) >= self.least:
            block = self._entry_block()
            quantity = self._floor(abs(self.target) / self.price)
            if block is None and quantity > 0.0:
                orders.append(self._intent(_sign(self.target), quantity, "O", is_reduce_only=False))
            reason = block or reason
        return self._decision(reason, tuple(orders))

    def _shrink(self) -> Decision:
        quantity = self._floor((abs(self.held) * self.price - abs(self.target)) / self.price)
        return self._order(self._intent(-_sign(self.held), quantity, "A", is_reduce_only=True))

    def _floor(self, quantity: float) -> float:
        spec = self.spec
        return 0.0 if spec is None else spec.floor_quantity(quantity)

    def _intent(self, sign: int, quantity: float, leg: str, *, is_reduce_only: bool) -> OrderIntent:
        return OrderIntent(
            asset=self.asset,
            side="BUY" if sign > 0 else "SELL",
            quantity=round(quantity, self.spec.size_precision) if self.spec else quantity,
            leg=leg,
            is_reduce_only=is_reduce_only,
        )

    def _order(self, order: OrderIntent) -> Decision:
        if order.quantity <= 0.0:
            return self._refuse("BELOW_STEP")
        return self._decision(self.reason, (order,))

    def _refuse(self, reason: str) -> Decision:
        return self._decision(reason, ())

    def _decision(self, reason: str, orders: tuple[OrderIntent, ...]) -> Decision:
        return Decision(
            asset=self.asset,
            signal=self.signal,
            target=self.target,
            held=self.held,
            reason=reason,
            orders=orders,
        )
