"""Pre-trade limits: the last check before an order is sent, as one table. Pure.

Every limit, its setting, its unit and its code belong here; targets are computed in
portfolio/sizing.py, a venue has rules of its own. NautilusTrader checks none of these on a margin
account. The limits apply to orders that open or enlarge a position. Only NOT_FINITE stops an order
that reduces one, because a position that cannot be closed is the greater danger. The clock is
market time, so a backtest refuses the same orders as the trader.
"""

import math
from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from dolphin_realtime.model.market.instrument import MAX_STEPS
from dolphin_realtime.model.orders import OrderIntent
from dolphin_realtime.model.risk.exposure import Exposure

Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=100)]


class PreTradeParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the pre-trade limits; shares are fractions of equity, USD is the quote currency.

    Attributes:
        allow: Assets that may be traded, separated by commas; empty: every instrument.
        max_price_move: Largest move of a price since the last scan, a fraction.
        max_order_usd: Largest notional of one order.
        max_position_share: Largest position in one asset.
        max_gross_share: Largest sum of absolute positions.
        max_gross_usd: The same in USDT.
        max_net_share: Largest signed sum of positions, in either direction.
        max_orders_per_minute: Largest number of orders in any minute of market time.
        duplicate_window_s: No second opening order of an asset and side within this time.
        max_daily_loss_share: Loss of the UTC day after which nothing is opened.
        max_daily_loss_usd: The same in USDT.
        all_gross_usd: Largest sum of absolute positions of all traders together.
        all_net_usd: Largest signed sum of their positions, in either direction.
        all_asset_usd: Largest position of all traders together in one asset, in either direction.
        share_of_all: This trader's part of the three; nobody uses another's, so no trader needs to
            know what the others hold. Not set: equal parts.
    """

    allow: str = ""
    max_price_move: Share = 0.2
    max_order_usd: Positive = 25_000.0
    max_position_share: Share = 0.1
    max_gross_share: Share = 1.5
    max_gross_usd: Positive = 1e12
    max_net_share: Share = 0.6
    max_orders_per_minute: Annotated[int, msgspec.Meta(ge=1)] = 1000
    duplicate_window_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    max_daily_loss_share: Share = 0.03
    max_daily_loss_usd: Positive = 1e12
    all_gross_usd: Positive = 1e12
    all_net_usd: Positive = 1e12
    all_asset_usd: Positive = 1e12
    share_of_all: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0

    @property
    def allowed(self) -> frozenset[str]:
        """The assets that may be traded; empty: every instrument."""
        return frozenset(a.strip() for a in self.allow.split(",") if a.strip())


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An order that a limit stopped: the code, the measured value, and the bound."""

    asset: str
    side: str
    quantity: float
    code: str
    value: float
    bound: float


Measure = Callable[[OrderIntent, Exposure, PreTradeParams], tuple[float, float]]
"""Returns the measured value and its bound; a value over the bound is refused."""


class PreTradeLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table."""

    code: str
    setting: str
    measure: Measure
    guards_exits: bool = False


def _steps(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:  # noqa: ARG001
    spec = s.instruments[order.asset]
    price = s.prices[order.asset]
    steps = order.quantity * 10.0**spec.size_precision
    is_finite = math.isfinite(steps) and math.isfinite(order.quantity * price)
    return (steps if is_finite else math.inf), MAX_STEPS


def _allowed(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:  # noqa: ARG001
    names = p.allowed
    return float(bool(names) and order.asset not in names), 0.0


def _price_move(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    last = s.last_prices.get(order.asset)
    move = abs(s.prices[order.asset] / last - 1.0) if last else 0.0
    return move, p.max_price_move


def _order_usd(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    return order.quantity * s.prices[order.asset], p.max_order_usd


def _position(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    return s.share(abs(s.after(order))), p.max_position_share


def _gross(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    return s.share(_gross_after(order, s)), p.max_gross_share


def _gross_usd(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    return _gross_after(order, s), p.max_gross_usd


def _gross_after(order: OrderIntent, s: Exposure) -> float:
    return s.gross - abs(s.held(order.asset)) + abs(s.after(order))


def _net(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    return s.share(_net_after(order, s)), p.max_net_share


def _net_after(order: OrderIntent, s: Exposure) -> float:
    """Return the net position after an order, 0 if the order makes it smaller."""
    after = abs(s.net - s.held(order.asset) + s.after(order))
    return after if after > abs(s.net) else 0.0


def _all_gross(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    return _gross_after(order, s), p.all_gross_usd * p.share_of_all


def _all_net(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    return _net_after(order, s), p.all_net_usd * p.share_of_all


def _all_asset(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    return abs(s.after(order)), p.all_asset_usd * p.share_of_all


def _orders_a_minute(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:  # noqa: ARG001
    return float(len(s.pace.minute) + 1), float(p.max_orders_per_minute)


def _duplicates(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:
    last_us = s.pace.opened.get(f"{order.asset} {order.side}")
    is_repeat = last_us is not None and s.now_us - last_us < p.duplicate_window_s * 1e6
    return float(is_repeat), 0.0


def _unknown_orders(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:  # noqa: ARG001
    return float(order.asset in s.unknown), 0.0


def _daily_loss(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:  # noqa: ARG001
    return s.day_loss_share, p.max_daily_loss_share


def _daily_loss_usd(order: OrderIntent, s: Exposure, p: PreTradeParams) -> tuple[float, float]:  # noqa: ARG001
    kept = 1.0 - s.day_loss_share
    start = s.equity / kept if kept > 0.0 else math.inf
    return (start - s.equity if s.day_loss_share else 0.0), p.max_daily_loss_usd


LIMITS: Final = (
    PreTradeLimit(code="NOT_FINITE", setting="", measure=_steps, guards_exits=True),
    PreTradeLimit(code="NOT_ALLOWED", setting="allow", measure=_allowed),
    PreTradeLimit(code="PRICE_COLLAR", setting="max_price_move", measure=_price_move),
    PreTradeLimit(code="MAX_ORDER", setting="max_order_usd", measure=_order_usd),
    PreTradeLimit(code="MAX_POSITION", setting="max_position_share", measure=_position),
    PreTradeLimit(code="MAX_GROSS", setting="max_gross_share", measure=_gross),
    PreTradeLimit(code="MAX_GROSS_USD", setting="max_gross_usd", measure=_gross_usd),
    PreTradeLimit(code="MAX_NET", setting="max_net_share", measure=_net),
    PreTradeLimit(code="ALL_GROSS", setting="all_gross_usd", measure=_all_gross),
    PreTradeLimit(code="ALL_NET", setting="all_net_usd", measure=_all_net),
    PreTradeLimit(code="ALL_ASSET", setting="all_asset_usd", measure=_all_asset),
    PreTradeLimit(
        code="MAX_ORDERS_PER_MINUTE",
        setting="max_orders_per_minute",
        measure=_orders_a_minute,
    ),
    PreTradeLimit(code="DUPLICATE_ORDER", setting="duplicate_window_s", measure=_duplicates),
    PreTradeLimit(code="ORDER_UNKNOWN", setting="", measure=_unknown_orders),
    PreTradeLimit(code="DAILY_LOSS", setting="max_daily_loss_share", measure=_daily_loss),
    PreTradeLimit(code="DAILY_LOSS_USD", setting="max_daily_loss_usd", measure=_daily_loss_usd),
)
"""All limits in the order of checking; the first one that is broken gives the refusal's code."""


def check(order: OrderIntent, exposure: Exposure, p: PreTradeParams) -> Refusal | None:
    """Return the refusal of an order, None if it may be sent; NaN counts as over every bound."""
    for limit in LIMITS:
        if order.is_reduce_only and not limit.guards_exits:
            continue
        value, bound = limit.measure(order, exposure, p)
        if not value <= bound:
            return refusal_of(order, limit.code, value, bound)
    return None


def refusal_of(order: OrderIntent, code: str, value: float, bound: float) -> Refusal:
    """Return the record of a stopped order: its code, the measured value and the bound."""
    return Refusal(
        asset=order.asset,
        side=order.side,
        quantity=order.quantity,
        code=code,
        value=value,
        bound=bound,
    )


def record_sent(order: OrderIntent, exposure: Exposure) -> None:
    """Add an accepted order to the exposure; the next order is checked with it."""
    before, after = exposure.held(order.asset), exposure.after(order)
    exposure.gross += abs(after) - abs(before)
    exposure.net += after - before
    exposure.notionals[order.asset] = after
    exposure.pace.minute.append(exposure.now_us)
    if not order.is_reduce_only:
        exposure.pace.opened[f"{order.asset} {order.side}"] = exposure.now_us
