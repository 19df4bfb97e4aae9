"""A rehearsal decides on a copy, before a scan that is due, and leaves nothing behind."""

import asyncio

import msgspec
import pytest

from dolphin_realtime.model.portfolio import saved
from dolphin_realtime.model.portfolio.portfolio import Portfolio
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


def rehearsal_of(portfolio, is_busy=lambda: False):
    copy = Portfolio("BLUE")
    return Rehearsal(copy, lambda: saved.save(portfolio), lambda _: ({}, None), is_busy)


async def handled(rehearsal, scans, pause_s):
    """Tell of scans as a trader handles them, every pause_s; rehearse beside them."""
    running = asyncio.create_task(rehearsal.run())
    for scan in scans:
        rehearsal.finished(scan)
        await asyncio.sleep(pause_s)
    is_over = running.done()
    running.cancel()
    return is_over


async def test_a_scan_that_is_due_is_rehearsed_and_the_portfolio_is_as_it_was(portfolio):
    before = saved.save(portfolio)
    rehearsal = rehearsal_of(portfolio)
    await handled(rehearsal, SCANS[100:106], 0.1)
    assert rehearsal.count > 0
    assert saved.save(portfolio) == before
    assert rehearsal._copy.in_flight == {}


async def test_nothing_is_rehearsed_while_a_scan_is_handled(portfolio):
    rehearsal = rehearsal_of(portfolio, is_busy=lambda: True)
    await handled(rehearsal, SCANS[100:106], 0.1)
    assert rehearsal.count == 0


async def test_one_scan_says_nothing_of_when_the_next_is_due(portfolio):
    rehearsal = rehearsal_of(portfolio)
    await handled(rehearsal, SCANS[100:101], 0.2)
    assert rehearsal.count == 0


async def test_a_scan_that_does_not_come_is_rehearsed_a_bounded_number_of_times(
    portfolio, monkeypatch
):
    monkeypatch.setattr(rehearsing, "STEP_S", 0.0)
    monkeypatch.setattr(rehearsing, "LEAD_S", 30.0)
    rehearsal = rehearsal_of(portfolio)
    await handled(rehearsal, SCANS[100:102], 0.3)
    assert 0 < rehearsal.count <= 2 * rehearsing.MOST


async def test_a_rehearsal_that_fails_is_the_last_and_harms_nobody(portfolio):
    rehearsal = rehearsal_of(portfolio)
    bad = [msgspec.structs.replace(s, assets=["A"]) for s in SCANS[100:106]]
    assert await handled(rehearsal, bad, 0.1)
    assert rehearsal.count == 0
