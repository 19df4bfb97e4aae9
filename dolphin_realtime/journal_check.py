"""Verifying a journal: every identity, and the first row that breaks one.

Read-only. Money is USDT; identities hold to TOLERANCE_USD.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime import journal
from dolphin_realtime.model.account import FLAT_BELOW, Account

TOLERANCE_USD: Final = 1e-6
START_CASH: Final = "start_cash"


class CheckResult(msgspec.Struct, kw_only=True):
    """Whether a journal holds, how many rows were looked at, and the first that breaks."""

    ok: bool
    rows: int
    first_break: str | None


def _rows(db: sqlite3.Connection, query: str) -> Iterator[dict[str, Any]]:
    cursor = db.execute(query)
    names = [d[0] for d in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def check(folder: Path) -> CheckResult:
    """Return whether every identity of a journal holds.

    Raises:
        JournalError: If there is no journal.
    """
    db = journal.open_read_only(folder)
    try:
        n_rows = sum(
            db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in journal.TABLES
        )
        for found in (_orders(db), _money(db), _days(db)):
            if found is not None:
                return CheckResult(ok=False, rows=n_rows, first_break=found)
        return CheckResult(ok=True, rows=n_rows, first_break=None)
    except sqlite3.DatabaseError as e:
        return CheckResult(ok=False, rows=0, first_break=f"the database is unreadable: {e}")
    finally:
        db.close()


def _orders(db: sqlite3.Connection) -> str | None:
    """Every fill and cancel has its order, once, with its asset, side and quantity."""
    query = """
      SELECT f.client_order_id AS id FROM fills f LEFT JOIN orders o USING (client_order_id)
      WHERE o.asset IS NOT f.asset OR o.side IS NOT f.side OR o.quantity IS NOT f.quantity
         OR f.timestamp_us <= o.timestamp_us ORDER BY f.rowid LIMIT 1"""
    for row in _rows(db, query):
        return f"fills {row['id']}: differs from its order, or is not later than it"
    query = """
      SELECT client_order_id AS id FROM cancels WHERE client_order_id IN
        (SELECT client_order_id FROM fills) OR client_order_id NOT IN
        (SELECT client_order_id FROM orders) LIMIT 1"""
    for row in _rows(db, query):
        return f"cancels {row['id']}: was filled as well, or was never ordered"
    return None


def _start_cash(db: sqlite3.Connection) -> float:
    row = db.execute("SELECT value FROM meta WHERE name = ?", (START_CASH,)).fetchone()
    return float(row[0]) if row else 0.0


def _money(db: sqlite3.Connection) -> str | None:
    """Fold the fills and funding; every equity row must agree with the fold at its scan."""
    account = Account(start_cash=_start_cash(db), positions={})
    fills = _rows(db, "SELECT * FROM fills ORDER BY timestamp_us, rowid")
    charges = _rows(db, "SELECT * FROM funding ORDER BY settlement_us, rowid")
    fill, charge = next(fills, None), next(charges, None)
    for row in _rows(db, "SELECT * FROM equity ORDER BY timestamp_us"):
        while charge is not None and charge["settlement_us"] <= row["timestamp_us"]:
            account.funding += charge["amount"]
            charge = next(charges, None)
        while fill is not None and fill["timestamp_us"] <= row["timestamp_us"]:
            signed = fill["quantity"] if fill["side"] == "BUY" else -fill["quantity"]
            realised = account.apply_fill(fill["asset"], signed, fill["price"], fill["fee"])
            if abs(realised - fill["realised"]) > TOLERANCE_USD:
                return (
                    f"fills {fill['client_order_id']}: realised {fill['realised']}, not {realised}"
                )
            fill = next(fills, None)
        broken = _compare(account, row)
        if broken:
            return f"equity epoch {row['epoch']} scan {row['scan_number']}: {broken}"
    if fill is not None:
        return f"fills {fill['client_order_id']}: later than every equity row"
    return None


def _compare(account: Account, row: dict[str, Any]) -> str | None:
    expected = {
        "cash": account.cash,
        "realised": account.realised,
        "fees": account.fees,
        "funding": account.funding,
        "equity": row["cash"] + row["unrealised"],
    }
    for name, value in expected.items():
        if abs(row[name] - value) > TOLERANCE_USD:
            return f"{name} is {row[name]!r}, the rows before it give {value!r}"
    is_flat = all(abs(p.quantity) < FLAT_BELOW for p in account.positions.values())
    if is_flat and abs(row["unrealised"]) > TOLERANCE_USD:
        return f"unrealised is {row['unrealised']!r} on a flat book"
    return None


def _days(db: sqlite3.Connection) -> str | None:
    """Each day's figures are the differences of the equity rows around it."""
    before = {"realised": 0.0, "fees": 0.0, "funding": 0.0}
    for day in _rows(db, "SELECT * FROM days ORDER BY day"):
        last = db.execute(
            "SELECT realised, fees, funding, equity FROM equity WHERE date(timestamp_us / 1000000,"
            " 'unixepoch') = ? ORDER BY timestamp_us DESC LIMIT 1",
            (day["day"],),
        ).fetchone()
        if last is None:
            return f"days {day['day']}: has no equity row"
        after = dict(zip(("realised", "fees", "funding"), last, strict=False))
        for name, value in after.items():
            if abs(value - before[name] - day[name]) > TOLERANCE_USD:
                return f"days {day['day']}: {name} is {day[name]!r}, not {value - before[name]!r}"
        if abs(last[3] - day["equity"]) > TOLERANCE_USD:
            return f"days {day['day']}: equity is {day['equity']!r}, not {last[3]!r}"
        before = after
    return None
