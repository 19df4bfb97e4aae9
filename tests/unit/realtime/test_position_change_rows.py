"""A position change in the journal and the reports: folded, named where it is wrong, told."""

import pytest

from dolphin_realtime.journal import database
from dolphin_realtime.journal.check import check
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.position_change import Act
from dolphin_realtime.reports.figures import figures
from dolphin_realtime.reports.write import write_report
from tests.traders import SCANS
from tests.unit.realtime.test_position_change import holding, order, run, until_held, with_price


async def changed_journal(folder):
    """Write a journal in which a person redenominated, settled and took one back."""
    trader = holding()
    folder.mkdir(exist_ok=True)
    db = database.open_new(folder)
    trader.journal.opening = lambda: portfolio_state.save(trader.portfolio)

    async def step():
        asset = await until_held(trader)
        held = iter(sorted(trader.portfolio.account.held()))
        other = next(a for a in held if a != asset)
        await trader.turn.change_position(order(Act.REDENOMINATE, asset, 37.3, "one"))
        old = SCANS[-60].prices[SCANS[-60].assets.index(asset)]
        await trader.trade([with_price(SCANS[-60], asset, old / 37.3)])
        await trader.turn.change_position(order(Act.SETTLE, other, 1.0, "two"))
        await trader.turn.change_position(order(Act.UNDO, other, None, "three"))
        scan = SCANS[-59]
        old = scan.prices[scan.assets.index(asset)]
        await trader.trade([with_price(scan, asset, old / 37.3)])
        await trader.turn.change_position(order(Act.SETTLE, other, 2.0, "four"))
        scan = SCANS[-58]
        await trader.trade([with_price(scan, asset, scan.prices[scan.assets.index(asset)] / 37.3)])

    await run(trader, step)
    for rows in trader.journal.rows:
        database.insert(db, rows)
    db.execute(
        "INSERT OR REPLACE INTO state VALUES (0, ?)", (portfolio_state.save(trader.portfolio),)
    )
    db.commit()
    db.close()


async def test_a_journal_folds_the_changes_and_names_one_that_is_wrong(tmp_path):
    await changed_journal(tmp_path)
    result = check(tmp_path)
    assert result.ok, result.first_break
    for breaking in (
        "UPDATE position_changes SET quantity = quantity + 1 WHERE id = 'one'",
        "UPDATE position_changes SET realised = 5.0 WHERE id = 'four'",
        "UPDATE position_changes SET undoes = 'nothing' WHERE id = 'three'",
        "UPDATE position_changes SET value = 1.5 WHERE id = 'four'",
        "DELETE FROM position_changes WHERE id = 'two'",
        "UPDATE position_changes SET average = average * 2 WHERE id = 'one'",
        "UPDATE position_changes SET average = average * 3 WHERE id = 'three'",
        "UPDATE position_changes SET price = price * 9 WHERE id = 'one'",
    ):
        db = database.open_new(tmp_path)
        before = db.execute("SELECT * FROM position_changes").fetchall()
        db.execute(breaking)
        db.commit()
        assert not check(tmp_path).ok, breaking
        db.execute("DELETE FROM position_changes")
        marks = ",".join("?" * len(before[0]))
        db.executemany(f"INSERT INTO position_changes VALUES ({marks})", before)
        db.commit()
        db.close()
    assert check(tmp_path).ok


async def test_a_report_counts_them_and_says_who_did_what(tmp_path):
    await changed_journal(tmp_path / "journal")
    report = write_report(tmp_path / "journal", tmp_path / "report", "A day")
    said = [c for c in report.figures.caveats if c.startswith("someone changed")]
    assert len(said) == 4
    assert "settle 2" in said[-1]
    found = figures(tmp_path / "journal")
    assert found.net == pytest.approx(
        found.gross - found.slippage - found.fees - found.funding, abs=1e-6
    )
    assert found.net == pytest.approx(found.end_equity - found.start_equity)
