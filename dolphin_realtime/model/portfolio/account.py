"""An account: positions by average cost, cash, fees, funding and their identities.

Bookkeeping of fills and settlements belongs here; choosing orders does not (portfolio.py).
Money is USDT, quantities are units of the base, signed: positive is long.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from dolphin_realtime.model.errors import JournalError

TOLERANCE_USD: Final = 1e-6


class Position(msgspec.Struct):
    """One asset's position: signed quantity, average entry price, realised profit so far."""

    quantity: float = 0.0
    average_price: float = 0.0
    realised: float = 0.0

    def apply(self, signed_quantity: float, price: float, digits: int) -> float:
        """Take one fill and return the profit it realised, before fees.

        Args:
            signed_quantity: Units, positive for a purchase.
            price: USDT a unit.
            digits: Decimal places of the instrument's size. The quantity is rounded to them after
                each fill, so that rounding errors do not add up.
        """
        before = self.quantity
        realised = self.profit(signed_quantity, price)
        after = round(before + signed_quantity, digits)
        if after == 0.0:
            after, self.average_price = 0.0, 0.0
        elif before * after <= 0.0:
            self.average_price = price
        elif abs(after) > abs(before):
            cost = before * self.average_price + signed_quantity * price
            self.average_price = cost / after
        self.quantity = after
        self.realised += realised
        return realised

    def profit(self, signed_quantity: float, price: float) -> float:
        """Return the profit that a fill would realise, before fees."""
        if self.quantity * signed_quantity >= 0.0:
            return 0.0
        closed = min(abs(signed_quantity), abs(self.quantity))
        return closed * (price - self.average_price) * (1.0 if self.quantity > 0.0 else -1.0)

    def unrealised(self, price: float) -> float:
        """Return the open profit at ``price``."""
        return self.quantity * (price - self.average_price)


class Account(msgspec.Struct):
    """Cash and positions of one instance, rebuilt from the journal alone.

    Attributes:
        start_cash: Cash when the account was opened.
        fees: Fees paid so far.
        funding: Funding paid so far (negative: received).
        slippage: Sum of quantity * |fill - mid|, for reports; already inside the prices.
        transfers: Money moved in so far, out negative; at a real venue only.
    """

    start_cash: float
    realised: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    slippage: float = 0.0
    positions: dict[str, Position] = {}
    transfers: float = 0.0

    @property
    def cash(self) -> float:
        """start_cash + realised - fees - funding + transfers."""
        return self.start_cash + self.realised - self.fees - self.funding + self.transfers

    def apply_fill(
        self,
        asset: str,
        signed_quantity: float,
        price: float,
        fee: float,
        digits: int,
        said: float | None = None,
    ) -> float:
        """Book one fill and return the profit it realised, before fees.

        Args:
            asset: The asset.
            signed_quantity: Units, positive for a purchase.
            price: USDT a unit.
            fee: USDT.
            digits: Decimal places of the instrument's size.
            said: The profit as a real venue booked it, which rounds it in its own way.
        """
        position = self.positions.setdefault(asset, Position())
        realised = position.apply(signed_quantity, price, digits)
        if said is not None:
            position.realised += said - realised
            realised = said
        self.realised += realised
        self.fees += fee
        return realised

    def held(self) -> dict[str, float]:
        """Return the signed quantity of every open position."""
        return {a: p.quantity for a, p in self.positions.items() if p.quantity != 0.0}

    def exposures(self, prices: Mapping[str, float]) -> list[float]:
        """Return the signed notional of every open position; 0 for an asset without a price."""
        return [q * prices.get(asset, 0.0) for asset, q in self.held().items()]

    def unrealised(
        self, prices: Mapping[str, float], else_prices: Mapping[str, float] | None = None
    ) -> float:
        """Return the unrealised profit of all positions; an asset without a price counts 0.

        Args:
            prices: Prices to mark at.
            else_prices: Fallback for assets that are not in ``prices``.
        """
        total = 0.0
        for asset, p in self.positions.items():
            if p.quantity != 0.0:
                price = prices.get(asset)
                if price is None and else_prices is not None:
                    price = else_prices.get(asset)
                if price is not None:
                    total += p.unrealised(price)
        return total

    def check(self) -> None:
        """Verify the identities that hold after every fill.

        Raises:
            JournalError: If the realised profits of the positions do not sum to the account's,
                or a flat position has an entry price.
        """
        total = sum(p.realised for p in self.positions.values())
        if abs(total - self.realised) > TOLERANCE_USD:
            raise JournalError(f"positions realised {total!r}, the account {self.realised!r}")
        for asset, p in self.positions.items():
            if p.quantity == 0.0 and p.average_price != 0.0:
                raise JournalError(f"{asset} is flat but has the entry price {p.average_price!r}")


class DayPnl(msgspec.Struct):
    """Figures of one UTC day of market time, as differences from its start."""

    day: str
    start_equity: float
    start_realised: float
    start_fees: float
    start_funding: float
    trades: int = 0
    peak_equity: float = 0.0
    max_drawdown: float = 0.0
    equity: float = 0.0

    def mark(self, equity: float) -> None:
        """Add the equity after a scan; drawdown is a fraction of the day's peak."""
        self.equity = equity
        self.peak_equity = max(self.peak_equity, equity, self.start_equity)
        if self.peak_equity > 0.0:
            self.max_drawdown = max(self.max_drawdown, 1.0 - equity / self.peak_equity)

    def loss(self, day: str, equity: float) -> float:
        """Return the loss since the start of ``day`` (this day or a new one), as a fraction."""
        start = self.start_equity if day == self.day else self.equity
        return 1.0 - equity / start if start > 0.0 else 0.0
