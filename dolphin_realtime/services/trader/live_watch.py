"""Watches the account while a live trader runs: measures facts, and tells what they call for.

The table of facts and postures is in model/risk/live_findings.py; comparing the ledger with the
venue is the reader's. Nothing here changes the book.
"""

import asyncio
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from dolphin_realtime.engine.live import LiveEngine
from dolphin_realtime.journal import database
from dolphin_realtime.journal.tables import MetaRow
from dolphin_realtime.journal.venue_rows import APART
from dolphin_realtime.model.documents import LiveState, VenueFinding
from dolphin_realtime.model.errors import VenueRefused
from dolphin_realtime.model.portfolio.payments import QUOTE
from dolphin_realtime.model.risk.live_findings import (
    NODE_APART,
    Finding,
    LiveFacts,
    findings,
)
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.trader import live_ledger, live_names
from dolphin_realtime.services.trader.live_account import LiveAccount
from dolphin_realtime.services.trader.live_alerts import UNSEEN, tell_findings, tell_start
from dolphin_realtime.services.trader.live_outside import OutsideTrades
from dolphin_realtime.services.trader.scan_processor import ScanProcessor
from dolphin_realtime.trading.venue_booking import VenueBooking
from dolphin_realtime.trading.venue_turn import VenueTurn
from dolphin_realtime.venues.binance.condition import Condition, ask_condition
from dolphin_realtime.venues.binance.reader import Reader
from dolphin_realtime.venues.binance.stream import ANSWER_FAULTS

TURN_S: Final = 0.5
ASK_S: Final = 30.0
"""Longest time between two questions about modes, leverage and margin."""
ASK_AGAIN_S: Final = 2.0
AGREE_S: Final = 60.0
BOOK_S: Final = 5.0
"""What the ledger has and the portfolio has not after this was not booked."""
RECONNECT_S: Final = 30.0
RENEW_S: Final = 60.0


STARTING: Final = Finding(code=UNSEEN, posture=None, why="the account is not looked at yet")


class LiveWatch:
    """One account's watch.

    Attributes:
        found: What the facts of the last turn call for.
        opened_at: When the journal's account was opened.
    """

    def __init__(
        self, context: ServiceContext, account: LiveAccount, reader: Reader, engine: LiveEngine,
        session: ScanProcessor, raised_usd: float,
    ) -> None:  # fmt: skip
        self._context, self._account, self._reader = context, account, reader
        self._engine, self._session, self._raised_usd = engine, session, raised_usd
        self._booking: VenueBooking = session.booking  # type: ignore[assignment]
        self._outside = OutsideTrades()
        self._condition = Condition()
        self._unanswered = self._refused = 0
        self._is_asked = self._node_lacks = False
        self._names, self._names_at = live_names.LiveNames(account, session), time.monotonic()
        self._agreed_at = self._reconnected_at = self._renewed_at = 0.0
        self._renewing: asyncio.Task[None] | None = None
        self._book_apart_at: float | None = None
        self._wallet_apart_at: float | None = None
        self._stream_lost_at: float | None = None
        self.found = [STARTING]
        self.facts = LiveFacts()

    def begin(self, db: sqlite3.Connection) -> None:
        """Take over the trades from outside that nobody has adopted yet."""
        self._outside.load(live_ledger.not_adopted(db))
        opened_ms = int(database.meta(db, live_ledger.OPENED))
        self.opened_at = datetime.fromtimestamp(opened_ms / 1000, UTC)

    def entry_block(self) -> str | None:
        """Return why the venue's state lets nothing be opened, None if it does."""
        return self.found[0].code if self.found else None

    async def run(self) -> None:
        """Watch for ever; a fault of its own blocks entries."""
        tell_start(self._context, self._account, self._session.portfolio)
        asking = asyncio.create_task(self._ask_on())
        try:
            while True:
                if asking.done():
                    asking.result()
                self._turn()
                await asyncio.sleep(TURN_S)
        except Exception as e:
            self._booking.failed(f"the account is not watched: {type(e).__name__}: {e}")
            raise
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask_on(self) -> None:
        """Ask about modes, leverage and margin, at once where the stream says that they changed."""
        while True:
            is_known = not self._account.read.blocked_s and await self._ask()
            self._is_asked = self._is_asked or is_known
            self._reader.config_changed.clear()
            try:
                async with asyncio.timeout(ASK_S if is_known else ASK_AGAIN_S):
                    await self._reader.config_changed.wait()
            except TimeoutError:
                continue

    def _turn(self) -> None:
        now = time.monotonic()
        self._note_outside()
        self._repair(now)
        self._renew_node(now)
        self._keep_agreement(now)
        self.facts = self._measure(now)
        before, self.found = {f.code for f in self.found}, findings(self.facts)
        if not self._is_asked:
            self.found.append(STARTING)
        tell_findings(self._context, before, self.found)

    async def _ask(self) -> bool:
        """Ask once, and return whether the venue answered."""
        try:
            self._condition = await ask_condition(self._account.read)
            if time.monotonic() - self._names_at >= live_names.ASK_S:
                await self._names.ask()
                self._names_at = time.monotonic()
        except VenueRefused as e:
            self._refused = e.code
            self._unanswered += 1
        except ANSWER_FAULTS:
            self._unanswered += 1
        else:
            self._unanswered = self._refused = 0
            return True
        return False

    def _note_outside(self) -> None:
        while self._booking.outside:
            self._outside.note(self._booking.outside.popleft())

    def _repair(self, now: float) -> None:
        """Open a stream anew where the other one has trades that it lacks."""
        node_lacks, reader_lacks = self._engine.watch.node_lacks(now)
        if node_lacks and now - self._reconnected_at > RECONNECT_S:
            self._reconnected_at = now
            self._engine.reconnect_node()
        if reader_lacks:
            self._reader.wake()

    def _renew_node(self, now: float) -> None:
        """Build the node anew where it ended, or its positions are wrong in many names or in vain."""
        if self._renewing is not None and not self._renewing.done():
            return
        is_calm = not (
            self._engine.watch.is_asking or self._reader.differences or self._reader.stream.why_not
        )
        apart, held = self.facts.node_apart, self._reader.ledger.positions()
        is_wrong = is_calm and (len(apart) > NODE_APART or (apart and not held))
        listed = self._account.venue.listed
        lacks = {a: listed[a] for a in held if a in listed and a not in self._engine.specs}
        self._engine.specs.update(lacks)  # a name from outside: without it no exit could leave
        self._node_lacks = self._node_lacks or bool(lacks)
        if (
            is_wrong or self._node_lacks or self._engine.node_away
        ) and now - self._renewed_at > RENEW_S:
            self._renewed_at, self._node_lacks = now, False
            self._context.log.warning("trader.node_renewed", apart=self.facts.node_apart)
            self._renewing = asyncio.create_task(self._engine.restart_node())

    def _keep_agreement(self, now: float) -> None:
        """Journal from when on rows are to be sought after a restart."""
        is_whole = not (
            self._reader.differences or self._engine.watch.is_placing or self._booking.queue
        )
        if now - self._agreed_at >= AGREE_S and is_whole:
            self._agreed_at = now
            n_apart = str(self._engine.watch.n_node_apart)
            for name, fact in ((live_ledger.AGREED, str(self._reader.agreed_ms)), (APART, n_apart)):
                self._booking.rows.add("meta", MetaRow(name, fact))

    def _measure(self, now: float) -> LiveFacts:
        reader, read, condition = self._reader, self._account.read, self._condition
        wallet, live = self._wallet_apart(), self._account.live
        self._wallet_apart_at = (self._wallet_apart_at or now) if wallet else None
        self._stream_lost_at = (self._stream_lost_at or now) if reader.stream.why_not else None
        return LiveFacts(
            unknown_s=tuple(now - life.since for life in self._engine.watch.unknown),
            unplaced_s=self._engine.watch.unplaced_s(now), outside=self._outside.standing(),
            apart=tuple(f"{d.name}: ledger {d.ledger}, venue {d.venue}"
                        for d in reader.differences if d.what == "position"),
            book_apart=self._book_apart(now), wallet_apart=wallet, wallet_apart_s=_since(self._wallet_apart_at, now),
            equity=self._session.portfolio.equity(),
            stream_lost_s=_since(self._stream_lost_at, now),
            node_stream_lost_s=_since(self._engine.node_stream_lost_at, now),
            node_away=self._engine.node_away or "",
            unanswered=max(self._unanswered, reader.unanswered),
            refused=self._engine.key_refused or self._refused,
            blocked_s=read.blocked_s, clock_ms=condition.clock_ms,
            wrong_modes=condition.wrong_modes,
            wrong_leverage=condition.wrong_leverage(live.names, live.leverage),
            margin=condition.margin, node_apart=self._node_apart(),
        )  # fmt: skip

    def _book_apart(self, now: float) -> tuple[str, ...]:
        """Return the names in which the portfolio has not what the ledger has, for BOOK_S."""
        portfolio = self._session.portfolio
        ours, ledger = portfolio.account.held(), self._reader.ledger.positions()
        names = tuple(
            name for name in sorted(ours.keys() | ledger.keys())
            if round(ours.get(name, 0.0) - float(ledger.get(name, 0)), portfolio.digits(name))
        )  # fmt: skip
        is_late = names and not (self._booking.queue or self._engine.watch.is_placing)
        self._book_apart_at = (self._book_apart_at or now) if is_late else None
        return names if _since(self._book_apart_at, now) > BOOK_S else ()

    def _wallet_apart(self) -> float:
        """Return by how much wallets differ, USDT; an asset without a price counts as one USDT."""
        prices = self._session.portfolio.prices
        return max(
            (float(abs(d.ledger - d.venue)) * prices.get(f"{d.name}{QUOTE}", 1.0)
             for d in self._reader.differences if d.what == "wallet"),
            default=0.0,
        )  # fmt: skip

    def _node_apart(self) -> tuple[str, ...]:
        """Return the names in which node and ledger differ while nothing is on its way."""
        if self._engine.watch.lives.by_id:
            return self.facts.node_apart
        ours = {a: float(q) for a, q in self._reader.ledger.positions().items()}
        node = self._engine.node_positions()
        names = [a for a in self._account.specs if ours.get(a, 0.0) != node.get(a, 0.0)]
        return tuple(sorted(names))

    def adopt(self, who: str, reason: str) -> int:
        """Adopt the trades from outside that were booked so far; return how many there were."""
        self._note_outside()
        n_adopted = self._outside.adopt()
        self._note(live_ledger.ADOPTED, who, reason)
        return n_adopted

    def raise_cap(self, who: str, reason: str) -> float:
        """Lift the cap of the first day to that of the settings; return it."""
        portfolio, cap = self._session.portfolio, self._raised_usd
        portfolio.pre_trade = msgspec.structs.replace(portfolio.pre_trade, max_gross_usd=cap)
        self._booking.rows.add("meta", live_ledger.limits_row(portfolio))
        self._note(live_ledger.RAISED, who, reason)
        return cap

    def _note(self, name: str, who: str, reason: str) -> None:
        """Journal what a person decided about the account, beside what was decided before."""
        seq = self._booking.venue_rows.seq
        fact = {"seq": seq, "who": who, "reason": reason,
                "at": datetime.now(UTC).isoformat()}  # fmt: skip
        turn: VenueTurn = self._session.turn  # type: ignore[assignment]
        text = msgspec.json.encode(fact).decode()
        self._booking.rows.add("meta", MetaRow(f"{name} {seq}", text))
        turn.note(MetaRow(name, text))

    def state(self) -> LiveState:
        """Return what STATE says of the venue."""
        live, facts = self._account.live, self.facts
        return LiveState(
            venue=live.venue, account=self._account.trade_key.key[-4:],
            simulated="loopback venue" if live.venue == "loopback" else None,
            stream=self._reader.stream.why_not, unknown=len(facts.unknown_s),
            outside=len(facts.outside), compared_at=self._compared_at(), node_apart=list(facts.node_apart),
            node_differences=self._engine.watch.n_node_apart, wallet_apart=facts.wallet_apart,
            margin=facts.margin, weight=self._account.read.used_weight,
            max_gross_usd=self._session.portfolio.pre_trade.max_gross_usd,
            findings=[VenueFinding(code=f.code, posture=f.posture, why=f.why) for f in self.found],
        )  # fmt: skip

    def _compared_at(self) -> datetime | None:
        at = self._reader.compared_at
        return None if at is None else datetime.now(UTC) - timedelta(seconds=time.monotonic() - at)


def _since(at: float | None, now: float) -> float:
    return 0.0 if at is None else now - at
