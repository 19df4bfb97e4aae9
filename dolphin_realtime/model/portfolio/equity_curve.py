"""The equity curve: the day's figures and the peak, marked at sound prices only. Pure.

Money is USDT; a loss is a fraction. Fills are booked in account.py; which prices are sound is
decided in market/sound_prices.py. An asset without a sound price is marked at its last one.
"""

from collections.abc import Callable

import msgspec

from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.portfolio.account import Account, DayPnl


class EquityCurve(msgspec.Struct):
    """Equity over time, one instance.

    Attributes:
        peak: The highest equity ever marked.
        day: Figures of the UTC day of market time, None before the first scan.
        changed: Profit that an operator's position changes realised since the last mark.
    """

    peak: float
    day: DayPnl | None = None
    changed: float = 0.0

    def begin_scan(self, timestamp_us: int, account: Account, equity: Callable[[], float]) -> None:
        """Begin a new day, if it is one, before anything of its first scan is booked.

        Args:
            timestamp_us: The scan's instant.
            account: The account as the scan before left it.
            equity: Returns the equity at the last prices; called on the very first day only.
        """
        day = from_us(timestamp_us).date().isoformat()
        if self.day is None or self.day.day != day:
            if self.day is None:  # whatever came before the first scan is of the first day
                self.day = DayPnl(day, equity(), 0.0, 0.0, 0.0)
                return
            realised = account.realised - self.changed  # booked between scans: of the new day
            self.day = DayPnl(day, self.day.equity, realised, account.fees, account.funding)

    def mark(self, equity: float) -> DayPnl:
        """Add the equity after a scan and return the day's figures."""
        if self.day is None:
            raise AssertionError("no scan has begun")
        self.day.mark(equity)
        self.peak, self.changed = max(self.peak, equity), 0.0
        return self.day

    def move(self, amount: float) -> None:
        """Move peak and day with money that was moved in or out: it is no profit and no loss."""
        self.peak += amount
        if self.day is not None:
            self.day.start_equity += amount
            self.day.peak_equity += amount
            self.day.equity += amount

    def drawdown(self, equity: float) -> float:
        """Return the loss from the peak."""
        return 1.0 - equity / self.peak if self.peak > 0.0 else 0.0

    def day_loss(self, equity: float, now_us: int) -> float:
        """Return the loss since the UTC day of ``now_us`` began."""
        if self.day is None:
            return 0.0
        return self.day.loss(from_us(now_us).date().isoformat(), equity)
