"""A rehearsal decides on a copy, before a scan that is due, and leaves nothing behind."""

import asyncio

import pytest

from dolphin_realtime.model.portfolio import saved
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.services.trader import rehearsal as rehearsing
from dolphin_realtime.services.trader.rehearsal import Rehearsal
from tests.scans import walk

SCANS = walk(120)


@pytest.fixture
def portfolio():
    portfolio = Portfolio("BLUE")
    for scan in SCANS[:100]:
        portfolio.warm_up(scan)
    return portfolio


def handle(portfolio, scan):
    portfolio.finish_scan(portfolio.decide(scan, TradingPermission()))


def rehearsal_of(portfolio, is_busy=lambda: False):
    copy = Portfolio("BLUE")
    return Rehearsal(copy, lambda: saved.save(portfolio), lambda _: ({}, None), is_busy)


async def handled(portfolio, rehearsal, scans, pause_s):
    """Handle scans as a trader does, every pause_s; rehearse beside them."""
    running = asyncio.create_task(rehearsal.run())
    for scan in scans:
        handle(portfolio, scan)
        rehearsal.finished(scan)
        await asyncio.sleep(pause_s)
    is_over = running.done()
    running.cancel()
    return is_over


async def test_a_scan_that_is_due_is_rehearsed_and_the_portfolio_is_as_it_was(portfolio):
    alone = Portfolio("BLUE")
    saved.restore(alone, saved.save(portfolio))
    rehearsal = rehearsal_of(portfolio)
    await handled(portfolio, rehearsal, SCANS[100:106], 0.1)
    assert rehearsal.count > 0
    for scan in SCANS[100:106]:
        handle(alone, scan)
    assert saved.save(portfolio) == saved.save(alone)
    assert rehearsal._copy.in_flight == {}


async def test_nothing_is_rehearsed_while_a_scan_is_handled(portfolio):
    rehearsal = rehearsal_of(portfolio, is_busy=lambda: True)
    await handled(portfolio, rehearsal, SCANS[100:106], 0.1)
    assert rehearsal.count == 0


async def test_one_scan_says_nothing_of_when_the_next_is_due(portfolio):
    rehearsal = rehearsal_of(portfolio)
    await handled(portfolio, rehearsal, SCANS[100:101], 0.2)
    assert rehearsal.count == 0


async def test_a_scan_that_does_not_come_is_rehearsed_a_bounded_number_of_times(
    portfolio, monkeypatch
):
    monkeypatch.setattr(rehearsing, "STEP_S", 0.0)
    monkeypatch.setattr(rehearsing, "LEAD_S", 30.0)
    rehearsal = rehearsal_of(portfolio)
    await handled(portfolio, rehearsal, SCANS[100:102], 0.3)
    assert 0 < rehearsal.count <= 2 * rehearsing.MOST


async def test_a_rehearsal_that_fails_is_the_last_and_harms_nobody(portfolio):
    rehearsal = rehearsal_of(portfolio)
    rehearsal._inputs = lambda _: 1 / 0
    assert await handled(portfolio, rehearsal, SCANS[100:106], 0.1)
    assert rehearsal.count == 0


async def test_a_scan_that_it_was_not_told_of_does_not_end_it(portfolio):
    rehearsal = rehearsal_of(portfolio)
    rehearsal._scans = SCANS[97:99]
    await rehearsal._rehearse(1e12)
    assert rehearsal.count == 0
