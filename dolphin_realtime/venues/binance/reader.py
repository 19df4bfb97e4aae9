"""Reads an account: every trade and every change of a wallet once, from stream and REST together.

The user stream tells soonest and may lose, double or fall deaf; REST says what is. The reader
listens to its own stream, catches up by REST each time it opens, compares positions and wallets
with the ledger, and trusts neither silence nor a socket that merely stays open. It never deletes a
listen key: another client may use the same one.
"""

import asyncio
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from dolphin_realtime.infra import log
from dolphin_realtime.model.errors import VenueError, VenueRefused
from dolphin_realtime.venues.binance.documents import (
    HeldPosition,
    Income,
    Trade,
    read_event,
    read_income,
    read_positions,
    read_trades,
    read_wallets,
    trade_of,
)
from dolphin_realtime.venues.binance.ledger import Difference, Ledger
from dolphin_realtime.venues.binance.rest import Rest

PAGE: Final = 1000
OVERLAP_MS: Final = 60_000
"""Income is asked again from so long before the newest row."""
WALLET_TOLERANCE: Final = Decimal("0.000001")
AGAIN_S: Final = 2.0
"""A difference counts when it is seen again after this, with no row in between."""
BACKOFF_S: Final = (0.2, 5.0)
STILL_TRIES: Final = 10
DEAD_KEY: Final = -1125
ANSWER_FAULTS: Final = (VenueError, msgspec.DecodeError)
STREAM_FAULTS: Final = (*ANSWER_FAULTS, OSError, WebSocketException, TimeoutError)


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often the venue is asked, in seconds.

    Attributes:
        check_s: Between two comparisons with the venue.
        away_s: Between two questions while the stream is away.
        renew_s: Between two renewals of the listen key.
    """

    check_s: float = 10.0
    away_s: float = 2.0
    renew_s: float = 30.0


class Reader:
    """The ledger of one account, kept up to date while it runs.

    Attributes:
        ledger: What is known.
        differences: Where the venue says otherwise, seen twice; empty while all agrees.
        why_not_whole: Why the stream is not to be trusted now; None while it is.
        counts: Streams opened, events misread, differences mended by catching up.
    """

    def __init__(
        self,
        rest: Rest,
        stream_url: str,
        ledger: Ledger | None = None,
        heard: Callable[[Trade | Income], None] = lambda _: None,
        pace: Pace | None = None,
    ) -> None:
        self._rest, self._url, self._heard = rest, stream_url.rstrip("/"), heard
        self._pace = pace or Pace()
        self.ledger = ledger or Ledger()
        self._is_new = ledger is None
        self._since_ms = 0
        self._confirmed: dict[str, int] = {}
        self._asking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._socket: ClientConnection | None = None
        self.differences: list[Difference] = []
        self.why_not_whole: str | None = "not started"
        self.counts = {"opened": 0, "misread": 0, "mended": 0}

    async def start(self) -> None:
        """Measure the clock, and begin the ledger with what the account holds if it is new.

        Raises:
            VenueError: If the venue does not answer, or the account does not stand still.
        """
        await self._rest.measure_clock()
        if self._is_new:
            await self._begin()

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen and compare until stopped; an exception of either ends both and is raised."""
        tasks = [
            asyncio.ensure_future(one) for one in (stopping.wait(), self._listen(), self._watch())
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def catch_up(self) -> int:
        """Ask for every row that may be missing; return how many were new.

        Raises:
            VenueError: If the venue does not answer.
        """
        async with self._asking:
            return await self._catch_up()

    async def check(self) -> None:
        """Compare the ledger with the venue; a difference is first sought among missing rows.

        Raises:
            VenueError: If the venue does not answer.
        """
        if not await self._apart():
            self.differences = []
            return
        if await self.catch_up():
            self.counts["mended"] += 1
            await self._rekey("rows were missing that the stream did not tell")
        n_rows = self._n_rows
        found = await self._apart()
        await asyncio.sleep(AGAIN_S if found else 0.0)
        again = await self._apart() if found else []
        self.differences = again if n_rows == self._n_rows else self.differences

    @property
    def _n_rows(self) -> int:
        return len(self.ledger.trades) + len(self.ledger.income)

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
        newest = self.ledger.newest_income_ms() - OVERLAP_MS
        rows = await self._income(max(self._since_ms, newest))
        positions = read_positions(await self._rest.get("/fapi/v3/positionRisk"))
        symbols = {row.symbol for row in rows if row.symbol} | positions.keys()
        n_new = 0
        for symbol in sorted(symbols | self.ledger.positions().keys()):
            for trade in await self._trades(symbol):
                n_new += self._take(trade)
                self._confirmed[symbol] = max(self._confirmed.get(symbol, 0), trade.id)
        return n_new + sum(self._take(row) for row in rows)

    async def _income(self, since_ms: int) -> list[Income]:
        found: list[Income] = []
        page = 1
        while True:
            rows = read_income(await self._rest.get(
                "/fapi/v1/income", startTime=since_ms, limit=PAGE, page=page
            ))  # fmt: skip
            found += rows
            if len(rows) < PAGE:
                return found
            page += 1

    async def _trades(self, symbol: str) -> list[Trade]:
        """Return a symbol's trades after the last one that REST has told."""
        found: list[Trade] = []
        last = self._confirmed.get(symbol)
        while True:
            first: dict[str, str | int]
            first = {"startTime": self._since_ms} if last is None else {"fromId": last + 1}
            page = read_trades(await self._rest.get(
                "/fapi/v1/userTrades", symbol=symbol, limit=PAGE, **first
            ))  # fmt: skip
            found += page
            if len(page) < PAGE:
                return found
            last = page[-1].id

    def _take(self, row: Trade | Income) -> bool:
        is_new = (
            self.ledger.add_trade(row) if isinstance(row, Trade) else self.ledger.add_income(row)
        )
        if is_new:
            self._heard(row)
        return is_new

    async def _listen(self) -> None:
        attempt = 0
        while True:
            try:
                key = await self._rest.make_listen_key()
                async with connect(f"{self._url}/ws?listenKey={key}", open_timeout=3) as socket:
                    self._socket = socket
                    await self.catch_up()
                    self.counts["opened"] += 1
                    self.why_not_whole, attempt = None, 0
                    await self._hear_all(socket)
                    self.why_not_whole = "the stream was closed"
            except STREAM_FAULTS as e:
                self.why_not_whole = f"{type(e).__name__}: {e}"
                log.get().warning("venue.stream_lost", why=self.why_not_whole)
            self._socket = None
            self._wake.set()
            low, high = BACKOFF_S
            await asyncio.sleep(min(high, low * 2.0**attempt) * random.uniform(0.5, 1.0))
            attempt += 1

    async def _hear_all(self, socket: ClientConnection) -> None:
        renewing = asyncio.create_task(self._renew(socket))
        try:
            async for text in socket:
                self._hear(text)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _hear(self, text: str | bytes) -> None:
        try:
            event = read_event(text)
            trade = trade_of(event)
        except msgspec.DecodeError:
            self.counts["misread"] += 1
            self._wake.set()
            return
        if trade is not None:
            self._take(trade)
        if event.account is not None and event.account.reason != "ORDER":
            self._wake.set()  # money moved without a trade: its income is asked for

    async def _renew(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(self._pace.renew_s)
            try:
                await self._rest.renew_listen_key()
            except VenueRefused as e:
                if e.code == DEAD_KEY:
                    await socket.close()
                    return
            except VenueError as e:
                log.get().warning("venue.key_not_renewed", why=str(e))

    async def _rekey(self, why: str) -> None:
        """Close the stream, so that it is opened anew with a living key."""
        if self._socket is not None:
            log.get().warning("venue.rekey", why=why)
            self.why_not_whole = why
            await self._socket.close()

    async def _watch(self) -> None:
        """Compare at the pace, sooner when something happened or the stream is away."""
        while True:
            wait_s = self._pace.check_s if self.why_not_whole is None else self._pace.away_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                if self.why_not_whole is not None:
                    await self.catch_up()
                await self.check()
            except ANSWER_FAULTS as e:
                log.get().warning("venue.not_compared", why=f"{type(e).__name__}: {e}")
                await asyncio.sleep(min(self._pace.away_s, 0.5))
