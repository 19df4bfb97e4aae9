"""An instance's figures over its whole journal: net first, and what it is made of.

Computed once, here, for every view that shows them. Money is USDT; shares are fractions.
net = gross - slippage - fees - funding = end equity - start equity.
"""

import sqlite3
from pathlib import Path

import msgspec

from dolphin_realtime import journal
from dolphin_realtime.journal_check import rows_of, start_cash


class Figures(msgspec.Struct, kw_only=True):
    """Headline figures; times are UTC microseconds, None before the first scan."""

    start_equity: float
    end_equity: float
    net: float
    gross: float
    slippage: float
    fees: float
    funding: float
    scans: int
    orders: int
    fills: int
    cancels: int
    refusals: int
    turnover: float
    max_drawdown: float
    first_us: int | None = None
    last_us: int | None = None
    reasons: dict[str, int] = {}


def figures(folder: Path) -> Figures:
    """Return the figures of a journal.

    Raises:
        JournalError: If there is no journal.
    """
    db = journal.open_read_only(folder)
    try:
        db.execute("BEGIN")
        return figures_of(db)
    finally:
        db.close()


def figures_of(db: sqlite3.Connection) -> Figures:
    """Return the figures of an open journal."""
    start = start_cash(db)
    last = db.execute(
        "SELECT equity, fees, funding, timestamp_us FROM equity ORDER BY rowid DESC LIMIT 1"
    ).fetchone() or (start, 0.0, 0.0, None)
    first = db.execute("SELECT min(timestamp_us) FROM equity").fetchone()[0]
    slippage, turnover = db.execute(
        "SELECT coalesce(sum(quantity * abs(price - mid)), 0.0), coalesce(sum(quantity * price), 0.0) FROM fills"
    ).fetchone()
    counts = {
        name: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for name, table in (
            ("scans", "equity"),
            ("orders", "orders"),
            ("fills", "fills"),
            ("cancels", "cancels"),
            ("refusals", "refusals"),
        )
    }
    end, fees, funding, last_us = last
    reasons = {
        row["reason"]: row["n"]
        for row in rows_of(
            db,
            "SELECT reason, count(*) AS n FROM decisions WHERE side IS NULL GROUP BY reason ORDER BY n DESC",
        )
    }
    return Figures(
        start_equity=start,
        end_equity=end,
        net=end - start,
        gross=end - start + slippage + fees + funding,
        slippage=slippage,
        fees=fees,
        funding=funding,
        turnover=turnover / start if start > 0.0 else 0.0,
        max_drawdown=_max_drawdown(db, start),
        first_us=first,
        last_us=last_us,
        reasons=reasons,
        **counts,
    )


def _max_drawdown(db: sqlite3.Connection, start: float) -> float:
    peak, worst = start, 0.0
    for (equity,) in db.execute("SELECT equity FROM equity ORDER BY rowid"):
        peak = max(peak, equity)
        worst = max(worst, 1.0 - equity / peak if peak > 0.0 else 0.0)
    return worst
