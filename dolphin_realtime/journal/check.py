"""Verifying a journal: every identity, and the first row that breaks one.

Read-only. Money is USDT; amounts are compared within TOLERANCE_USD. The identities are those of a
paper account: cash, positions and days follow from fills, funding and position changes; each order
has one end or is in flight; each scan was handled once; the saved portfolio is the fold of all
rows.
"""

import sqlite3
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.journal import database
from dolphin_realtime.journal.fold import Fold, rows_of
from dolphin_realtime.journal.tables import TABLES
from dolphin_realtime.journal.venue_check import check_venue
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.portfolio.account import TOLERANCE_USD, Account


class CheckResult(msgspec.Struct, kw_only=True):
    """Whether all identities hold, the number of rows, and the first break."""

    ok: bool
    rows: int
    first_break: str | None


def check(folder: Path) -> CheckResult:
    """Return whether every identity of a journal holds.

    Raises:
        JournalError: If there is no journal.
    """
    try:
        with database.reading(folder) as db:
            n_rows = sum(
                db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                for table in TABLES
                if table not in ("state", "meta")
            )
            for look in (_orders, _scans, _money, check_venue, _days, _ends, _state):
                found = look(db)
                if found is not None:
                    return CheckResult(ok=False, rows=n_rows, first_break=found)
            return CheckResult(ok=True, rows=n_rows, first_break=None)
    except sqlite3.DatabaseError as e:
        return CheckResult(ok=False, rows=0, first_break=f"the database is unreadable: {e}")


_ORDER_BREAKS: Final = (
    ("""SELECT 'fills ' || f.client_order_id || ': differs from its order, or is not later than it'
        FROM fills f LEFT JOIN orders o USING (client_order_id)
        WHERE f.client_order_id <> '' AND (
              o.asset IS NOT f.asset OR o.side IS NOT f.side OR NOT f.quantity <= o.quantity
           OR f.timestamp_us > f.booked_us
           OR (f.seq IS NULL AND f.timestamp_us <= o.timestamp_us))"""),
    ("""SELECT 'order_events ' || client_order_id || ': has two ends, or was never ordered'
        FROM order_events WHERE state <> 'UNKNOWN' GROUP BY client_order_id
        HAVING count(*) > 1 OR client_order_id NOT IN (SELECT client_order_id FROM orders)"""),
    ("""SELECT 'orders ' || o.client_order_id || ': its scan was never handled'
        FROM orders o LEFT JOIN equity e USING (epoch, scan_number)
        WHERE e.epoch IS NULL AND (o.epoch, o.scan_number, o.asset) NOT IN (
          SELECT epoch, scan_number, asset FROM decisions WHERE reason = 'RECOVERED')"""),
    ("""SELECT 'orders ' || client_order_id || ': a quantity that is not above 0'
        FROM orders WHERE NOT quantity > 0 AND client_order_id NOT IN (
          SELECT client_order_id FROM order_events WHERE state = 'REJECTED')"""),
)  # fmt: skip

_END_BREAK: Final = """SELECT 'order_events ' || e.client_order_id || ': ended ' || e.state || ' with ' || e.filled
          || ' filled, its fills give ' || coalesce(sum(f.quantity), 0.0) || ' of ' || o.quantity
        FROM order_events e JOIN orders o USING (client_order_id)
        LEFT JOIN fills f USING (client_order_id) WHERE e.state <> 'UNKNOWN'
        GROUP BY client_order_id
        HAVING abs(coalesce(sum(f.quantity), 0.0) - e.filled) > 1e-9 * o.quantity
          OR (e.state = 'FILLED') <> (e.filled = o.quantity)"""


def _orders(db: sqlite3.Connection) -> str | None:
    """Check that every fill and every end matches one order, and every order a handled scan."""
    for query in _ORDER_BREAKS:
        row = db.execute(f"{query} LIMIT 1").fetchone()
        if row is not None:
            return str(row[0])
    return None


def _ends(db: sqlite3.Connection) -> str | None:
    """Check that the filled quantity of each order's end is the sum of its fills."""
    row = db.execute(f"{_END_BREAK} LIMIT 1").fetchone()
    return None if row is None else str(row[0])


def _scans(db: sqlite3.Connection) -> str | None:
    """Check that each scan was handled once, in market order."""
    last = None
    for row in rows_of(db, "SELECT epoch, scan_number, timestamp_us FROM equity ORDER BY rowid"):
        if last is not None and row["timestamp_us"] <= last["timestamp_us"]:
            return f"equity epoch {row['epoch']} scan {row['scan_number']}: not later than scan {last['scan_number']} before it"
        last = row
    return None


def _money(db: sqlite3.Connection) -> str | None:
    """Check that every equity row agrees with the fold of all rows up to its scan."""
    fold = Fold(db)
    for row in rows_of(db, "SELECT * FROM equity ORDER BY timestamp_us"):
        broken = fold.up_to(row["timestamp_us"])
        if broken:
            return broken
        broken = _compare(fold.account, row)
        if broken:
            return f"equity epoch {row['epoch']} scan {row['scan_number']}: {broken}"
    return fold.rest()


def _compare(account: Account, row: dict[str, Any]) -> str | None:
    expected = {
        "cash": account.cash,
        "realised": account.realised,
        "fees": account.fees,
        "funding": account.funding,
        "equity": row["cash"] + row["unrealised"],
    }
    for name, value in expected.items():
        if not abs(row[name] - value) <= TOLERANCE_USD:
            return f"{name} is {row[name]!r}, the rows before it give {value!r}"
    if not account.held() and abs(row["unrealised"]) > TOLERANCE_USD:
        return f"unrealised is {row['unrealised']!r} on a flat book"
    return None


def _days(db: sqlite3.Connection) -> str | None:
    """Check that each day's figures are the differences between equity rows at day ends."""
    before = {"realised": 0.0, "fees": 0.0, "funding": 0.0}
    trades = {
        row["day"]: row["n"]
        for row in rows_of(
            db,
            "SELECT date(booked_us / 1000000, 'unixepoch') AS day, count(*) AS n FROM fills GROUP BY day",
        )
    }
    lasts = {
        row[0]: row[1:]
        for row in db.execute(
            "SELECT d.day, realised, fees, funding, equity FROM equity JOIN (SELECT max(rowid) AS id,"
            " date(timestamp_us / 1000000, 'unixepoch') AS day FROM equity GROUP BY day) d"
            " ON d.id = equity.rowid"
        )
    }
    for day in rows_of(db, "SELECT * FROM days ORDER BY day"):
        last = lasts.get(day["day"])
        if last is None:
            return f"days {day['day']}: has no equity row"
        after = dict(zip(("realised", "fees", "funding"), last, strict=False))
        for name, value in after.items():
            if not abs(value - before[name] - day[name]) <= TOLERANCE_USD:
                return f"days {day['day']}: {name} is {day[name]!r}, not {value - before[name]!r}"
        if not abs(last[3] - day["equity"]) <= TOLERANCE_USD:
            return f"days {day['day']}: equity is {day['equity']!r}, not {last[3]!r}"
        if trades.get(day["day"], 0) != day["trades"]:
            return (
                f"days {day['day']}: {day['trades']} trades, but {trades.get(day['day'], 0)} fills"
            )
        before = after
    return None


def _state(db: sqlite3.Connection) -> str | None:
    """Check the saved portfolio against the fold of all rows: cash, positions, orders in flight."""
    row = db.execute("SELECT desk FROM state").fetchone()
    if row is None:
        has_rows = db.execute("SELECT count(*) FROM equity").fetchone()[0]
        return "state: there is none, but scans were handled" if has_rows else None
    saved = msgspec.msgpack.decode(row[0])
    fold = Fold(db)
    fold.up_to(1 << 62)
    account = msgspec.convert(saved["account"], Account)
    if not abs(account.cash - fold.account.cash) <= TOLERANCE_USD:
        return f"state: cash is {account.cash!r}, the rows give {fold.account.cash!r}"
    ours, theirs = account.held(), fold.account.held()
    step_of = {a: 10.0 ** -spec["size_precision"] for a, spec in saved["instruments"].items()}
    for asset in sorted(ours.keys() | theirs.keys()):
        if not abs(ours.get(asset, 0.0) - theirs.get(asset, 0.0)) <= step_of.get(asset, 0.0) / 2:
            return f"state: {asset} is {ours.get(asset, 0.0)!r}, its fills give {theirs.get(asset, 0.0)!r}"
    return _in_flight(db, {o["client_order_id"] for o in saved["in_flight"]})


def _in_flight(db: sqlite3.Connection, flying: set[str]) -> str | None:
    query = """SELECT client_order_id, timestamp_us FROM orders WHERE client_order_id NOT IN
               (SELECT client_order_id FROM order_events WHERE state <> 'UNKNOWN')"""
    open_orders = {row["client_order_id"]: row["timestamp_us"] for row in rows_of(db, query)}
    for order_id, at_us in open_orders.items():
        if order_id not in flying:
            return f"orders {order_id} of {from_us(at_us).isoformat()}: has no outcome and is not in flight"
    lost = sorted(flying - open_orders.keys())
    return f"state: {lost[0]} is in flight, but is no open order" if lost else None
