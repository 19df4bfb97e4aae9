"""What a journal holds of each scan of a day, by instant; used to compare two journals."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from dolphin_realtime.journal.database import reading
from dolphin_realtime.journal.fold import rows_of
from dolphin_realtime.journal.tables import UNFILLED
from dolphin_realtime.reports.period import rows_in
from dolphin_realtime.reports.span import Span

Key = tuple[int, str, str]
"""(instant of the decision, asset, leg); (0, asset, id) if it was in flight when the span began."""


class Decided(msgspec.Struct, kw_only=True):
    """What was decided for one asset at one scan; orders are (side, quantity).

    ``score`` and ``direction`` are the signal's before all gates and scalers; ``score`` is None
    if no row was kept.
    """

    signal: float = 0.0
    target: float = 0.0
    held: float = 0.0
    reason: str = ""
    orders: list[tuple[str, float]] = []
    score: float | None = None
    direction: int = 0

    @property
    def matters(self) -> bool:
        """Whether it has an order, a signal or a position."""
        return bool(self.orders or self.signal or self.held)


class Filled(msgspec.Struct, frozen=True):
    """How one order ended; ``price`` is None if it did not fill, and ``source`` then says why.

    ``fee_share`` is the fee as a fraction of the notional.
    """

    key: Key
    quantity: float
    price: float | None
    source: str
    fee_share: float = 0.0


class Handled(msgspec.Struct, kw_only=True):
    """One scan as it was handled: equity after it, posture, decisions, orders that ended at it.

    ``scalers`` are r_ar and r_vol.
    """

    equity: float
    posture: str
    is_acted_on: bool
    scalers: tuple[float | None, float | None] = (None, None)
    decisions: dict[str, Decided] = {}
    ended: list[Filled] = []


def read_handled(folder: Path, span: Span) -> dict[int, Handled]:
    """Return every scan of a span by its instant.

    Raises:
        JournalError: If there is no journal.
    """
    with reading(folder) as db:
        found = {
            row["timestamp_us"]: Handled(
                equity=row["equity"],
                posture=row["posture"],
                is_acted_on=bool(row["is_acted_on"]),
                scalers=(row["r_ar"], row["r_vol"]),
            )
            for row in _rows(db, "equity", span)
        }
        for row in _rows(db, "decisions", span):
            scan = found.get(row["timestamp_us"])
            if scan is not None:
                _add(scan.decisions.setdefault(row["asset"], Decided()), row)
        for end in _ends(db, span):
            scan = found.get(end[0])
            if scan is not None:
                scan.ended.append(end[1])
    return found


def _rows(db: sqlite3.Connection, table: str, span: Span) -> Iterator[dict[str, Any]]:
    first, end = rows_in(db, table, span)
    query = f"SELECT * FROM {table} WHERE rowid >= {first} AND rowid < {end} ORDER BY rowid"
    return rows_of(db, query)


def _add(decided: Decided, row: dict[str, Any]) -> None:
    decided.signal, decided.target, decided.held = row["signal"], row["target"], row["held"]
    decided.reason = str(row["reason"])
    decided.score, decided.direction = row["score"], row["direction"] or 0
    if row["side"] is not None:
        decided.orders.append((str(row["side"]), row["quantity"]))


def _ends(db: sqlite3.Connection, span: Span) -> Iterator[tuple[int, Filled]]:
    """Yield, for each order that ended, the instant of that scan and how it ended."""
    for table, columns, which in (
        ("fills", "t.booked_us, t.quantity, t.price, t.source, t.fee", "1"),
        ("order_events", "t.timestamp_us, 0.0, NULL, t.reason, 0.0", f"{UNFILLED} AND filled = 0"),
    ):
        first, end = rows_in(db, table, span)
        cursor = db.execute(
            f"SELECT t.client_order_id, o.timestamp_us, t.asset, o.leg, {columns} FROM {table} t"
            " LEFT JOIN orders o USING (client_order_id)"
            f" WHERE t.rowid >= {first} AND t.rowid < {end} AND {which} ORDER BY t.rowid"
        )
        for order_id, decided_us, asset, leg, at_us, quantity, price, source, fee in cursor:
            key = (decided_us, asset, leg)
            if decided_us is None or decided_us < span.first_us:
                key = (0, asset, order_id)
            notional = quantity * (price or 0.0)
            share = fee / notional if notional else 0.0
            yield at_us, Filled(key, quantity, price, source, share)
