"""The journal: what is written comes back, and a broken row is named."""

import sqlite3
import threading

import pytest

from dolphin_realtime.journal import database
from dolphin_realtime.journal.check import check
from dolphin_realtime.journal.intents import Intent
from dolphin_realtime.journal.tables import FillRow, OrderEventRow
from dolphin_realtime.journal.writer import Journal, ScanRecord
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.orders import InFlight, OrderIntent
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.reports.figures import figures

ORDER = InFlight(
    client_order_id="X-1-1-A-O",
    order=OrderIntent(asset="A", side="BUY", quantity=2.0, leg="O", is_reduce_only=False),
    epoch=1,
    scan_number=1,
    decided_us=1_000_000,
)


def a_portfolio():
    """Return the saved portfolio that the two scans of `write` leave."""
    portfolio = Portfolio("X")
    portfolio.account.start_cash = 100.0
    portfolio.add_instruments(["A"])
    portfolio.account.apply_fill("A", 2.0, 10.0, 0.5, portfolio.digits("A"))
    return portfolio_state.save(portfolio)


DESK = a_portfolio()


def equity_row(scan, us, cash, realised, unrealised, fees, equity):
    head = (1, scan, us, cash, realised, unrealised, fees, 0.0, equity, "NORMAL", 1, None)
    return (*head, 0.0, 0.0, 1.0, 1.0, 1, 0, None, None)


def write(folder):
    done = threading.Event()
    seen = []
    journal = Journal(folder, lambda record: (seen.append(record.scan_number), done.set()))
    journal.start()
    journal.commit(
        ScanRecord(
            epoch=1,
            scan_number=1,
            rows={
                "orders": [("X-1-1-A-O", 1, 1, 1_000_000, "A", "BUY", 2.0, "O", 0)],
                "equity": [equity_row(1, 1_000_000, 100.0, 0.0, 0.0, 0.0, 100.0)],
                "meta": [("start_cash", "100.0")],
            },
            portfolio=None,
        )
    )
    journal.commit(
        ScanRecord(
            epoch=1,
            scan_number=2,
            rows={
                "fills": [
                    FillRow(
                        "X-1-1-A-O-1",
                        "X-1-1-A-O",
                        1,
                        1,
                        2_000_000,
                        "A",
                        "BUY",
                        2.0,
                        10.0,
                        9.9,
                        0.5,
                        0.0,
                        "scan",
                        2_000_000,
                        6,
                    )
                ],
                "order_events": [OrderEventRow("X-1-1-A-O", "A", 2_000_000, "FILLED", "", 2.0)],
                "equity": [equity_row(2, 2_000_000, 99.5, 0.0, 3.0, 0.5, 102.5)],
                "days": [("1970-01-01", 0.0, 3.0, 0.5, 0.0, 102.5, 1, 0.0)],
            },
            portfolio=DESK,
        )
    )
    journal.close()
    assert seen == [1, 2]


def test_what_is_committed_comes_back(tmp_path):
    write(tmp_path)
    journal = Journal(tmp_path, lambda _: None)
    assert journal.load_portfolio() == DESK
    journal.close()
    result = check(tmp_path)
    assert (result.ok, result.rows, result.first_break) == (True, 6, None)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE fills SET quantity = 3", "fills X-1-1-A-O: differs from its order"),
        ("UPDATE fills SET timestamp_us = 1000000", "fills X-1-1-A-O"),
        ("UPDATE fills SET realised = 1", "realised is 1.0, the fills before it give 0.0"),
        ("DELETE FROM orders", "fills X-1-1-A-O"),
        ("DELETE FROM fills", "equity epoch 1 scan 2: cash is 99.5"),
        ("UPDATE equity SET cash = 98 WHERE scan_number = 2", "equity epoch 1 scan 2: cash"),
        ("UPDATE equity SET equity = 98 WHERE scan_number = 1", "equity epoch 1 scan 1: equity"),
        ("UPDATE equity SET fees = 0 WHERE scan_number = 2", "equity epoch 1 scan 2"),
        ("UPDATE days SET fees = 1", "days 1970-01-01: fees"),
        ("UPDATE days SET equity = 1", "days 1970-01-01: equity"),
        (
            "INSERT INTO order_events VALUES ('X-1-1-A-O', 'A', 1, 'CANCELED', 'x', 0.0, NULL, NULL)",
            "order_events X-1-1-A-O: has two ends",
        ),
        (
            "UPDATE order_events SET state = 'EXPIRED', filled = 1.0",
            "order_events X-1-1-A-O: ended EXPIRED with 1.0 filled, its fills give 2.0",
        ),
        ("UPDATE order_events SET filled = 1.0", "order_events X-1-1-A-O: ended FILLED"),
        (
            "DELETE FROM order_events",
            "orders X-1-1-A-O of 1970-01-01T00:00:01+00:00: has no outcome",
        ),
        ("UPDATE days SET trades = 7", "days 1970-01-01: 7 trades"),
        ("UPDATE orders SET epoch = 9", "orders X-1-1-A-O: its scan was never handled"),
        ("UPDATE fills SET timestamp_us = booked_us + 1", "fills X-1-1-A-O"),
        ("UPDATE equity SET timestamp_us = 500000 WHERE scan_number = 2", "equity epoch 1 scan 2"),
        ("UPDATE equity SET cash = 9e999 WHERE scan_number = 2", "equity epoch 1 scan 2: cash"),
        ("DELETE FROM state", "state: there is none"),
        (
            "INSERT INTO orders VALUES ('X-1-2-B-O', 1, 2, 2000000, 'B', 'BUY', 1.0, 'O', 0)",
            "orders X-1-2-B-O of 1970-01-01T00:00:02+00:00: has no outcome",
        ),
    ],
)
def test_the_first_broken_row_is_named(tmp_path, statement, named):
    write(tmp_path)
    with sqlite3.connect(database.path_of(tmp_path)) as db:
        db.execute(statement)
    db.close()
    result = check(tmp_path)
    assert not result.ok
    assert named in result.first_break


def test_intents_after_the_last_commit_come_back_and_a_cut_line_is_left_out(tmp_path):
    journal = Journal(tmp_path, lambda _: None)
    assert journal.intend(1, 1, [ORDER], TradingPermission())
    assert journal.intend(1, 2, [ORDER], TradingPermission())
    journal.close()
    with (tmp_path / "intents.jsonl").open("ab") as f:
        f.write(b'{"epoch":1,"scan_')
    journal = Journal(tmp_path, lambda _: None)
    assert len(journal.intents.recover(None)) == 2
    assert journal.intents.recover((1, 1)) == [Intent(epoch=1, scan_number=2, orders=[ORDER])]
    assert journal.intend(1, 3, [ORDER], TradingPermission())
    assert [i.scan_number for i in journal.intents.recover(None)] == [2, 3]
    journal.close()


def test_a_second_owner_is_refused(tmp_path):
    journal = Journal(tmp_path, lambda _: None)
    with pytest.raises(JournalError, match="in use by another trader"):
        Journal(tmp_path, lambda _: None)
    journal.close()


def test_a_missing_journal_is_said(tmp_path):
    with pytest.raises(JournalError, match="no journal at"):
        check(tmp_path)


def test_a_journal_of_another_version_is_refused(tmp_path):
    Journal(tmp_path, lambda _: None).close()
    with sqlite3.connect(database.path_of(tmp_path)) as db:
        db.execute("PRAGMA user_version = 1")
    db.close()
    with pytest.raises(JournalError, match="has schema 1, this Dolphin writes 6"):
        Journal(tmp_path, lambda _: None)


def test_a_record_that_contradicts_the_journal_is_set_aside_and_said(tmp_path):
    journal = Journal(tmp_path, lambda _: None)
    order = ("X-1-1-A-O", 1, 1, 1, "A", "BUY", 2.0, "O", 0)
    equity = equity_row(2, 2, 100.0, 0.0, 0.0, 0.0, 100.0)
    for rows in ({"orders": [order]}, {"orders": [order]}, {"equity": [equity]}):
        journal.commit(ScanRecord(epoch=1, scan_number=1, rows=rows, portfolio=None))
    journal.start()
    journal.close()
    assert "contradicts the journal" in journal.fault
    assert journal.trouble == "JOURNAL_FAILED"
    with sqlite3.connect(database.path_of(tmp_path)) as db:
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM equity").fetchone() == (1,)
    db.close()


AS_SCHEMA_3 = (
    "DROP VIEW cancels",
    "CREATE TABLE cancels (client_order_id TEXT PRIMARY KEY, timestamp_us INTEGER, reason TEXT)",
    "DROP TABLE order_events",
    "ALTER TABLE fills RENAME TO fills_4",
    """CREATE TABLE fills (client_order_id TEXT PRIMARY KEY, epoch INTEGER, scan_number INTEGER,
       timestamp_us INTEGER, asset TEXT, side TEXT, quantity REAL, price REAL, mid REAL, fee REAL,
       realised REAL, source TEXT, booked_us INTEGER)""",
    """INSERT INTO fills SELECT client_order_id, epoch, scan_number, timestamp_us, asset, side,
       quantity, price, mid, fee, realised, source, booked_us FROM fills_4""",
    "DROP TABLE fills_4",
    "DELETE FROM meta WHERE name IN ('life', 'mode')",
    "DROP TABLE position_changes",
    "ALTER TABLE funding DROP COLUMN booked_us",
    "ALTER TABLE equity DROP COLUMN entry_block",
)


def test_a_journal_of_a_version_long_before_is_brought_up(tmp_path):
    write(tmp_path)
    with sqlite3.connect(database.path_of(tmp_path)) as db:
        for column in ("long_usd", "short_usd", "r_ar", "r_vol", "assets", "gated", "latency_us"):
            db.execute(f"ALTER TABLE equity DROP COLUMN {column}")
        for column in ("score", "direction"):
            db.execute(f"ALTER TABLE decisions DROP COLUMN {column}")
        for statement in AS_SCHEMA_3:
            db.execute(statement)
        db.execute("DROP TABLE openings")
        db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(JournalError, match="schema 2"):
        check(tmp_path)
    database.open_new(tmp_path).close()
    assert check(tmp_path).ok
    db = database.open_read_only(tmp_path)
    assert db.execute("SELECT equity, r_ar FROM equity").fetchall() == [
        (100.0, None),
        (102.5, None),
    ]
    db.close()
    found = figures(tmp_path)
    assert (found.net, found.per_asset, found.exposure) == (2.5, None, None)
    assert found.signal.r_ar is None


def test_a_disk_that_breaks_is_said_and_nothing_raises(tmp_path, monkeypatch):
    journal = Journal(tmp_path, lambda _: None)

    def broken(*_args, **_kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.unlink", broken)
    monkeypatch.setattr("os.write", broken)
    assert not journal.intend(1, 1, [ORDER], TradingPermission())
    assert journal.trouble == "JOURNAL_FAILED"
    monkeypatch.undo()
    journal.close()
