"""The account computed from a journal's rows: fills, funding and position changes, in order.

Folding rows, and finding the first row that contradicts those before it, belong here; the
identities of a journal are in check.py. Money is USDT.
"""

import math
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from dolphin_realtime.model.portfolio.account import TOLERANCE_USD, Account, Position
from dolphin_realtime.model.portfolio.payments import take_paid
from dolphin_realtime.model.portfolio.position_change import (
    Act,
    PositionChange,
    change_account,
    restore_position,
)

START_CASH: Final = "start_cash"


def rows_of(db: sqlite3.Connection, query: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a query by column name."""
    cursor = db.execute(query)
    names = [d[0] for d in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def start_cash(db: sqlite3.Connection) -> float:
    """Return the account's start cash, 0 if nothing was journalled yet."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (START_CASH,)).fetchone()
    return float(row[0]) if row else 0.0


_CHARGES: Final = "SELECT * FROM funding ORDER BY booked_us, settlement_us, rowid"
_CHANGES: Final = "SELECT * FROM position_changes ORDER BY rowid"


def realised_break(row: dict[str, Any], realised: float) -> str:
    """Return that a fill realised something else than the fills before it give."""
    id_ = row["client_order_id"] or row["fill_id"]
    return f"fills {id_}: realised is {row['realised']!r}, the fills before it give {realised!r}"


class Fold:
    """The account computed from the rows up to a scan.

    A position change after a scan counts from the next scan on.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.account = Account(start_cash=start_cash(db), positions={})
        self._fills = rows_of(db, "SELECT * FROM fills ORDER BY rowid")
        self._charges, self._changes = rows_of(db, _CHARGES), rows_of(db, _CHANGES)
        self._fill, self._charge = next(self._fills, None), next(self._charges, None)
        self._change = next(self._changes, None)
        self._payments = rows_of(db, "SELECT * FROM income ORDER BY seq")
        self._paid = next(self._payments, None)
        self._done: dict[str, dict[str, Any]] = {}

    def up_to(self, timestamp_us: int) -> str | None:
        """Fold everything booked up to a scan; return the first contradiction, or None."""
        while self._change is not None and self._change["timestamp_us"] < timestamp_us:
            broken = self._take_fills(self._change["timestamp_us"]) or self._take_change()
            if broken:
                return broken
        while self._paid is not None and self._paid["booked_us"] <= timestamp_us:
            take_paid(self.account, self._paid["kind"], self._paid["asset"], self._paid["amount"])
            self._paid = next(self._payments, None)
        while self._charge is not None and self._charge["booked_us"] <= timestamp_us:
            self.account.funding += self._charge["amount"]
            self._charge = next(self._charges, None)
        return self._take_fills(timestamp_us)

    def _take_fills(self, timestamp_us: int) -> str | None:
        while self._fill is not None and self._fill["booked_us"] <= timestamp_us:
            row, signed = self._fill, self._fill["quantity"]
            signed = signed if row["side"] == "BUY" else -signed
            realised = self.account.apply_fill(
                row["asset"], signed, row["price"], row["fee"], row["size_digits"],
                row["venue_realised"],
            )  # fmt: skip
            self.account.slippage += row["quantity"] * abs(row["price"] - row["mid"])
            if abs(realised - row["realised"]) > TOLERANCE_USD:
                return realised_break(row, realised)
            self._fill = next(self._fills, None)
        return None

    def _take_change(self) -> str | None:
        row, self._change = self._change, next(self._changes, None)
        if row is None:
            return None
        position = self.account.positions.setdefault(row["asset"], Position())
        name = f"position_changes {row['id']}"
        if abs(position.quantity - row["quantity_before"]) > 10.0 ** -row["size_digits"] / 2:
            return f"{name}: {row['quantity_before']!r} before it, the rows before it give {position.quantity!r}"
        realised = self._carry_out(row)
        self._done[row["id"]] = row
        if realised is None:
            return f"{name}: takes back {row['undoes']!r}, which is no change before it"
        averages = (position.average_price, row["average"])
        is_another = not math.isclose(*averages, rel_tol=1e-9, abs_tol=1e-300)
        if row["act"] == Act.REDENOMINATE and row["price_before"]:
            price = row["price_before"] / row["value"]
            is_another |= not math.isclose(price, row["price"] or 0.0, rel_tol=1e-9)
        is_another |= position.quantity != row["quantity"]
        if is_another or abs(realised - row["realised"]) > TOLERANCE_USD:
            return (
                f"{name}: {row['quantity']!r} at {row['average']!r} after it and {row['realised']!r} "
                f"realised, by its act {position.quantity!r} at {averages[0]!r} and {realised!r}"
            )
        return None

    def _carry_out(self, row: dict[str, Any]) -> float | None:
        """Return the profit that a change realised; None if it undoes an unknown change."""
        act = Act(row["act"])
        if act is Act.ACCEPT:
            return 0.0
        if act is Act.UNDO:
            undone = self._done.get(row["undoes"])
            return None if undone is None else restore_position(self.account, _change(undone))
        price = row["price_before"] or 0.0
        digits = row["size_digits"]
        return change_account(self.account, act, row["asset"], row["value"], price, digits)

    def rest(self) -> str | None:
        """Return the first fill or charge booked later than every scan, or None."""
        if self._fill is not None:
            return f"fills {self._fill['client_order_id']}: later than every equity row"
        if self._charge is not None:
            return f"funding {self._charge['asset']} at {self._charge['settlement_us']}: later than every equity row"
        return None


def _change(row: dict[str, Any]) -> PositionChange:
    fields = {name: row[name] for name in PositionChange.__struct_fields__}
    return PositionChange(**{**fields, "act": Act(row["act"])})
