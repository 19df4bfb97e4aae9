"""The rows of a scan: what is kept of decisions, and the opening of a day."""

import json

import msgspec

from dolphin_realtime.journal.rows import CATCH_UP, Rows
from dolphin_realtime.model.instant import DAY_US, day_of
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from tests.scans import walk

REASON = 9


def rows_of(rows, scan, *, is_acted_on=True):
    portfolio = rows.portfolio
    rows.open_scan(scan.timestamp_us)
    plan = (
        portfolio.decide(scan, TradingPermission())
        if is_acted_on
        else portfolio.catch_up(scan, [], TradingPermission())
    )
    portfolio.finish_scan(plan)
    return rows.close_scan(plan, is_acted_on=is_acted_on)


def test_a_scan_that_came_too_late_says_so():
    rows = rows_of(Rows(Portfolio("X")), walk(1)[0], is_acted_on=False)
    assert {row[REASON] for row in rows["decisions"]} == {CATCH_UP}


def test_what_repeats_without_consequence_is_kept_once():
    kept = Rows(Portfolio("X"))
    first, second, *_ = (rows_of(kept, scan)["decisions"] for scan in walk(3))
    assert len(first) == 12
    assert second == []


def test_a_day_opens_with_the_portfolio_before_its_first_scan():
    portfolio = Portfolio("X")
    kept, scans = Rows(portfolio), walk(3)
    before = portfolio_state.save(portfolio)
    scans[2] = msgspec.structs.replace(scans[2], timestamp_us=scans[2].timestamp_us + DAY_US)
    found = []
    for scan in scans:
        if kept.begins_day(scan.timestamp_us):
            kept.opening = portfolio_state.save(portfolio)
        found.append(rows_of(kept, scan)["openings"])
    ((day, at_us, saved, prices),) = found[0]
    assert (day, at_us, saved) == (day_of(scans[0].timestamp_us), scans[0].timestamp_us, before)
    assert json.loads(prices)["A00"] == scans[0].prices[0]
    assert found[1] == []
    assert portfolio_state.books(found[2][0][2]).prices["A00"] == scans[1].prices[0]
