"""Identities of a live journal alone: what the venue says fits together, in the venue's own order.

Trades may be booked in another order than they happened: the account's cash takes each profit as
the venue says it, and here each is compared with the trades before it, by the venue's trade ids.
"""

import sqlite3
from typing import Any, Final

from dolphin_realtime.journal.fold import realised_break, rows_of
from dolphin_realtime.model.portfolio.account import TOLERANCE_USD, Position

ROUNDING: Final = 1e-7
"""By which share of its notional a real venue may round a profit in its own way."""
_TRADES: Final = "SELECT * FROM fills WHERE seq IS NOT NULL"


def trade_id(fill_id: str) -> int:
    """Return the venue's number of a trade."""
    return int(fill_id.rpartition(":")[2])


def check_venue(db: sqlite3.Connection) -> str | None:
    """Return the first contradiction of what a venue said, None if there is none."""
    return _realised(db) or _numbered(db)


def _realised(db: sqlite3.Connection) -> str | None:
    """Check that each trade realised what the trades before it give."""
    positions: dict[str, Position] = {}
    trades = sorted(rows_of(db, _TRADES), key=lambda row: (row["asset"], trade_id(row["fill_id"])))
    for row in trades:
        position = positions.setdefault(row["asset"], Position())
        realised = position.apply(signed_of(row), row["price"], row["size_digits"])
        off = abs(realised - row["venue_realised"])
        if off > TOLERANCE_USD + ROUNDING * row["quantity"] * row["price"]:
            return realised_break(row, realised)
    return None


def _numbered(db: sqlite3.Connection) -> str | None:
    """Check that what came from the venue is numbered once, without a gap."""
    query = (
        "SELECT seq FROM (SELECT seq FROM fills UNION ALL SELECT seq FROM order_events"
        " UNION ALL SELECT seq FROM income) WHERE seq IS NOT NULL ORDER BY seq"
    )
    for wanted, (seq,) in enumerate(db.execute(query), 1):
        if seq != wanted:
            return f"seq {wanted}: is missing or there twice, the next is {seq}"
    return None


def signed_of(row: dict[str, Any]) -> float:
    """Return a fill's signed quantity."""
    quantity: float = row["quantity"]
    return quantity if row["side"] == "BUY" else -quantity
