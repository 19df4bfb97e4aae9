"""A journal's days as hashes and a few rows: equal to the last digit or not equal."""

import hashlib
import json
import sqlite3
from itertools import groupby
from pathlib import Path

from dolphin_realtime.journal import database
from dolphin_realtime.model.instant import day_of

QUERIES = {
    "orders": (
        "timestamp_us, asset, side, quantity, leg, reduce_only",
        "orders", "timestamp_us, asset, leg",
    ),
    "fills": (
        "booked_us, timestamp_us, asset, side, quantity, price, mid, fee, source",
        "fills", "rowid",
    ),
    "decisions": (
        "timestamp_us, asset, signal, target, held, side, quantity, reason, score, direction",
        "decisions", "timestamp_us, asset, rowid",
    ),
    "ends": (
        "c.timestamp_us, o.timestamp_us, o.asset, o.leg, c.reason",
        "cancels c JOIN orders o USING (client_order_id)", "c.timestamp_us, o.asset, o.leg",
    ),
    "refusals": (
        "timestamp_us, asset, side, quantity, code, value, bound", "refusals", "rowid",
    ),
    "funding": ("settlement_us, asset, quantity, rate, amount", "funding", "settlement_us, asset"),
    "equity": (
        "timestamp_us, cash, realised, unrealised, fees, funding, equity, posture, long_usd,"
        " short_usd, r_ar, r_vol, assets, gated",
        "equity", "timestamp_us",
    ),
    "days": (
        "unixepoch(day) * 1000000, day, realised, unrealised, fees, funding, equity, trades,"
        " max_drawdown",
        "days", "day",
    ),
}  # fmt: skip
"""By list: columns, the first of them the instant of its day; tables; order. Order ids apart."""
SHOWN = ("orders", "fills", "equity", "days")
FULL = ("days",)


def lists_of(folder: Path) -> dict[str, list[tuple]]:
    """Return the compared lists of the journal in a folder."""
    db = sqlite3.connect(f"{database.path_of(folder).absolute().as_uri()}?mode=ro", uri=True)
    try:
        return {
            name: db.execute(f"SELECT {columns} FROM {tables} ORDER BY {order}").fetchall()
            for name, (columns, tables, order) in QUERIES.items()
        }
    finally:
        db.close()


def digest(lists: dict[str, list[tuple]]) -> dict[str, dict]:
    """Return, by day and list, the count of rows, their hash, and the last row of some."""
    days: dict[str, dict] = {}
    for name, rows in lists.items():
        for day, group in groupby(rows, key=lambda row: day_of(row[0])):
            days.setdefault(day, {})[name] = _facts(name, list(group))
    return dict(sorted(days.items()))


def _facts(name: str, rows: list[tuple]) -> list:
    text = "\n".join(json.dumps(row) for row in rows)
    facts: list = [len(rows), hashlib.sha256(text.encode()).hexdigest()[:24]]
    if name in SHOWN:
        facts.append(rows[-1])
    return json.loads(json.dumps(facts))
