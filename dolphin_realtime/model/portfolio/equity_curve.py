"""What equity has been: the day's figures and the peak, of sound prices alone. Pure.

Money is USDT; a loss is a fraction. Booking fills is account.py's, which prices are sound
sound_prices.py's: an asset without one is marked at its last.
"""

from collections.abc import Callable

import msgspec

from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.portfolio.account import Account, DayPnl


class EquityCurve(msgspec.Struct):
    """Equity over time, one instance.

    Attributes:
        peak: The highest equity ever marked.
        day: Figures of the UTC market day, None before the first scan.
        changed: Profit that a person's changes of positions realised since the last mark.
    """

    peak: float
    day: DayPnl | None = None
    changed: float = 0.0

    def begin_scan(self, timestamp_us: int, account: Account, equity: Callable[[], float]) -> None:
        """Begin a new day before anything of its first scan is booked.

        Args:
            timestamp_us: The scan's instant.
            account: As the scan before left it.
            equity: Gives the equity at the prices before; asked on the very first day.
        """
        day = from_us(timestamp_us).date().isoformat()
        if self.day is None or self.day.day != day:
            start = equity() if self.day is None else self.day.equity
            realised = account.realised - self.changed  # booked between scans: of the new day
            self.day = DayPnl(day, start, realised, account.fees, account.funding)

    def mark(self, equity: float) -> DayPnl:
        """Take the equity after a scan and return the day's figures."""
        if self.day is None:
            raise AssertionError("no scan has begun")
        self.day.mark(equity)
        self.peak, self.changed = max(self.peak, equity), 0.0
        return self.day

    def drawdown(self, equity: float) -> float:
        """Return the loss from the peak."""
        return 1.0 - equity / self.peak if self.peak > 0.0 else 0.0

    def day_loss(self, equity: float, now_us: int) -> float:
        """Return the loss since the UTC day of ``now_us`` began."""
        if self.day is None:
            return 0.0
        return self.day.loss(from_us(now_us).date().isoformat(), equity)
