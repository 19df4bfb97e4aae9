"""Names that the venue halts or delists while a live trader runs: nothing of them is opened.

Exits go on: the venue says what it takes. The changed limits are journalled, so that the day can be
replayed.
"""

from typing import Final

import msgspec

from dolphin_realtime.infra import log
from dolphin_realtime.services.trader.live_account import LiveAccount
from dolphin_realtime.services.trader.live_ledger import limits_row
from dolphin_realtime.services.trader.scan_processor import ScanProcessor
from dolphin_realtime.venues.binance.rules import venue_of

ASK_S: Final = 3600.0
NONE: Final = "-"
"""An allow list that allows nothing: an empty one would allow everything."""


class LiveNames:
    """The names of one account's allow list that trade at the venue.

    Attributes:
        halted: Names that do not trade now.
    """

    def __init__(self, account: LiveAccount, session: ScanProcessor) -> None:
        self._account, self._session = account, session
        self.halted: tuple[str, ...] = ()

    async def ask(self) -> None:
        """Ask which names trade.

        Raises:
            VenueError: If the venue does not answer.
            msgspec.DecodeError: If the answer is not what was agreed.
        """
        info = await self._account.read.public("/fapi/v1/exchangeInfo")
        listed = venue_of(info, "", 0.0).listed
        names = self._account.live.names
        self._take(tuple(name for name in names if name not in listed))

    def _take(self, halted: tuple[str, ...]) -> None:
        if halted == self.halted:
            return
        log.get().warning("trader.names_halted", names=halted)
        self.halted = halted
        allow = [name for name in self._account.live.names if name not in halted] or [NONE]
        portfolio = self._session.portfolio
        portfolio.pre_trade = msgspec.structs.replace(portfolio.pre_trade, allow=",".join(allow))
        self._session.booking.rows.add("meta", limits_row(portfolio))
