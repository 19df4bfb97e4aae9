"""The trader's own posture, in market time: a frozen market, a shocked market. Pure.

The effect of a scan's flags on entries belongs here, because a backtest must reproduce it; the
posture of the safety service is in posture.py. The stricter of the two applies.
"""

from typing import Final

import msgspec

from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture

FROZEN_SCANS: Final = 3
SHOCK_REDUCED_US: Final = 900 * 1_000_000


class MarketPosture(msgspec.Struct):
    """The number of consecutive frozen scans, and until when the market counts as shocked."""

    frozen_run: int = 0
    shock_until_us: int = 0

    def update(self, flags: set[str], now_us: int) -> None:
        """Take a scan's flags."""
        self.frozen_run = self.frozen_run + 1 if "frozen" in flags else 0
        if "shock" in flags:
            self.shock_until_us = now_us + SHOCK_REDUCED_US

    def is_shocked(self, now_us: int) -> bool:
        """Return whether a shock was less than 15 minutes ago."""
        return now_us < self.shock_until_us

    def tighten(self, limits: TradingPermission, now_us: int) -> TradingPermission:
        """Return the permission: at least REDUCED in a shock, CLOSE_ONLY while frozen."""
        posture = limits.posture
        if self.is_shocked(now_us) and posture is Posture.NORMAL:
            posture = Posture.REDUCED
        if self.frozen_run > FROZEN_SCANS and posture.rank < Posture.CLOSE_ONLY.rank:
            posture = Posture.CLOSE_ONLY
        return TradingPermission(posture=posture, entry_block=limits.entry_block)
