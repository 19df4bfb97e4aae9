"""The exposure that orders are checked against, and the order rate. Pure.

What is allowed belongs in pre_trade.py.
"""

import math
from collections.abc import Mapping

import msgspec

from dolphin_realtime.model.instant import MINUTE_US
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.orders import OrderIntent
from dolphin_realtime.model.portfolio.decision import Market


class Pace(msgspec.Struct):
    """The order rate: what the limits remember of orders that were sent, in market time.

    Attributes:
        minute: Instants of the orders of the last minute.
        opened: When a position was last opened or enlarged, by "asset side".
    """

    minute: list[int] = []
    opened: dict[str, int] = {}

    def copied(self) -> "Pace":
        """Return a copy to which orders can be added."""
        return Pace(minute=list(self.minute), opened=dict(self.opened))

    def at(self, now_us: int) -> None:
        """Forget the orders that are a minute old or older."""
        if self.minute and now_us - self.minute[0] >= MINUTE_US:
            self.minute = [t for t in self.minute if now_us - t < MINUTE_US]


class Exposure(msgspec.Struct, kw_only=True):
    """The exposure that orders are checked against; each accepted order is added to it.

    Attributes:
        now_us: The scan's instant.
        prices: This scan's prices.
        last_prices: The prices before.
        notionals: Projected positions in USD, signed.
        equity: Equity at this scan's prices.
        day_loss_share: Loss since the UTC day began, a fraction, negative for a profit.
        instruments: Tradable instruments.
        pace: The order rate.
        unknown: Assets with an order in state UNKNOWN.
    """

    now_us: int
    prices: Mapping[str, float]
    last_prices: Mapping[str, float]
    notionals: dict[str, float]
    equity: float
    day_loss_share: float
    instruments: Mapping[str, InstrumentSpec]
    pace: Pace
    unknown: frozenset[str] = frozenset()
    gross: float = 0.0
    net: float = 0.0

    def __post_init__(self) -> None:
        self.gross = sum(map(abs, self.notionals.values()))
        self.net = sum(self.notionals.values())

    @classmethod
    def of(
        cls,
        market: Market,
        now_us: int,
        day_loss_share: float,
        pace: Pace,
        unknown: frozenset[str] = frozenset(),
    ) -> "Exposure":
        """Return a portfolio's exposure at a scan, before any order of this scan."""
        now, before = market.prices, market.last_prices
        return cls(
            now_us=now_us,
            prices=now,
            last_prices=before,
            notionals={
                a: q * (now.get(a) or before.get(a, 0.0)) for a, q in market.held.items() if q
            },
            equity=market.equity,
            day_loss_share=day_loss_share,
            instruments=market.instruments,
            pace=pace,
            unknown=unknown,
        )

    def copied(self) -> "Exposure":
        """Return a copy to which orders can be added."""
        return msgspec.structs.replace(
            self, notionals=dict(self.notionals), pace=self.pace.copied()
        )

    def held(self, asset: str) -> float:
        """Return the asset's projected position in USD."""
        return self.notionals.get(asset, 0.0)

    def after(self, order: OrderIntent) -> float:
        """Return the asset's position in USD after ``order`` has filled at this scan's price."""
        size = order.quantity * self.prices[order.asset]
        return self.held(order.asset) + (size if order.side == "BUY" else -size)

    def share(self, usd: float) -> float:
        """Return an amount as a share of equity; infinite if equity is not above 0."""
        return usd / self.equity if self.equity > 0.0 else math.inf
