"""Trades from outside that no person has adopted yet."""

import time
from collections.abc import Iterable

from dolphin_realtime.model.portfolio.venue_account import Cause, Outside
from dolphin_realtime.model.risk.live_findings import ADL_S, OutsideTrade


class OutsideTrades:
    """What was not the trader's: kept until it is adopted; what the venue reduced ends by itself."""

    def __init__(self) -> None:
        self._trades: list[tuple[str, Cause, int]] = []

    def load(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """Take over what an earlier process booked: (asset, source, venue's instant in µs)."""
        for asset, source, at_us in rows:
            self._trades.append((asset, Cause(source.split()[1].rstrip(":")), at_us))

    def note(self, trade: Outside) -> None:
        """Keep a trade that was booked."""
        self._trades.append((trade.asset, trade.cause, trade.venue.at_us))

    def standing(self) -> tuple[OutsideTrade, ...]:
        """Return what still counts, with its age."""
        now_us = time.time() * 1e6
        old_us = now_us - ADL_S * 1e6
        self._trades = [x for x in self._trades if x[1] is not Cause.ADL or x[2] > old_us]
        return tuple(
            OutsideTrade(asset=asset, cause=cause, age_s=max(0.0, (now_us - at_us) / 1e6))
            for asset, cause, at_us in self._trades
        )

    def adopt(self) -> int:
        """Forget all of them, and return how many there were."""
        n_adopted, self._trades = len(self._trades), []
        return n_adopted
