"""What equity has been: the day's figures, the peak, and which marks may make one. Pure.

Money is USDT; a loss is a fraction. Booking fills is account.py's.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from dolphin_realtime.model.account import Account, DayPnl
from dolphin_realtime.model.instant import from_us


class Marks(msgspec.Struct):
    """Equity over time, one instance.

    Attributes:
        peak: The highest sound equity ever marked.
        sound: The last equity that no leaping price was part of.
        day: Figures of the UTC market day, None before the first scan.
        is_doubtful: Whether a held asset's price has just moved beyond the collar.
    """

    peak: float
    sound: float
    day: DayPnl | None = None
    is_doubtful: bool = False

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
            self.day = DayPnl(day, start, account.realised, account.fees, account.funding)

    def mark(self, equity: float) -> DayPnl:
        """Take the equity after a scan and return the day's figures."""
        if self.day is None:
            raise AssertionError("no scan has begun")
        self.day.mark(equity)
        if not self.is_doubtful:
            self.sound, self.peak = equity, max(self.peak, equity)
        return self.day

    def drawdown(self, equity: float) -> float:
        """Return the loss from the peak."""
        return 1.0 - equity / self.peak if self.peak > 0.0 else 0.0

    def day_loss(self, equity: float, now_us: int) -> float:
        """Return the loss since the UTC day of ``now_us`` began."""
        if self.day is None:
            return 0.0
        return self.day.loss(from_us(now_us).date().isoformat(), equity)


def has_leapt(
    held: Iterable[str], prices: Mapping[str, float], before: Mapping[str, float], collar: float
) -> bool:
    """Return whether a held asset's price moved by more than the collar: no peak is made of it."""
    return any(
        abs(prices[a] / before[a] - 1.0) > collar for a in held if a in prices and before.get(a)
    )
