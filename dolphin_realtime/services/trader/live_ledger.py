"""The venue's ledger as the journal holds it: with what a live trader starts.

Reading it back and the facts of the journal's account belong here; comparing it with the venue
does not (venues/binance/reader.py). Amounts are exact as long as they have at most 15 digits.
"""

import sqlite3
from decimal import Decimal
from importlib.metadata import version
from typing import Final

import msgspec

from dolphin_realtime.journal import database
from dolphin_realtime.journal.fold import START_CASH, start_cash
from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.journal.tables import MetaRow
from dolphin_realtime.journal.venue_check import trade_id
from dolphin_realtime.journal.venue_rows import LIMITS, VenueRows
from dolphin_realtime.model.errors import VenueError
from dolphin_realtime.model.portfolio.payments import QUOTE
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.trading.average_cost import AverageCosts
from dolphin_realtime.venues.binance.documents import Income, Trade
from dolphin_realtime.venues.binance.ledger import Ledger
from dolphin_realtime.venues.binance.order_life import PREFIX

WALLETS: Final = "start_wallets"
BEFORE: Final = "rows_before"
"""Keys of the venue's rows that the wallets of the start hold already."""
AGREED: Final = "agreed_ms"
"""When ledger and venue last agreed: rows are sought from then on."""
OPENED: Final = "opened_ms"
"""When the account was opened."""
CORE: Final = "core"
ADOPTED: Final = "adopted"
"""Number of the last trade from outside that a person has adopted, with who and why."""
RAISED: Final = "first_day_cap_raised"
"""Who raised the cap of the first day, when and why."""
_TRADES: Final = (
    "SELECT asset, fill_id, venue_order_id, side, quantity, price, fee_paid, fee_asset,"
    " venue_realised, venue_us, client_order_id FROM fills ORDER BY rowid"
)
_INCOME: Final = "SELECT kind, tran_id, symbol, asset, amount, venue_us FROM income ORDER BY seq"


def ledger_of(db: sqlite3.Connection) -> Ledger | None:
    """Return the ledger of a journal, None if its account was never opened."""
    wallets = database.meta(db, WALLETS)
    if not wallets:
        return None
    ledger = Ledger({}, msgspec.json.decode(wallets, type=dict[str, Decimal]))
    ledger.before = {tuple(key) for key in msgspec.json.decode(database.meta(db, BEFORE))}
    for row in db.execute(_TRADES):
        ledger.add_trade(_trade(row))
    for kind, tran_id, symbol, asset, amount, at_us in db.execute(_INCOME):
        ledger.add_income(Income(
            kind=kind, tran_id=tran_id, symbol=symbol, asset=asset, amount=_exact(amount),
            at_ms=at_us // 1000,
        ))  # fmt: skip
    ledger.newest_ms = int(database.meta(db, AGREED))  # what came later may have holes
    return ledger


def open_account(db: sqlite3.Connection, portfolio: Portfolio, ledger: Ledger, now_ms: int) -> None:
    """Begin a journal's account with what the venue holds.

    Raises:
        VenueError: If positions are held: whose they are is not known.
    """
    held = ledger.positions()
    if held:
        raise VenueError(
            f"the account holds {', '.join(held)} and this journal has no past: close them at the "
            "venue, or move the journal back that knows them"
        )
    wallets = ledger.wallets()
    cash = float(wallets.get(QUOTE, 0))
    if cash <= 0.0:
        raise VenueError("the account has no USDT: move some to the futures wallet")
    portfolio.account.start_cash = portfolio.marks.peak = cash
    facts = {
        WALLETS: msgspec.json.encode({name: str(x) for name, x in wallets.items()}).decode(),
        BEFORE: msgspec.json.encode(sorted(ledger.before, key=str)).decode(),
        AGREED: str(now_ms),
        OPENED: str(now_ms),
        CORE: f"nautilus_trader {version('nautilus_trader')}",
        START_CASH: repr(cash),
    }
    with db:
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())


def go_on(
    db: sqlite3.Connection, rows: Rows, venue_rows: VenueRows, averages: AverageCosts
) -> None:
    """Go on numbering, marking and averaging where the journal ended."""
    query = "SELECT asset, fill_id, side, quantity, price, size_digits FROM fills ORDER BY rowid"
    for asset, fill_id, side, quantity, price, digits in db.execute(query):
        signed = quantity if side == "BUY" else -quantity
        averages.add(asset, trade_id(fill_id), signed, price, digits)
    rows.last_equity = database.last_equity(db)
    newest = "SELECT max(seq) FROM (SELECT seq FROM fills UNION ALL SELECT seq FROM order_events"
    venue_rows.seq = db.execute(f"{newest} UNION ALL SELECT seq FROM income)").fetchone()[0] or 0  # noqa: S608


def begin_again(db: sqlite3.Connection, portfolio: Portfolio) -> None:
    """Begin a portfolio whose account was opened by a process that saved no scan."""
    portfolio.account.start_cash = portfolio.marks.peak = start_cash(db)


def limits_row(portfolio: Portfolio) -> MetaRow:
    """Return the limits in force from now on: without them a day cannot be replayed."""
    text = msgspec.json.encode(portfolio.pre_trade).decode()
    return MetaRow(f"{LIMITS}{portfolio.last_us}", text)


def keep_limits(db: sqlite3.Connection, portfolio: Portfolio) -> None:
    """Journal the limits with which a trader starts."""
    with db:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", limits_row(portfolio))


def ordered(db: sqlite3.Connection) -> set[str]:
    """Return the ids of the orders that the tables hold."""
    return {row[0] for row in db.execute("SELECT client_order_id FROM orders")}


def not_adopted(db: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Return (asset, source, venue's instant in µs) of trades from outside that nobody adopted."""
    query = (
        "SELECT asset, source, venue_us FROM fills WHERE client_order_id = '' AND seq > ?"
        " ORDER BY seq"
    )
    return db.execute(query, (adopted_seq(database.meta(db, ADOPTED)),)).fetchall()


def is_raised(db: sqlite3.Connection) -> bool:
    """Return whether a person has raised the cap of the first day."""
    return bool(database.meta(db, RAISED))


def adopted_seq(fact: str) -> int:
    """Return the number up to which trades from outside are adopted."""
    return int(msgspec.json.decode(fact)["seq"]) if fact else 0


def _trade(row: tuple[object, ...]) -> Trade:
    asset, fill_id, number, side, quantity, price, fee, fee_asset, realised, at_us, order_id = row
    return Trade(
        symbol=str(asset), id=trade_id(str(fill_id)), order_id=int(str(number)),
        is_buy=side == "BUY", quantity=_exact(quantity), price=_exact(price), fee=_exact(fee),
        fee_asset=str(fee_asset), realised=_exact(realised), at_ms=int(str(at_us)) // 1000,
        client_id=PREFIX + str(order_id) if order_id else None,
    )  # fmt: skip


def _exact(value: object) -> Decimal:
    return Decimal(repr(value))
