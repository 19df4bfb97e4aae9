"""Why a paper day and its backtest differ: each cause, and what must never be explained away."""

import pytest

from dolphin_realtime.backtest import differences
from dolphin_realtime.backtest.differences import compare_days
from dolphin_realtime.backtest.handled import Decided, Filled, Handled

BUY = [("BUY", 1.0)]


def decided(signal=1.0, held=0.0, reason="OK", orders=()):
    return Decided(signal=signal, target=0.0, held=held, reason=reason, orders=list(orders))


def scan(decision=None, posture="NORMAL", acted=True, ended=()):
    return Handled(
        equity=1.0,
        posture=posture,
        is_acted_on=acted,
        decisions={"A": decision} if decision else {},
        ended=list(ended),
    )


def filled(price=10.0, source="scan", quantity=1.0, at=1):
    return Filled(key=(at, "A", "O"), quantity=quantity, price=price, source=source)


def causes(paper, backtest, has_gate_inputs=False):
    found = compare_days(paper, backtest, has_gate_inputs=has_gate_inputs)
    return [d.cause for d in found.found]


SAME = scan(decided(orders=BUY))


def test_equal_days_differ_in_nothing():
    days = {1: SAME, 2: scan(decided(), ended=[filled()])}
    found = compare_days(days, days, has_gate_inputs=True)
    assert (found.found, found.same, found.scans) == ([], 3, 2)


@pytest.mark.parametrize(
    ("paper", "cause"),
    [
        (None, differences.MISSED),
        (scan(decided(), acted=False), differences.RESTART),
        (scan(decided(reason="RECOVERED")), differences.RESTART),
        (scan(decided(reason="FLATTEN", orders=[("SELL", 1.0)])), differences.OPERATOR),
        (scan(decided(reason="STALE_SCAN")), differences.BLOCKED),
        (scan(decided(reason="POSTURE_UNKNOWN")), differences.POSTURE),
        (scan(decided(orders=[("BUY", 0.5)]), posture="REDUCED"), differences.POSTURE),
        (scan(decided(orders=[("BUY", 0.5)])), None),
        (scan(decided(signal=0.5, orders=BUY)), None),
        (scan(decided(reason="BELOW_BAND")), None),
    ],
)
def test_each_cause(paper, cause):
    assert causes({1: paper} if paper else {}, {1: SAME}) == [cause]


def test_a_scan_that_the_archive_lacks():
    assert causes({1: SAME}, {}) == [differences.NOT_ARCHIVED]


def test_a_gate_may_scale_a_signal_where_there_were_inputs_but_never_turn_it():
    half, turned = scan(decided(signal=0.5)), scan(decided(signal=-1.0))
    assert causes({1: half}, {1: SAME}, has_gate_inputs=True) == [differences.GATE]
    assert causes({1: turned}, {1: SAME}, has_gate_inputs=True) == [None]


def test_a_book_fill_is_a_cause_and_carries_on_to_sizes_but_not_to_signals():
    paper = {
        1: scan(ended=[filled(10.1, "book")]),
        2: scan(decided(held=1.0, orders=[("BUY", 0.9)])),
        3: scan(decided(signal=0.7, held=1.0)),
    }
    backtest = {
        1: scan(ended=[filled(10.0)]),
        2: scan(decided(held=1.0, orders=[("BUY", 1.0)])),
        3: scan(decided(signal=0.8, held=1.0)),
    }
    assert causes(paper, backtest) == [differences.BOOK, differences.CARRIED, None]


def test_a_fill_that_differs_at_the_scans_price_is_unexplained():
    paper, backtest = ({1: scan(ended=[filled(p)])} for p in (10.1, 10.0))
    assert causes(paper, backtest) == [None]
    assert causes({1: scan()}, backtest) == [None]


def test_orders_that_a_halt_cancelled():
    paper = {1: scan(ended=[filled(None, "HALTED: nothing may fill")])}
    assert causes(paper, {1: scan(ended=[filled()])}) == [differences.POSTURE]


def test_after_a_missed_scan_signals_may_differ():
    paper = {2: scan(decided(signal=0.5))}
    backtest = {1: SAME, 2: scan(decided(signal=0.6))}
    assert causes(paper, backtest) == [differences.MISSED, differences.MISSED]


def test_notes_without_consequence_are_no_difference():
    paper = {1: scan(decided(signal=0.0, reason="NO_DIRECTION"))}
    assert causes(paper, {1: scan()}) == []
