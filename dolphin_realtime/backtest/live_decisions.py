"""Replays the decisions of a live day from its journal: the same inputs give the same orders.

The inputs are the scans, and from the journal the posture and block at each, the books and factors
it was decided with, and what the venue said in the order in which it was booked. No engine sends
anything. Orders are compared to the last digit.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dolphin_realtime.backtest.loop import at_once
from dolphin_realtime.backtest.versus_paper import opening_portfolio
from dolphin_realtime.journal.database import meta, reading
from dolphin_realtime.journal.fold import rows_of
from dolphin_realtime.journal.rows import RECOVERED, Rows, order_of
from dolphin_realtime.journal.tables import Row
from dolphin_realtime.journal.venue_rows import FOUND, LIMITS, unpack_inputs
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.orders import (
    FLATTEN_LEG,
    Acked,
    AtVenue,
    Ended,
    EndKind,
    InFlight,
    Traded,
    Unknown,
)
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.venue_account import Cause, Outside, Paid
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.risk.pre_trade import PreTradeParams
from dolphin_realtime.model.signal.gates import Book, Factors
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.venue_booking import VenueBooking, VenueEvent
from dolphin_realtime.trading.venue_turn import VenueTurn

Order = tuple[str, str, str, float]
"""(client order id, asset, side, quantity)."""


class Replayed(msgspec.Struct, kw_only=True):
    """How many scans and orders were replayed, and the first difference, None if there is none."""

    scans: int = 0
    orders: int = 0
    first_difference: str | None = None


class _Nothing:
    """An engine that sends nothing, and a journal that keeps nothing."""

    unanswered: Collection[str] = ()

    def send(self, orders: Sequence[InFlight]) -> tuple[int, int]:  # noqa: ARG002
        return 0, 0

    async def add_instruments(self, specs: Mapping[str, Any]) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def opening(self) -> bytes:
        return b""

    def intend(self, *_: object) -> bool:
        return True

    def commit(self, key: tuple[int, int], rows: dict[str, list[Row]], plan: Plan | None) -> None:
        pass


class _GivenTurn(VenueTurn):
    """A turn whose books are those of the journal."""

    given: Mapping[str, Book] = {}

    def _books(self, scan: Scan, factors: Factors | None) -> dict[str, Book]:
        super()._books(scan, factors)
        return dict(self.given)


class _Day:
    """What a journal holds of a day, by the instant of the scan."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.inputs = _inputs(db)
        self.permitted = {
            at: (TradingPermission(posture=Posture(posture), entry_block=block), bool(acted))
            for at, posture, block, acted in db.execute(
                "SELECT timestamp_us, posture, entry_block, is_acted_on FROM equity"
            )
        }
        self._limits = sorted(
            (int(name.removeprefix(LIMITS)), msgspec.json.decode(text, type=PreTradeParams))
            for name, text in db.execute("SELECT name, value FROM meta WHERE name LIKE 'limits %'")
        )
        self.events: dict[int, list[tuple[int, VenueEvent]]] = {}
        for at_us, seq, event in _events(db):
            self.events.setdefault(at_us, []).append((seq, event))
        self.orders: dict[int, list[Order]] = {}
        self.recovered: dict[str, InFlight] = {}
        recovered = set(db.execute(
                "SELECT epoch, scan_number, asset FROM decisions WHERE reason = ?", (RECOVERED,)
            ))  # fmt: skip
        for row in rows_of(db, "SELECT * FROM orders ORDER BY client_order_id"):
            self._add_order(row, recovered)

    def limits_at(self, at_us: int) -> PreTradeParams:
        """Return the limits in force at a scan: those of the last start or change before it."""
        return next((p for since, p in reversed(self._limits) if since < at_us), PreTradeParams())

    def _add_order(self, row: dict[str, Any], recovered: set[tuple[int, int, str]]) -> None:
        order_id, at_us = row["client_order_id"], row["timestamp_us"]
        if row["leg"].startswith(FLATTEN_LEG):
            return
        if (row["epoch"], row["scan_number"], row["asset"]) in recovered:
            self.recovered[order_id] = order_of(row)
        else:
            found = (order_id, row["asset"], row["side"], row["quantity"])
            self.orders.setdefault(at_us, []).append(found)


def replay_live(folder: Path, instance: str, day: str, scans: Iterable[Scan]) -> Replayed:
    """Replay a live day's decisions; stop at the first difference.

    Raises:
        JournalError: If there is no journal, or it does not know that day's opening.
    """
    portfolio = opening_portfolio(folder, instance, day)
    with reading(folder) as db:
        known, life = _Day(db), meta(db, "life")
    portfolio.life = life
    portfolio.venue = msgspec.structs.replace(portfolio.venue, is_real=True)
    nothing: Any = _Nothing()
    booking = VenueBooking(portfolio, Rows(portfolio))
    turn = _GivenTurn(portfolio, booking, nothing, BookCache(portfolio), nothing)
    result, opened_us = Replayed(), portfolio.last_us
    for scan in scans:
        if scan.timestamp_us not in known.permitted or scan.timestamp_us <= opened_us:
            continue
        portfolio.pre_trade = known.limits_at(scan.timestamp_us)
        plan = _one(turn, portfolio, scan, known)
        result.scans += 1
        result.orders += len(plan.orders)
        result.first_difference = _compared(plan, known, scan.timestamp_us) or booking.mismatch
        if result.first_difference is not None:
            return result
        _book(turn, portfolio, known, scan.timestamp_us)
    return result


def _one(turn: _GivenTurn, portfolio: Portfolio, scan: Scan, known: _Day) -> Plan:
    limits, is_acted_on = known.permitted[scan.timestamp_us]
    turn.given, factors = known.inputs.get(scan.timestamp_us, ({}, None))
    scan = msgspec.structs.replace(scan, epoch=portfolio.signals.order.epoch or 1)
    if is_acted_on:
        plan = turn.begin(scan, limits, factors)
    else:
        plan = turn.catch_up(scan, [], limits, factors)
    at_once(turn.finish(plan, is_acted_on=is_acted_on))
    return plan


def _compared(plan: Plan, known: _Day, at_us: int) -> str | None:
    ours = sorted(
        (o.client_order_id, o.order.asset, o.order.side, o.order.quantity) for o in plan.orders
    )
    theirs = sorted(known.orders.get(at_us, []))
    if ours == theirs:
        return None
    apart = min(set(ours) ^ set(theirs))
    return f"scan {plan.scan.scan_number}: {apart} is in only one of replay and journal"


def _book(turn: _GivenTurn, portfolio: Portfolio, known: _Day, at_us: int) -> None:
    """Book what the venue said after a scan, in its order; a flatten comes before its first event."""
    for _, event in sorted(known.events.get(at_us, []), key=lambda one: one[0]):
        order_id = getattr(event, "order_id", "")
        is_of_flatten = order_id.rpartition("-")[2].startswith(FLATTEN_LEG)
        if is_of_flatten and order_id not in portfolio.in_flight:
            portfolio.flatten()
        _take_over(portfolio, known, event)
        turn.booking.book(event)
        turn.book_queued()


def _take_over(portfolio: Portfolio, known: _Day, event: VenueEvent) -> None:
    order = known.recovered.pop(getattr(event, "order_id", ""), None)
    if order is not None:
        portfolio.in_flight[order.client_order_id] = order


def _inputs(db: sqlite3.Connection) -> dict[int, tuple[dict[str, Book], Factors | None]]:
    found = {}
    last: list[bytes] = [b"", b""]
    for at_us, *parts in db.execute(
        "SELECT timestamp_us, books, factors FROM inputs ORDER BY rowid"
    ):
        last = [new if new is not None else old for new, old in zip(parts, last, strict=True)]
        found[at_us] = unpack_inputs(last[0], last[1])
    return found


def _events(db: sqlite3.Connection) -> Iterator[tuple[int, int, VenueEvent]]:
    for row in rows_of(db, "SELECT * FROM fills WHERE seq IS NOT NULL"):
        yield row["booked_us"], row["seq"], _trade(row)
    for row in rows_of(db, "SELECT * FROM order_events WHERE seq IS NOT NULL"):
        event: VenueEvent
        if row["reason"] == FOUND:
            event = Acked(row["client_order_id"])
        elif row["state"] == "UNKNOWN":
            event = Unknown(row["client_order_id"], row["reason"])
        else:
            event = Ended(row["client_order_id"], EndKind(row["state"]), row["reason"])
        yield row["timestamp_us"], row["seq"], event
    for row in rows_of(db, "SELECT * FROM income"):
        yield row["booked_us"], row["seq"], Paid(
            kind=row["kind"], tran_id=row["tran_id"], symbol=row["symbol"], asset=row["asset"],
            amount=row["amount"], at_us=row["venue_us"],
        )  # fmt: skip


def _trade(row: dict[str, Any]) -> VenueEvent:
    venue = AtVenue(
        order_id=row["venue_order_id"], at_us=row["venue_us"], realised=row["venue_realised"],
        fee_asset=row["fee_asset"], fee_paid=row["fee_paid"],
    )  # fmt: skip
    if row["client_order_id"]:
        return Traded(
            row["client_order_id"], row["fill_id"], row["quantity"], row["price"], row["fee"], venue
        )
    cause, _, client_id = row["source"].removeprefix("OUTSIDE ").partition(": ")
    return Outside(
        asset=row["asset"], fill_id=row["fill_id"], side=row["side"], quantity=row["quantity"],
        price=row["price"], fee=row["fee"], cause=Cause(cause), client_id=client_id, venue=venue,
    )  # fmt: skip
