"""Reads an account: every trade and every change of a wallet once, from stream and REST together.

The user stream tells soonest and may lose, double or fall deaf; REST says what is. The reader
listens to its own stream, catches up by REST each time it opens, compares positions and wallets
with the ledger, and trusts neither silence nor a socket that merely stays open. It never deletes a
listen key: another client may use the same one.
"""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from dolphin_realtime.infra import log
from dolphin_realtime.model.errors import VenueError
from dolphin_realtime.venues.binance.documents import (
    HeldPosition,
    Income,
    OrderUpdate,
    Trade,
    read_event,
    read_positions,
    read_wallets,
    trade_of,
)
from dolphin_realtime.venues.binance.ledger import Difference, Ledger
from dolphin_realtime.venues.binance.pace import Pace
from dolphin_realtime.venues.binance.queries import all_income, all_trades
from dolphin_realtime.venues.binance.rest import Rest
from dolphin_realtime.venues.binance.stream import ANSWER_FAULTS, UserStream, mind_clock, said

OVERLAP_MS: Final = 60_000
"""Rows are sought again from so long before."""
WALLET_TOLERANCE: Final = Decimal("0.000001")
WEEK_MS: Final = 7 * 86_400_000
"""Longest span that the venue answers a question about."""
STILL_TRIES: Final = 10
CONFIG_UPDATE: Final = "ACCOUNT_CONFIG_UPDATE"
MARGIN_CALL: Final = "MARGIN_CALL"
LATE_MS: Final = 1000
"""A trade that the stream has not told after this is one that it did not tell."""


Heard = Trade | Income | OrderUpdate
"""What a reader tells: each trade and each row of income once, and every update of an order."""


class Reader:
    """The ledger of one account, kept up to date while it runs.

    Attributes:
        ledger: What is known.
        differences: Where the venue said otherwise, twice the same, at the last comparison.
        compared_at: When that was, by the monotonic clock; None before the first.
        config_changed: Set when the stream says that modes, leverage or margin need a look.
        unanswered: Comparisons in a row that the venue did not answer.
        stream: The user stream.
        counts: Events misread, trades that only REST told.
    """

    def __init__(
        self,
        rest: Rest,
        stream_url: str,
        ledger: Ledger | None = None,
        heard: Callable[[Heard], None] = lambda _: None,
        pace: Pace | None = None,
    ) -> None:
        self._rest, self._heard = rest, heard
        self._pace = pace or Pace()
        self.ledger = ledger or Ledger()
        self._is_new = ledger is None
        self._since_ms = self.ledger.newest_ms - OVERLAP_MS
        self._confirmed: dict[str, int] = {}  # by REST: what the stream told may have holes
        self._untold: dict[tuple[str, int], int] = {}  # by REST alone, and when it traded
        self._asking = asyncio.Lock()
        self._wake = asyncio.Event()
        self.differences: list[Difference] = []
        self.stream = UserStream(
            rest, stream_url, self._hear, self._opened, self._wake.set,
            self._pace.renew_s, self._pace.steady_s,
        )  # fmt: skip
        self.compared_at: float | None = None
        self.unanswered = 0
        self.config_changed = asyncio.Event()
        self.counts = {"misread": 0, "untold": 0}

    async def start(self) -> None:
        """Measure the clock, and begin the ledger with what the account holds if it is new.

        A ledger that was given must be younger than a week: the venue answers no more.

        Raises:
            VenueError: If the venue does not answer, or the account does not stand still.
        """
        await self._rest.measure_clock()
        if self._is_new:
            await self._begin()
        elif self._since_ms < self._rest.now_ms() - WEEK_MS + OVERLAP_MS:
            raise VenueError(
                "the ledger ends more than a week ago, the venue cannot fill the gap: close what is "
                "held at the venue, and begin a new journal (docs/live.md)"
            )

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen and compare until stopped; an exception of either ends both and is raised."""
        tasks = [
            asyncio.ensure_future(one)
            for one in (stopping.wait(), self.stream.run(), self._watch())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    @property
    def agreed_ms(self) -> int:
        """From when on rows may be missing, by the venue's clock."""
        return self._since_ms + OVERLAP_MS

    def wake(self) -> None:
        """Compare soon."""
        self._wake.set()

    async def catch_up(self) -> int:
        """Ask for every row that may be missing; return how many were new. Raises VenueError."""
        async with self._asking:
            return await self._catch_up()

    async def check(self) -> None:
        """Compare the ledger with the venue; a difference is first sought among missing rows.

        Raises:
            VenueError: If the venue does not answer.
        """
        began_ms = self._rest.now_ms()
        found = await self._apart()
        names = {one.name for one in found if one.what == "position"}
        if names:
            await self._catch_up_with(names)
            found = await self._apart()
        if found:
            await self.catch_up()
            found = await self._apart()
        if found:
            await asyncio.sleep(self._pace.again_s)
            again = await self._apart()
            found = [one for one in again if one in found]
        self.differences, self.compared_at = found, time.monotonic()
        if not found:
            self._since_ms = began_ms - OVERLAP_MS
            self.ledger.forget(began_ms - WEEK_MS - OVERLAP_MS)
        await self._doubt_stream()

    async def _doubt_stream(self) -> None:
        """Open the stream anew where REST told a trade that it should have told by now."""
        before_ms = self._rest.now_ms() - LATE_MS
        untold = [key for key, at_ms in self._untold.items() if at_ms < before_ms]
        for key in untold:
            del self._untold[key]
        if untold and self.stream.why_not is None:
            self.counts["untold"] += len(untold)
            await self.stream.reopen(f"{len(untold)} trades came by REST alone")

    async def _apart(self) -> list[Difference]:
        positions, wallets = await self._snapshot()
        held = {symbol: one.quantity for symbol, one in positions.items()}
        return self.ledger.differences(held, wallets, WALLET_TOLERANCE)

    async def _snapshot(self) -> tuple[dict[str, HeldPosition], dict[str, Decimal]]:
        positions = read_positions(await self._rest.get("/fapi/v3/positionRisk"))
        return positions, read_wallets(await self._rest.get("/fapi/v2/account"))

    async def _begin(self) -> None:
        """Begin the ledger with positions and wallets between which nothing happened."""
        for _ in range(STILL_TRIES):
            self._since_ms = self._rest.now_ms() - OVERLAP_MS
            before = await self._snapshot()
            rows = await self._income(self._since_ms)
            symbols = {row.symbol for row in rows if row.symbol} | before[0].keys()
            trades = [t for s in sorted(symbols) for t in await self._trades(s)]
            if await self._snapshot() == before:
                positions, wallets = before
                held = {symbol: one.quantity for symbol, one in positions.items()}
                self.ledger = Ledger(held, wallets)
                self.ledger.leave_out(trades, rows)
                return
        raise VenueError("the account did not stand still: it cannot be taken over now")

    async def _catch_up(self) -> int:
        rows = await self._income(self._first_ms(self._rest.now_ms()))
        positions = read_positions(await self._rest.get("/fapi/v3/positionRisk"))
        symbols = {row.symbol for row in rows if row.symbol} | positions.keys()
        n_new = await self._take_trades(symbols | self.ledger.positions().keys())
        return n_new + sum(self._take(row) for row in rows)

    async def _catch_up_with(self, symbols: set[str]) -> None:
        """Ask for the trades of some symbols alone: that is cheap."""
        async with self._asking:
            await self._take_trades(symbols)

    async def _take_trades(self, symbols: set[str]) -> int:
        n_new = 0
        for symbol in sorted(symbols):
            for trade in await self._trades(symbol):
                n_new += self.take(trade)
                self._confirmed[symbol] = max(self._confirmed.get(symbol, 0), trade.id)
        return n_new

    def _first_ms(self, now_ms: int) -> int:
        """Return from when on rows are sought: since all last agreed, a week at the most."""
        return max(self._since_ms, now_ms - WEEK_MS + OVERLAP_MS)

    async def _income(self, since_ms: int) -> list[Income]:
        return await all_income(self._rest, since_ms)

    async def _trades(self, symbol: str) -> list[Trade]:
        """Return a symbol's trades after the last one that REST has told."""
        since_ms = self._first_ms(self._rest.now_ms())
        return await all_trades(self._rest, symbol, since_ms, self._confirmed.get(symbol))

    def take(self, trade: Trade) -> bool:
        """Take a trade that REST told; return whether it is new."""
        is_new = self._take(trade)
        if is_new:
            self._untold[trade.key] = trade.at_ms
        return is_new

    def _take(self, row: Trade | Income) -> bool:
        is_new = (
            self.ledger.add_trade(row) if isinstance(row, Trade) else self.ledger.add_income(row)
        )
        if is_new:
            self._heard(row)
        return is_new

    async def _opened(self) -> None:
        await self.catch_up()
        self._untold.clear()

    def _hear(self, text: str | bytes) -> str:
        """Take an event, and return its kind; one that cannot be read is counted and sought."""
        try:
            event = read_event(text)
            trade = trade_of(event)
        except (msgspec.DecodeError, ArithmeticError):
            self.counts["misread"] += 1
            self._wake.set()
            return ""
        if trade is not None:
            self._untold.pop(trade.key, None)
            self._take(trade)
        if event.order is not None:
            self._heard(event.order)
        if event.kind in (CONFIG_UPDATE, MARGIN_CALL):
            self.config_changed.set()
        if event.account is not None and event.account.reason != "ORDER":
            self._wake.set()  # money moved without a trade: its income is asked for
        return event.kind

    async def _watch(self) -> None:
        """Compare at the pace, sooner when something happened or the stream is away."""
        while True:
            wait_s = self._pace.check_s if self.stream.why_not is None else self._pace.away_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.check()
                self.unanswered = 0
            except ANSWER_FAULTS as e:
                self.unanswered += 1
                log.get().warning("venue.not_compared", why=said(e))
                await mind_clock(self._rest, e)
                await asyncio.sleep(min(self._pace.away_s, 0.5))
