"""Why a paper day and its backtest differ: each cause, and what must never be explained away."""

import pytest

from dolphin_realtime.backtest import differences
from dolphin_realtime.backtest.differences import compare_days
from dolphin_realtime.backtest.handled import Decided, Filled, Handled

BUY = [("BUY", 1.0)]


def decided(signal=1.0, held=0.0, reason="OK", orders=(), score=-2.0, direction=1):
    return Decided(
        signal=signal, target=0.0, held=held, reason=reason, orders=list(orders), score=score,
        direction=direction,
    )  # fmt: skip


def scan(decision=None, posture="NORMAL", acted=True, ended=(), equity=1.0, scalers=(1.0, 1.0)):
    return Handled(
        equity=equity,
        scalers=scalers,
        posture=posture,
        is_acted_on=acted,
        decisions={"A": decision} if decision else {},
        ended=list(ended),
    )


def filled(price=10.0, source="scan", quantity=1.0, at=1, fee_share=5e-4):
    return Filled((at, "A", "O"), quantity, price, source, fee_share)


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


def test_a_gate_may_account_for_what_lies_between_score_and_signal_alone():
    half = scan(decided(signal=0.5))
    assert causes({1: half}, {1: SAME}, has_gate_inputs=True) == [differences.GATE]
    assert causes({1: half}, {1: SAME}) == [None]
    for faulty in (
        scan(decided(signal=0.5, score=-1.9)),
        scan(decided(signal=-1.0, direction=-1)),
        scan(decided(signal=0.0, direction=0)),
        scan(decided(signal=0.5), scalers=(0.5, 1.0)),
        scan(decided(signal=0.5, direction=0), posture="REDUCED"),
    ):
        assert causes({1: faulty}, {1: SAME}, has_gate_inputs=True) == [None]


def test_what_is_held_and_what_it_is_worth_must_agree_until_something_happened():
    held = scan(decided(held=50.0, orders=BUY))
    assert causes({1: held}, {1: SAME}) == [None]
    poorer = {1: scan(equity=0.5), 2: scan(equity=0.5)}
    assert causes(poorer, {1: scan(), 2: scan()}) == [None]
    assert causes(
        {1: scan(equity=0.5, ended=[filled(10.1, "book")])}, {1: scan(ended=[filled()])}
    ) == [differences.BOOK]


def test_another_fee_a_wild_price_or_another_size_is_no_book():
    backtest = {1: scan(ended=[filled()])}
    for fill in (filled(fee_share=1e-3), filled(100.0, "book"), filled(10.1, "book", quantity=9.0)):
        assert causes({1: scan(ended=[fill])}, backtest) == [None]


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


def test_after_a_missed_scan_signals_may_be_a_little_apart():
    paper = {2: scan(decided(signal=0.5)), 3: scan(decided(signal=-0.5, score=2.0, direction=-1))}
    backtest = {1: SAME, 2: scan(decided(signal=0.6, score=-2.1)), 3: scan(decided(signal=0.6))}
    assert causes(paper, backtest) == [differences.MISSED, differences.MISSED, None]


def test_notes_without_consequence_are_no_difference():
    paper = {1: scan(decided(signal=0.0, reason="NO_DIRECTION"))}
    assert causes(paper, {1: scan()}) == []
