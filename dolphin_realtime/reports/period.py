"""A period of a journal, read once: the input of every figure and plot of a report.

Which rows belong to a period is defined here; what is computed from them belongs in figures.py.
The journal's market time never decreases, so a day is found by bisection.
"""

import json
import sqlite3
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.journal.database import LIVE, MODE, faults_of, meta
from dolphin_realtime.journal.fold import rows_of, start_cash
from dolphin_realtime.journal.tables import UNFILLED
from dolphin_realtime.model.portfolio.saved import Books, books
from dolphin_realtime.model.portfolio.unpriced import UNPRICED, UNPRICED_SCANS
from dolphin_realtime.reports.live import LiveFigures, read_live
from dolphin_realtime.reports.span import Span
from dolphin_realtime.reports.trades import Trade, trades_of

_SERIES: Final = (
    "timestamp_us", "equity", "fees", "funding", "long_usd", "short_usd", "r_ar", "r_vol",
    "assets", "gated", "latency_us",
)  # fmt: skip
_CLOCK: Final = {
    "equity": "timestamp_us",
    "decisions": "timestamp_us",
    "fills": "booked_us",
    "order_events": "timestamp_us",
    "refusals": "timestamp_us",
}
"""The column of each append-only table whose values never decrease."""


class Period(msgspec.Struct, kw_only=True):
    """What a journal holds of a span.

    Attributes:
        start_equity: Equity after the last scan before the span, or the start cash.
        start_fees: Fees paid until then; ``start_funding`` likewise.
        series: Columns of the equity rows, NaN where a value is missing.
        fills: Rows booked in the span.
        closed: Round trips that a fill of the span closed.
        still_open: Round trips that were open at the span's end.
        funding: Funding charges booked at the span's scans.
        opening: The portfolio state before the first scan, None if the journal does not hold it.
        closing: The portfolio state after the last scan.
        first_prices: Prices of the first scan.
        counts: Numbers of orders, fills, cancels and refusals.
        reasons: Decisions without an order, by reason.
        postures: Scans by posture.
        notes: How scans and fills are simulated.
        changes: Position changes by operator commands.
        transferred: Money moved in (out: negative) at a real venue; the equity is without it.
        live: What a real venue made of the orders; None on paper.
        unpriced: Held assets without a sound price: reason, number of scans, first and last.
    """

    start_equity: float
    start_fees: float
    start_funding: float
    series: dict[str, NDArray[np.float64]]
    fills: list[dict[str, Any]]
    closed: list[Trade]
    still_open: list[Trade]
    funding: list[dict[str, Any]]
    opening: Books | None
    closing: Books | None
    first_prices: dict[str, float]
    counts: dict[str, int]
    reasons: dict[str, int]
    postures: dict[str, int]
    notes: list[str]
    changes: list[dict[str, Any]]
    unpriced: list[dict[str, Any]]
    transferred: float = 0.0
    live: LiveFigures | None = None

    @property
    def n_scans(self) -> int:
        """Scans handled."""
        return len(self.series["timestamp_us"])


def read_period(db: sqlite3.Connection, span: Span | None = None) -> Period:
    """Return a span of an open journal, by default the whole journal."""
    span = span or Span()
    first, end = rows_in(db, "equity", span)
    before = db.execute(
        "SELECT equity, fees, funding FROM equity WHERE rowid < ? ORDER BY rowid DESC LIMIT 1",
        (first,),
    ).fetchone() or (start_cash(db), 0.0, 0.0)
    fills = list(
        rows_of(db, f"SELECT * FROM fills WHERE {_where(db, 'fills', Span(0, span.last_us))}")
    )
    in_span = [f for f in fills if f["booked_us"] >= span.first_us]
    booked = {f["client_order_id"] for f in in_span}
    changes = list(
        rows_of(
            db, f"SELECT * FROM position_changes WHERE timestamp_us < {span.last_us} ORDER BY rowid"
        )
    )
    trades = trades_of(fills, changes)
    of_span = [c for c in changes if c["timestamp_us"] >= span.first_us]
    booked.update(c["id"] for c in of_span)
    opening, first_prices = _opening(db, first)
    series = _series(db, first, end)
    transferred = _leave_out_transfers(db, series, span)
    return Period(
        start_equity=before[0],
        start_fees=before[1],
        start_funding=before[2],
        series=series,
        fills=in_span,
        closed=[t for t in trades if t.closed_by in booked],
        still_open=[t for t in trades if t.closed_us is None],
        funding=_funding(db, first, end),
        opening=opening,
        closing=_closing(db, span),
        first_prices=first_prices,
        counts=_counts(db, span),
        reasons=_counted(db, "decisions", "reason", span, "side IS NULL"),
        postures=_counted(db, "equity", "posture", span),
        notes=_notes(db, span),
        changes=of_span,
        unpriced=_unpriced(db, span),
        transferred=transferred,
        live=_live(db, span, series, before[0]),
    )


def _live(
    db: sqlite3.Connection, span: Span, series: dict[str, NDArray[np.float64]], start: float
) -> LiveFigures | None:
    if meta(db, MODE) != LIVE:
        return None
    n = len(series["equity"])
    net = float(series["equity"][-1]) - start if n else 0.0
    return read_live(db, span, net)


def _leave_out_transfers(
    db: sqlite3.Connection, series: dict[str, NDArray[np.float64]], span: Span
) -> float:
    """Take what was moved in or out in a span out of its equity; return how much that was."""
    query = (
        "SELECT booked_us, amount FROM income WHERE kind LIKE '%TRANSFER%' AND asset = 'USDT'"
        f" AND booked_us >= {span.first_us} AND booked_us < {span.last_us}"
    )
    moved = db.execute(query).fetchall()
    for booked_us, amount in moved:
        series["equity"] -= np.where(series["timestamp_us"] >= booked_us, amount, 0.0)
    return float(sum(amount for _, amount in moved))


def daily_returns(db: sqlite3.Connection) -> dict[str, float]:
    """Return the return of every day of an open journal, from the day before's close."""
    returns, before = {}, start_cash(db)
    for day, equity in db.execute("SELECT day, equity FROM days ORDER BY day"):
        moved = _leave_out_transfers(db, {"equity": np.zeros(0), "timestamp_us": np.zeros(0)},
                                     Span.of_days(day, day))  # fmt: skip
        returns[day] = (equity - moved) / before - 1.0 if before > 0.0 else 0.0
        before = equity
    return returns


def rows_in(db: sqlite3.Connection, table: str, span: Span) -> tuple[int, int]:
    """Return the rowids [first, end) of a table's rows in a span."""
    return _rowid_at(db, table, span.first_us), _rowid_at(db, table, span.last_us)


def _rowid_at(db: sqlite3.Connection, table: str, at_us: int) -> int:
    """Return the first rowid whose instant is not before ``at_us``."""
    low = 1
    high = (db.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] or 0) + 1
    query = f"SELECT {_CLOCK[table]} FROM {table} WHERE rowid >= ? ORDER BY rowid LIMIT 1"
    while low < high:
        middle = (low + high) // 2
        if db.execute(query, (middle,)).fetchone()[0] < at_us:
            low = middle + 1
        else:
            high = middle
    return low


def _where(db: sqlite3.Connection, table: str, span: Span) -> str:
    first, end = rows_in(db, table, span)
    return f"rowid >= {first} AND rowid < {end}"


def _series(db: sqlite3.Connection, first: int, end: int) -> dict[str, NDArray[np.float64]]:
    rows = db.execute(
        f"SELECT {', '.join(_SERIES)} FROM equity WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
        (first, end),
    ).fetchall()
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(_SERIES))
    return {name: table[:, n] for n, name in enumerate(_SERIES)}


def _funding(db: sqlite3.Connection, first: int, end: int) -> list[dict[str, Any]]:
    """Return the charges booked at the scans of a period."""
    query = "SELECT max(timestamp_us) FROM equity WHERE rowid < ?"
    after = db.execute(query, (first,)).fetchone()[0] or 0
    until = db.execute(query, (end,)).fetchone()[0] or 0
    return list(
        rows_of(
            db,
            f"SELECT * FROM funding WHERE booked_us > {after} AND booked_us <= {until} ORDER BY rowid",
        )
    )


def _unpriced(db: sqlite3.Connection, span: Span) -> list[dict[str, Any]]:
    """Return the held assets without a sound price for UNPRICED_SCANS scans, longest first."""
    marks = ", ".join(f"'{reason}'" for reason in UNPRICED)
    return list(
        rows_of(
            db,
            "SELECT asset, reason, count(*) AS scans, min(timestamp_us) AS first_us,"
            f" max(timestamp_us) AS last_us FROM decisions WHERE {_where(db, 'decisions', span)}"
            f" AND held <> 0 AND reason IN ({marks}) GROUP BY asset, reason"
            f" HAVING scans >= {UNPRICED_SCANS} ORDER BY scans DESC, asset",
        )
    )


def _opening(db: sqlite3.Connection, first: int) -> tuple[Books | None, dict[str, float]]:
    """Return the portfolio state before a period's first scan and that scan's prices, if stored."""
    row = db.execute(
        "SELECT o.desk, o.prices FROM openings o JOIN equity e ON e.timestamp_us = o.timestamp_us"
        " WHERE e.rowid = ?",
        (first,),
    ).fetchone()
    return (None, {}) if row is None else (books(row[0]), json.loads(row[1]))


def _closing(db: sqlite3.Connection, span: Span) -> Books | None:
    row = db.execute(
        "SELECT desk FROM openings WHERE timestamp_us >= ? ORDER BY timestamp_us LIMIT 1",
        (span.last_us,),
    ).fetchone()
    row = row or db.execute("SELECT desk FROM state").fetchone()
    return None if row is None else books(row[0])


def _counts(db: sqlite3.Connection, span: Span) -> dict[str, int]:
    found = {}
    for name, table, condition in (
        ("orders", "decisions", "side IS NOT NULL"),
        ("fills", "fills", "1"),
        ("cancels", "order_events", UNFILLED),
        ("refusals", "refusals", "1"),
    ):
        query = f"SELECT count(*) FROM {table} WHERE {_where(db, table, span)} AND {condition}"
        found[name] = db.execute(query).fetchone()[0]
    return found


def _counted(
    db: sqlite3.Connection, table: str, column: str, span: Span, condition: str = "1"
) -> dict[str, int]:
    query = (
        f"SELECT {column}, count(*) AS n FROM {table} WHERE {_where(db, table, span)}"
        f" AND {condition} GROUP BY {column} ORDER BY n DESC, {column}"
    )
    return dict(db.execute(query).fetchall())


def _notes(db: sqlite3.Connection, span: Span) -> list[str]:
    scans = _counted(db, "equity", "simulated", span, "simulated IS NOT NULL")
    fills = _counted(db, "fills", "source", span, "source LIKE 'simulated%'")
    notes = sorted(scans) + [f"{n} fills at a {source}" for source, n in sorted(fills.items())]
    faults = faults_of(db)
    return [*notes, f"injected faults of the venue: {faults.told}"] if faults.is_any else notes
