"""Takes a day again from its opening up to one scan: decides anew, books what the journal says.

No engine sends anything and no fill rule is applied: what filled, ended or was changed by a person
is read from the journal, at the scan at which it was booked. Live days have their inputs in the
journal; of a paper day, books and factors come from the archives.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from dolphin_realtime.backtest.versus_paper import gate_inputs, opening_portfolio
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.journal.database import meta, reading
from dolphin_realtime.journal.fold import rows_of
from dolphin_realtime.journal.rows import order_of
from dolphin_realtime.model.instant import DAY_US, day_us
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.orders import (
    Ended,
    EndKind,
    Traded,
    Unknown,
)
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import Act
from dolphin_realtime.model.portfolio.position_orders import PositionOrder, carry_out
from dolphin_realtime.model.portfolio.sizing import Decisions
from dolphin_realtime.model.risk.exposure import Exposure
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.signal.gates import Book, Factors
from dolphin_realtime.trading.book_cache import BookCache

Row = dict[str, Any]


class Moment(msgspec.Struct, kw_only=True):
    """One scan as it was decided: what was known, and the plan before and after the limits.

    Attributes:
        standing: The exposure before any order of this scan.
        directions: Each asset's direction before this scan.
        rest: The decisions with their inputs, before the limits; None if nothing was decided.
    """

    plan: Plan
    rest: Decisions | None
    portfolio: Portfolio
    books: Mapping[str, Book]
    factors: Factors | None
    standing: Exposure | None
    directions: Mapping[str, float]
    prices_before: Mapping[str, float]
    is_acted_on: bool


class DayRows:
    """What a journal holds of a day, by the instant of the scan at which it was booked."""

    def __init__(self, db: sqlite3.Connection, day: str) -> None:
        first = day_us(day)
        span = f"BETWEEN {first} AND {first + DAY_US - 1}"
        self.life = meta(db, "life")
        self.scans: dict[int, Row] = {
            row["timestamp_us"]: row
            for row in rows_of(db, f"SELECT * FROM equity WHERE timestamp_us {span}")  # noqa: S608
        }
        self.fills = _by(db, "fills", "booked_us", span)
        self.ends = _by(db, "order_events", "timestamp_us", span)
        self.changes = _by(db, "position_changes", "timestamp_us", span)
        self.orders = _by(db, "orders", "timestamp_us", span)
        self.decisions = _by(db, "decisions", "timestamp_us", span)
        mine = f"SELECT client_order_id FROM orders WHERE timestamp_us {span}"  # noqa: S608
        self._fills = _of_orders(db, "fills", mine)
        self._ends = _of_orders(db, "order_events", mine)
        self._lost = sorted(at for at in self.orders if at not in self.scans)

    def fate_of(self, order_id: str) -> tuple[list[Row], Row | None]:
        """Return an order's fills and its end, whenever they came."""
        return self._fills.get(order_id, []), next(iter(self._ends.get(order_id, [])), None)

    def of_lost_scans(self, until_us: int) -> list[Row]:
        """Return, once, the orders of scans that were lost with their process."""
        due = [at for at in self._lost if at < until_us]
        self._lost = self._lost[len(due) :]
        return [row for at in due for row in self.orders[at]]


def _of_orders(db: sqlite3.Connection, table: str, mine: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    query = f"SELECT * FROM {table} WHERE client_order_id IN ({mine}) ORDER BY rowid"  # noqa: S608
    for row in rows_of(db, query):
        found.setdefault(row["client_order_id"], []).append(row)
    return found


def _by(db: sqlite3.Connection, table: str, column: str, span: str) -> dict[int, list[Row]]:
    order = "client_order_id" if table == "orders" else "rowid"
    found: dict[int, list[Row]] = {}
    query = f"SELECT * FROM {table} WHERE {column} {span} ORDER BY {order}"  # noqa: S608
    for row in rows_of(db, query):
        found.setdefault(row[column], []).append(row)
    return found


def read_day(settings: Settings, instance: str, day: str) -> DayRows:
    """Return what an instance's journal holds of a day; raises JournalError."""
    with reading(settings.journal_dir(instance)) as db:
        return DayRows(db, day)


def replay(
    settings: Settings,
    instance: str,
    day: str,
    scans: Iterable[Scan],
    known: DayRows,
    is_wanted: Callable[[int], bool],
) -> Iterator[Moment]:
    """Yield the wanted scans of a day, by their instants, as they were decided.

    Raises:
        JournalError: If the journal does not know the day's opening.
    """
    portfolio = opening_portfolio(settings.journal_dir(instance), instance, day)
    portfolio.life = known.life
    books, factors = gate_inputs(settings, day)
    cache, opened_us = BookCache(portfolio), portfolio.last_us
    cache.keep(portfolio.in_flight.values())
    for scan in scans:
        row = known.scans.get(scan.timestamp_us)
        if row is None or scan.timestamp_us <= opened_us:
            continue
        wanted = is_wanted(scan.timestamp_us)
        moment = _decide(portfolio, scan, row, cache, books, factors, wanted)
        _take_back_unsent(moment, portfolio, known, scan.timestamp_us)
        portfolio.mark_sent([o.client_order_id for o in moment.plan.orders])
        portfolio.finish_scan(moment.plan)
        if wanted:
            yield moment
        _book(portfolio, known, scan.timestamp_us)
        cache.keep(portfolio.in_flight.values())
        portfolio.mark()


def _decide(
    portfolio: Portfolio,
    scan: Scan,
    row: Row,
    cache: BookCache,
    feed: BookFeed,
    history: FactorHistory,
    is_wanted: bool,
) -> Moment:
    for views in feed.until(scan.timestamp_us):
        cache.take_views(views)
    books, factors = cache.books(scan.timestamp_us), history.at(scan.timestamp_us)
    limits = TradingPermission(posture=Posture(row["posture"]), entry_block=row["entry_block"])
    scan = msgspec.structs.replace(scan, epoch=portfolio.signals.order.epoch or 1)
    pace, flying = portfolio.pace.copied(), list(portfolio.in_flight.values())
    directions = portfolio.signals.assets.directions() if is_wanted else {}
    before = dict(portfolio.prices) if is_wanted else {}
    is_acted_on = bool(row["is_acted_on"])
    if is_acted_on:
        plan = portfolio.decide(scan, limits, books, factors)
    else:
        plan = portfolio.catch_up(scan, [], limits, books, factors)
    standing = portfolio.standing(plan, pace, flying)
    return Moment(
        plan=plan,
        rest=plan.rest,
        portfolio=portfolio,
        books=books,
        factors=factors,
        standing=standing,
        directions=directions,
        prices_before=before,
        is_acted_on=is_acted_on,
    )


def _take_back_unsent(moment: Moment, portfolio: Portfolio, known: DayRows, at_us: int) -> None:
    """Take back orders that were decided and could not be journalled, so that none was sent."""
    plan, sent = moment.plan, known.orders.get(at_us)
    reasons = {row["reason"] for row in known.decisions.get(at_us, [])}
    if plan.orders and not sent and "JOURNAL_FAILED" in reasons:
        portfolio.take_back(plan.orders)
        plan.give_up("JOURNAL_FAILED")


def _book(portfolio: Portfolio, known: DayRows, at_us: int) -> None:
    """Book what the journal says happened after a scan: fills, ends, a person's changes."""
    for row in (*known.of_lost_scans(at_us), *known.orders.get(at_us, [])):
        _take_over(portfolio, row)
    for row in known.fills.get(at_us, []):
        order_id = row["client_order_id"]
        if order_id in portfolio.in_flight:
            fill = Traded(order_id, row["fill_id"], row["quantity"], row["price"], row["fee"])
            portfolio.book(fill, row["mid"])
    for row in known.ends.get(at_us, []):
        order_id = row["client_order_id"]
        if order_id not in portfolio.in_flight:
            continue
        if row["state"] == "UNKNOWN":
            portfolio.book(Unknown(order_id, row["reason"]))
        else:
            portfolio.book(Ended(order_id, EndKind(row["state"]), row["reason"]))
    for row in known.changes.get(at_us, []):
        carry_out(
            portfolio,
            PositionOrder(
                id=row["id"], act=Act(row["act"]), asset=row["asset"], value=row["value"],
                reason=row["reason"], who=row["who"], at=datetime.fromisoformat(row["at"]),
            ),
        )  # fmt: skip


def _take_over(portfolio: Portfolio, row: Row) -> None:
    """Put an order in flight as the journal has it.

    No decision of this scan made a flatten's or a recovered one; another that was recomputed otherwise
    was sent as the journal says, and its fills are of that.
    """
    order_id, sent = row["client_order_id"], order_of(row)
    held = portfolio.in_flight.get(order_id)
    if held is None or held.order != sent.order:
        portfolio.in_flight[order_id] = (
            sent if held is None else msgspec.structs.replace(held, order=sent.order)
        )
