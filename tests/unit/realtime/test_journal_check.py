"""The identities of a journal at their bounds: two days, a sale, funding, a person's change."""

import sqlite3

import msgspec
import pytest

from dolphin_realtime.journal import database
from dolphin_realtime.journal.check import check
from dolphin_realtime.journal.fold import Fold, start_cash
from dolphin_realtime.journal.tables import (
    DayRow,
    EquityRow,
    FillRow,
    FundingRow,
    MetaRow,
    OrderEventRow,
    OrderRow,
    PositionChangeRow,
    StateRow,
)
from dolphin_realtime.model.portfolio import saved
from dolphin_realtime.model.portfolio.portfolio import Portfolio

S = 1_000_000
DAY = 86_400 * S
END = 1 << 62
DIGITS = 6


def equity_row(scan, at_us, cash, unrealised, realised=0.0, fees=0.0, funding=0.0):
    return EquityRow(
        1, scan, at_us, cash=cash, realised=realised, unrealised=unrealised, fees=fees,
        funding=funding, equity=cash + unrealised, posture="NORMAL", is_acted_on=True,
        simulated=None, long_usd=0.0, short_usd=0.0, r_ar=1.0, r_vol=1.0, assets=1, gated=0,
        latency_us=None, entry_block=None,
    )  # fmt: skip


def fill_row(name, at_us, side, quantity, price, mid, fee, realised):
    return FillRow(
        fill_id=f"{name}-1", client_order_id=name, epoch=1, scan_number=1, timestamp_us=at_us,
        asset="A", side=side, quantity=quantity, price=price, mid=mid, fee=fee, realised=realised,
        source="scan", booked_us=at_us, size_digits=DIGITS,
    )  # fmt: skip


def change_row(**fields):
    usual = {
        "id": "C1", "timestamp_us": DAY + 2 * S, "at": "x", "act": "redenominate", "asset": "A",
        "value": 2.0, "undoes": None, "quantity_before": 1.0, "quantity": 2.0,
        "average_before": 10.0, "average": 5.0, "price_before": 13.0, "price": 6.5,
        "realised": 0.0, "size_digits": DIGITS, "who": "me", "reason": "split",
    }  # fmt: skip
    return PositionChangeRow(**{**usual, **fields})


ROWS = {
    "meta": [MetaRow("start_cash", "100.0")],
    "orders": [
        OrderRow("O1", 1, 1, S, "A", "BUY", 2.0, "O", False),
        OrderRow("O2", 1, 3, DAY + S, "A", "SELL", 1.0, "A", True),
        OrderRow("O3", 1, 5, DAY + 3 * S, "B", "BUY", 1.0, "O", False),
    ],
    "fills": [
        fill_row("O1", 2 * S, "BUY", 2.0, 10.0, 9.9, 0.5, 0.0),
        fill_row("O2", DAY + 2 * S, "SELL", 1.0, 13.0, 13.1, 0.25, 3.0),
    ],
    "order_events": [
        OrderEventRow("O1", "A", 2 * S, "FILLED", "", 2.0),
        OrderEventRow("O2", "A", DAY + 2 * S, "FILLED", "", 1.0),
        OrderEventRow("O3", "B", DAY + 3 * S, "UNKNOWN", "lost", 0.0),
    ],
    "funding": [FundingRow(DAY, "A", 2.0, 1e-4, 0.125, DAY + 2 * S)],
    "position_changes": [change_row()],
    "equity": [
        equity_row(1, S, 100.0, 0.0),
        equity_row(2, 2 * S, 99.5, 3.0, fees=0.5),
        equity_row(3, DAY + S, 99.5, 3.0, fees=0.5),
        equity_row(4, DAY + 2 * S, 102.125, 3.0, realised=3.0, fees=0.75, funding=0.125),
        equity_row(5, DAY + 3 * S, 102.125, 4.0, realised=3.0, fees=0.75, funding=0.125),
    ],
    "days": [
        DayRow("1970-01-01", 0.0, 3.0, 0.5, 0.0, 102.5, 1, 0.0),
        DayRow("1970-01-02", 3.0, 4.0, 0.25, 0.125, 106.125, 1, 0.0),
    ],
}


def portfolio(quantity=2.0, cash_error=0.0, flying=("O3",), other=0.0):
    found = Portfolio("X")
    found.account.start_cash = 100.0 + cash_error
    found.add_instruments(["A", "B"])
    found.account.apply_fill("A", quantity, 5.0, 0.75, DIGITS)
    found.account.realised, found.account.funding = 3.0, 0.125
    if other:
        found.account.apply_fill("B", other, 1.0, 0.0, DIGITS)
    raw = msgspec.msgpack.decode(saved.save(found))
    raw["in_flight"] = [{"client_order_id": name} for name in flying]
    return msgspec.msgpack.encode(raw)


def journal(folder, *statements, desk=None, **rows):
    """Write the journal, change it by SQL, and return what its check says first."""
    folder.mkdir(exist_ok=True)
    db = database.open_new(folder)
    state = [StateRow(0, portfolio() if desk is None else desk)]
    database.insert(db, {**ROWS, "state": state, **rows})
    db.commit()
    db.close()
    with sqlite3.connect(folder / "journal.sqlite") as db:
        for statement in statements:
            db.execute(statement)
    db.close()
    found = check(folder)
    assert found.ok is (found.first_break is None)
    return found.first_break


def test_the_journal_as_it_is_holds(tmp_path):
    assert journal(tmp_path) is None
    assert check(tmp_path).rows == 3 + 2 + 3 + 1 + 1 + 5 + 2


def test_the_fold_is_the_account(tmp_path):
    journal(tmp_path)
    with database.reading(tmp_path) as db:
        assert start_cash(db) == 100.0
        fold = Fold(db)
        assert fold.up_to(2 * S) is None
        assert (fold.account.cash, fold.account.held()) == (99.5, {"A": 2.0})
        assert fold.account.slippage == pytest.approx(2.0 * 0.1)
        assert fold.rest() == "fills O2: later than every equity row"
        assert fold.up_to(DAY + 2 * S) is None
        assert fold.account.held() == {"A": 1.0}, "a change counts from the next scan on"
        assert fold.account.slippage == pytest.approx(2.0 * 0.1 + 0.1)
        assert (fold.account.funding, fold.account.fees) == (0.125, 0.75)
        assert fold.up_to(END) is None
        assert fold.account.positions["A"].average_price == 5.0
        assert (fold.account.held(), fold.rest()) == ({"A": 2.0}, None)


MONEY = [
    *[("equity", column, f"scan_number = {n}", f"equity epoch 1 scan {n}: {column} is")
      for n in (1, 2, 4) for column in ("cash", "realised", "fees", "funding", "equity")],
    *[("days", column, f"day = '1970-01-0{n}'", f"days 1970-01-0{n}: {column} is")
      for n in (1, 2) for column in ("realised", "fees", "funding", "equity")],
    ("fills", "realised", "client_order_id = 'O2'", "fills O2: realised is"),
    ("position_changes", "realised", "id = 'C1'", "position_changes C1: 2.0 at 5.0 after it"),
    ("funding", "amount", "asset = 'A'", "equity epoch 1 scan 4: cash is"),
    ("fills", "fee", "client_order_id = 'O1'", "equity epoch 1 scan 2: cash is"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "where", "named"), MONEY)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_amount_may_be_off_by_less_than_a_millionth(tmp_path, table, column, where, named, sign):
    change = f"UPDATE {table} SET {column} = {column} + {{}} WHERE {where}"
    near = journal(tmp_path / "near", change.format(sign * 4e-7))
    assert near is None
    far = journal(tmp_path / "far", change.format(sign * 2.5e-6))
    assert far.startswith(named)


@pytest.mark.parametrize(("statement", "named"), [
    ("UPDATE fills SET quantity = 2.1 WHERE client_order_id = 'O1'", "fills O1: differs from its order"),
    ("UPDATE fills SET asset = 'B' WHERE client_order_id = 'O1'", "fills O1: differs"),
    ("UPDATE fills SET side = 'SELL' WHERE client_order_id = 'O1'", "fills O1: differs"),
    ("UPDATE fills SET booked_us = 1999999 WHERE client_order_id = 'O1'", "fills O1: differs"),
    ("UPDATE orders SET quantity = 0, asset = 'B' WHERE client_order_id = 'O3'",
     "orders O3: a quantity that is not above 0"),
    ("UPDATE equity SET timestamp_us = 2000000 WHERE scan_number = 1",
     "equity epoch 1 scan 2: not later than scan 1 before it"),
    ("UPDATE equity SET unrealised = 2e-6, equity = 100.000002 WHERE scan_number = 1",
     "equity epoch 1 scan 1: unrealised is 2e-06 on a flat book"),
    ("DELETE FROM equity WHERE scan_number = 5 OR scan_number = 4", "orders O3: its scan was never"),
    ("UPDATE days SET trades = 0 WHERE day = '1970-01-02'", "days 1970-01-02: 0 trades, but 1 fills"),
    ("INSERT INTO days VALUES ('1970-01-03', 0, 0, 0, 0, 0, 0, 0)", "days 1970-01-03: has no equity row"),
    ("UPDATE funding SET booked_us = 1e18", "equity epoch 1 scan 4: cash is"),
    ("INSERT INTO funding VALUES (7, 'Z', 1, 1, 0, 1000000000000)",
     "funding Z at 7: later than every equity row"),
    ("UPDATE order_events SET filled = 1.9999 WHERE client_order_id = 'O1'",
     "order_events O1: ended FILLED with 1.9999 filled, its fills give 2.0 of 2.0"),
    ("UPDATE order_events SET state = 'CANCELED' WHERE client_order_id = 'O2'",
     "order_events O2: ended CANCELED with 1.0 filled"),
    ("DELETE FROM order_events WHERE client_order_id = 'O2'",
     "orders O2 of 1970-01-02T00:00:01+00:00: has no outcome and is not in flight"),
    ("DELETE FROM state", "state: there is none, but scans were handled"),
    ("UPDATE position_changes SET quantity_before = 1.1", "position_changes C1: 1.1 before it"),
    ("UPDATE position_changes SET quantity = 2.1", "position_changes C1: 2.1 at 5.0 after it"),
    ("UPDATE position_changes SET average = 5.1", "position_changes C1: 2.0 at 5.1 after it"),
    ("UPDATE position_changes SET price = 6.6", "position_changes C1: 2.0 at 5.0 after it"),
    ("UPDATE position_changes SET price = NULL", "position_changes C1: 2.0 at 5.0 after it"),
    ("UPDATE position_changes SET act = 'undo', undoes = 'C0'",
     "position_changes C1: takes back 'C0', which is no change before it"),
])  # fmt: skip
def test_each_contradiction_is_named(tmp_path, statement, named):
    assert journal(tmp_path, statement).startswith(named)


@pytest.mark.parametrize("statement", [
    "UPDATE position_changes SET price_before = NULL, price = NULL",
    "UPDATE position_changes SET quantity_before = 1.0000004",
    "UPDATE equity SET unrealised = 4e-7, equity = 100.0000004 WHERE scan_number = 1",
    "UPDATE order_events SET state = 'UNKNOWN' WHERE client_order_id = 'O3'",
])  # fmt: skip
def test_what_is_no_contradiction_is_none(tmp_path, statement):
    assert journal(tmp_path, statement) is None


def test_a_change_that_is_taken_back_leaves_what_was_before_it(tmp_path):
    undo = change_row(
        id="C2", act="undo", value=None, undoes="C1", quantity_before=2.0, quantity=1.0,
        average_before=5.0, average=10.0, price_before=6.5, price=13.0,
    )  # fmt: skip
    accept = change_row(
        id="C0", act="accept", value=None, quantity=1.0, average=10.0, price=80.0
    )  # fmt: skip
    rows = [accept, change_row(), undo]
    account = msgspec.msgpack.decode(portfolio())
    account["account"]["positions"]["A"] = {"quantity": 1.0, "average_price": 10.0, "realised": 3.0}
    assert journal(tmp_path, desk=msgspec.msgpack.encode(account), position_changes=rows) is None


@pytest.mark.parametrize(("desk", "named"), [
    ({"cash_error": 4e-7}, None), ({"cash_error": 2e-6}, "state: cash is 102.125002"),
    ({"quantity": 2.000001}, "state: A is 2.000001, its fills give 2.0"),
    ({"other": 3.0}, "state: B is 3.0, its fills give 0.0"),
    ({"flying": ()}, "orders O3 of 1970-01-02T00:00:03+00:00: has no outcome and is not in flight"),
    ({"flying": ("O3", "O9", "O8")}, "state: O8 is in flight, but is no open order"),
])  # fmt: skip
def test_the_saved_portfolio_is_what_the_rows_give(tmp_path, desk, named):
    found = journal(tmp_path, desk=portfolio(**desk))
    assert found is named is None or found.startswith(named)


def test_positions_that_only_the_rows_have_are_named(tmp_path):
    raw = msgspec.msgpack.decode(portfolio())
    del raw["account"]["positions"]["A"]
    said = journal(tmp_path, desk=msgspec.msgpack.encode(raw))
    assert said == "state: A is 0.0, its fills give 2.0"
    said = journal(tmp_path / "one", desk=msgspec.msgpack.encode(raw), position_changes=[])
    assert said == "state: A is 0.0, its fills give 1.0"


@pytest.mark.parametrize(("off", "is_broken"), [(4e-7, False), (6e-7, True)])
def test_a_position_may_be_off_by_less_than_half_a_step(tmp_path, off, is_broken):
    raw = msgspec.msgpack.decode(portfolio())
    raw["account"]["positions"]["A"]["quantity"] += off
    digits = raw["instruments"]["A"]["size_precision"]
    assert digits == DIGITS
    said = journal(tmp_path, desk=msgspec.msgpack.encode(raw))
    assert (said is not None) is is_broken


def test_a_file_that_is_no_database_is_said(tmp_path):
    journal(tmp_path)
    path = tmp_path / "journal.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    found = check(tmp_path)
    assert found.first_break.startswith("the database is unreadable")
    assert (found.ok, found.rows) == (False, 0)
