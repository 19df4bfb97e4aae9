"""Round trips: from an asset's first fill when flat to the fill that makes it flat again. Pure.

Money is in USDT, quantities in units of the base. A trade's net is its realised profit minus its
fees; its prices include spread and slippage; funding is not included.
"""

import heapq
import statistics
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from dolphin_realtime.model.portfolio.account import Position

LONG: Final = "LONG"
SHORT: Final = "SHORT"


class Trade(msgspec.Struct, kw_only=True):
    """One round trip; ``closed_us`` is None while it is open.

    Attributes:
        closed_by: Client order id of the fill that closed it, or id of the operator's change.
        quantity: Largest quantity held.
        average_open: Average price of the fills that opened or enlarged it.
        average_close: Average price of the fills that reduced or closed it, None before the first.
        realised: Profit realised so far, before fees.
    """

    asset: str
    side: str
    opened_us: int
    closed_us: int | None = None
    closed_by: str | None = None
    quantity: float = 0.0
    average_open: float = 0.0
    average_close: float | None = None
    realised: float = 0.0
    fees: float = 0.0

    @property
    def net(self) -> float:
        """Realised profit minus fees."""
        return self.realised - self.fees

    @property
    def hold_s(self) -> float | None:
        """Seconds from open to close."""
        return None if self.closed_us is None else (self.closed_us - self.opened_us) / 1e6


class TradeFigures(msgspec.Struct, kw_only=True):
    """Figures of closed trades; None if there are no trades to compute them from.

    Attributes:
        win_rate: Share with a net above 0.
        payoff: Mean gain over mean loss.
        profit_factor: Sum of gains over sum of losses.
    """

    count: int
    net: float
    win_rate: float | None = None
    payoff: float | None = None
    profit_factor: float | None = None
    hold_median_s: float | None = None
    hold_max_s: float | None = None


class _Book:
    """One asset's position and the open trade that it belongs to."""

    def __init__(self) -> None:
        self.position, self.trade = Position(), None
        self.opened = self.closed = 0.0

    trade: Trade | None

    def take(self, fill: dict[str, Any]) -> Trade | None:
        """Apply a fill; return the trade that it closed."""
        signed = fill["quantity"] if fill["side"] == "BUY" else -fill["quantity"]
        if self.trade is None:
            side = LONG if signed > 0.0 else SHORT
            self.trade = Trade(asset=fill["asset"], side=side, opened_us=fill["timestamp_us"])
            self.opened = self.closed = 0.0
        trade, before = self.trade, self.position.quantity
        trade.realised += self.position.apply(signed, fill["price"], fill["size_digits"])
        trade.fees += fill["fee"]
        self._average(trade, before, fill)
        trade.quantity = max(trade.quantity, abs(self.position.quantity))
        if self.position.quantity != 0.0:
            return None
        trade.closed_us, trade.closed_by = fill["timestamp_us"], fill["client_order_id"]
        self.trade = None
        return trade

    def change(self, row: dict[str, Any]) -> Trade | None:
        """Apply an operator's change of the position; return the trade that it closed."""
        position, trade, by = self.position, self.trade, row["quantity_before"]
        position.quantity, position.average_price = row["quantity"], row["average"]
        if trade is None:
            if row["quantity"]:
                side = LONG if row["quantity"] > 0.0 else SHORT
                self.trade = Trade(asset=row["asset"], side=side, opened_us=row["timestamp_us"],
                                   quantity=abs(row["quantity"]), average_open=row["average"],
                                   realised=row["realised"])  # fmt: skip
                self.opened, self.closed = abs(row["quantity"]), 0.0
            return None
        trade.realised += row["realised"]
        if row["quantity"]:
            factor = row["quantity"] / by if by else 1.0
            trade.quantity, trade.average_open = trade.quantity * factor, row["average"]
            self.opened *= factor
            return None
        trade.closed_us, trade.closed_by = row["timestamp_us"], row["id"]
        self.trade = None
        return trade

    def _average(self, trade: Trade, before: float, fill: dict[str, Any]) -> None:
        quantity, price = fill["quantity"], fill["price"]
        if abs(self.position.quantity) > abs(before):
            trade.average_open = (trade.average_open * self.opened + price * quantity) / (
                self.opened + quantity
            )
            self.opened += quantity
        else:
            known = trade.average_close or 0.0
            trade.average_close = (known * self.closed + price * quantity) / (
                self.closed + quantity
            )
            self.closed += quantity


def trades_of(
    fills: Iterable[dict[str, Any]], changes: Iterable[dict[str, Any]] = ()
) -> list[Trade]:
    """Return the trades of all fills since the account was flat, by when they opened.

    Args:
        fills: Rows with asset, side, quantity, price, fee, timestamp_us, client_order_id,
            booked_us and size_digits, in order. A change of sign must be two fills: close and open.
        changes: Rows of operators' position changes, in order, each after its scan's fills.
    """
    books: dict[str, _Book] = {}
    closed: list[Trade] = []
    by_instant = heapq.merge(
        ((f["booked_us"], 0, f) for f in fills),
        ((c["timestamp_us"], 1, c) for c in changes),
        key=lambda event: event[:2],
    )
    for _, is_change, row in by_instant:
        book = books.setdefault(row["asset"], _Book())
        trade = book.change(row) if is_change else book.take(row)
        if trade is not None:
            closed.append(trade)
    still_open = [book.trade for book in books.values() if book.trade is not None]
    return sorted([*closed, *still_open], key=lambda t: (t.opened_us, t.asset))


def figures_of_trades(trades: list[Trade]) -> TradeFigures:
    """Return the figures of closed trades."""
    nets = [t.net for t in trades]
    gains, losses = [n for n in nets if n > 0.0], [-n for n in nets if n < 0.0]
    holds = [t.hold_s for t in trades if t.hold_s is not None]
    return TradeFigures(
        count=len(trades),
        net=sum(nets),
        win_rate=len(gains) / len(nets) if nets else None,
        payoff=statistics.fmean(gains) / statistics.fmean(losses) if gains and losses else None,
        profit_factor=sum(gains) / sum(losses) if losses else None,
        hold_median_s=statistics.median(holds) if holds else None,
        hold_max_s=max(holds) if holds else None,
    )
