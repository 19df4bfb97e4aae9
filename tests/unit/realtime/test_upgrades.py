"""A journal that the version before wrote: brought up, whole, and traded on."""

import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest

from dolphin_realtime.journal import database
from dolphin_realtime.journal.check import check
from dolphin_realtime.journal.writer import Journal
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.portfolio import Portfolio

OLD = Path(__file__).parents[2] / "data" / "journal_schema_3"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(OLD, tmp_path / "OLD")
    return tmp_path / "OLD"


def rows(folder, query):
    db = sqlite3.connect(database.path_of(folder))
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_a_journal_of_schema_3_is_brought_up_with_every_row(folder):
    columns = "client_order_id, timestamp_us, asset, side, quantity, price, mid, fee, realised, source, booked_us"
    before = rows(folder, f"SELECT {columns} FROM fills ORDER BY rowid")
    cancels = rows(folder, "SELECT * FROM cancels ORDER BY timestamp_us, client_order_id")
    with pytest.raises(JournalError, match="has schema 3, this Dolphin reads 6"):
        check(folder)
    database.open_new(folder).close()
    assert rows(folder, f"SELECT {columns} FROM fills ORDER BY rowid") == before
    assert rows(folder, "SELECT * FROM cancels ORDER BY timestamp_us, client_order_id") == cancels
    assert rows(folder, "SELECT count(DISTINCT fill_id) FROM fills") == [(len(before),)]
    assert dict(rows(folder, "SELECT asset, size_digits FROM fills")) | {"BTCUSDT": 3} == dict(
        rows(folder, "SELECT asset, size_digits FROM fills")
    )
    ends = dict(rows(folder, "SELECT state, count(*) FROM order_events GROUP BY state"))
    assert ends == {"FILLED": len(before), "CANCELED": 5, "REJECTED": 2}
    result = check(folder)
    assert result.ok, result.first_break
    instants = [
        at for (at,) in rows(folder, "SELECT timestamp_us FROM order_events ORDER BY rowid")
    ]
    assert instants == sorted(instants)


def test_its_orders_in_flight_and_its_positions_come_back(folder):
    journal = Journal(folder, lambda _: None)
    portfolio = Portfolio("OLD")
    portfolio_state.restore(portfolio, journal.load_portfolio())
    assert len(portfolio.in_flight) == 6
    assert all(o.client_order_id.startswith("OLD-1-135-") for o in portfolio.in_flight.values())
    assert portfolio.account.held()
    assert len(journal.life) == 4
    life = journal.life
    journal.close()
    again = Journal(folder, lambda _: None)
    assert again.life == life
    again.close()


def test_the_dust_of_an_old_position_is_dropped(folder):
    journal = Journal(folder, lambda _: None)
    raw = msgspec.msgpack.decode(journal.load_portfolio())
    journal.close()
    raw["account"]["positions"]["BTCUSDT"] |= {"quantity": 4e-9, "average_price": 1e5}
    raw["account"]["positions"]["ETHUSDT"] |= {"quantity": 0.30000000000000004}
    portfolio = Portfolio("OLD")
    portfolio_state.restore(portfolio, msgspec.msgpack.encode(raw))
    assert "BTCUSDT" not in portfolio.account.held()
    assert portfolio.account.held()["ETHUSDT"] == 0.3
    portfolio.account.check()


def test_a_journal_keeps_its_mode_for_life(tmp_path):
    database.open_new(tmp_path).close()
    with pytest.raises(JournalError, match="is a paper journal and stays one"):
        database.open_new(tmp_path, "live")
    assert check(tmp_path).ok


def test_two_journals_have_two_lives(tmp_path):
    lives = set()
    for n in range(3):
        (tmp_path / str(n)).mkdir()
        db = database.open_new(tmp_path / str(n))
        lives.add(database.meta(db, database.LIFE))
        db.close()
    assert len(lives) == 3


def test_a_step_that_fails_leaves_the_journal_as_it_was(folder, monkeypatch):
    from dolphin_realtime.journal import upgrades

    monkeypatch.setattr(upgrades, "_TO_4", (*upgrades._TO_4[:3], "SELECT nonsense FROM nowhere"))
    with pytest.raises(JournalError, match="nowhere"):
        database.open_new(folder)
    assert rows(folder, "PRAGMA user_version") == [(3,)]
    monkeypatch.undo()
    database.open_new(folder).close()
    assert check(folder).ok
