"""The verdict on a sweep, by hand: every figure of a set, each sentence of the warning."""

import math

import numpy as np
import pytest

from dolphin_realtime.reports import ratios
from dolphin_realtime.sweep.trial import TrialResult
from dolphin_realtime.sweep.verdict import (
    BLOCKS,
    MIN_OBSERVATIONS,
    Verdict,
    figures_of_sets,
    hourly_sharpe,
    judge,
    mean_seconds,
    overfitting,
    walk_forward,
)
from dolphin_realtime.sweep.verdict import _warning as warning_of

DAYS = ["d1", "d2"]


def trial(name, day, **fields):
    return TrialResult(key=f"{name}{day}", set_name=name, day=day, start_equity=1.0, **fields)


def test_a_sets_figures_are_sums_over_its_days_and_its_worst_drawdown():
    results = [
        trial("a", "d1", net=1.0, gross=2.0, fees=3.0, slippage=4.0, funding=5.0, orders=6, fills=7,
              max_drawdown=0.2, returns=(0.01, 0.03), seconds=2.0),
        trial("a", "d2", net=10.0, gross=20.0, fees=30.0, slippage=40.0, funding=50.0, orders=60,
              fills=70, max_drawdown=0.1, returns=(0.02,), seconds=4.0),
        trial("b", "d1", net=99.0, returns=(0.5, 0.6), seconds=100.0, failure="it died"),
    ]  # fmt: skip
    a, b = figures_of_sets(["b", "a"], DAYS, results)
    assert (a.name, a.days, a.failures, a.worst_drawdown) == ("a", 2, [], 0.2)
    assert (a.net, a.gross, a.fees, a.slippage, a.funding) == (11.0, 22.0, 33.0, 44.0, 55.0)
    assert (a.orders, a.fills) == (66, 77)
    assert a.sharpe == hourly_sharpe([0.01, 0.03, 0.02]) == pytest.approx(2.0)
    assert (b.name, b.days, b.net, b.failures) == ("b", 0, 0.0, ["d1: it died"])
    assert mean_seconds(results) == 3.0
    assert mean_seconds(results[2:]) == 0.0


def test_the_best_sharpe_is_first_and_equals_are_by_name():
    results = [
        trial(name, "d1", returns=returns)
        for name, returns in (("c", (1.0, 2.0)), ("b", (1.0, 3.0)), ("a", (1.0, 3.0)))
    ]
    assert [s.name for s in figures_of_sets(["c", "b", "a"], ["d1"], results)] == ["c", "a", "b"]


def hours(n, good, every=2):
    """Return n hourly returns that vary around ``good``."""
    return tuple(good + (1e-3 if i % every else -1e-3) for i in range(n))


def test_a_verdict_says_of_how_much_it_is():
    results = [
        trial(name, day, net=net, returns=hours(24, net * 1e-4))
        for day in DAYS
        for name, net in (("good", 2.0), ("bad", -2.0), ("even", 0.0))
    ]
    sets = figures_of_sets(["bad", "even", "good"], DAYS, results)
    verdict = judge(sets, DAYS, results)
    assert (verdict.trials, verdict.observations) == (3, 48)
    assert (verdict.best, verdict.best_net) == ("good", 4.0)
    assert verdict.best_sharpe == sets[0].sharpe
    assert [(c.day, c.chosen, c.net) for c in verdict.walk_forward] == [("d2", "good", 2.0)]
    assert verdict.walk_forward_net == 2.0
    spread = np.var([s.sharpe for s in sets], ddof=1)
    assert verdict.expected_max_sharpe == pytest.approx(ratios.expected_max_sharpe(3, spread))
    best = list(hours(24, 2e-4)) * 2
    assert verdict.deflated_sharpe == pytest.approx(ratios.deflated_sharpe(
        hourly_sharpe(best), 3, spread, 48, ratios.skewness(best), ratios.kurtosis(best)))  # fmt: skip
    assert verdict.overfitting == 0.0


@pytest.mark.parametrize(
    ("n", "is_enough"), [(MIN_OBSERVATIONS, True), (MIN_OBSERVATIONS - 1, False)]
)
def test_the_least_number_of_hours(n, is_enough):
    results = [trial("a", "d1", net=1.0, returns=hours(n, 1e-4))]
    verdict = judge(figures_of_sets(["a"], ["d1"], results), ["d1"], results)
    assert (verdict.best, verdict.best_net) == ("a", 1.0)
    assert (verdict.deflated_sharpe is not None) is is_enough
    assert verdict.walk_forward == []
    assert verdict.walk_forward_net is None
    if not is_enough:
        assert verdict.warning == f"Not enough data: {n} hourly returns, 30 needed."


def test_nothing_is_said_where_no_set_ran_on_every_day():
    results = [trial("a", "d1", returns=hours(40, 0.0))]
    verdict = judge(figures_of_sets(["a"], DAYS, results), DAYS, results)
    assert (verdict.best, verdict.observations, verdict.trials) == (None, 0, 1)
    assert verdict.warning == "No set ran on every day: nothing can be said."


@pytest.mark.parametrize(("fields", "said"), [
    ({"deflated_sharpe": 0.95, "overfitting": 0.25, "walk_forward_net": 1234.5, "best_net": 1.0},
     "The best of 4 sets shows more than luck alone would give: deflated Sharpe probability 0.95, "
     "probability of overfitting 0.25; walk-forward, choosing again on each of 0 days, gave "
     "1,234.50 USDT."),
    ({"deflated_sharpe": 0.949, "best_net": 0.0},
     "No set earned anything after costs. The best of 4 sets shows no more than luck would give: "
     "deflated Sharpe probability 0.95, probability of overfitting unknown; walk-forward, choosing "
     "again on each of 0 days, gave unknown."),
    ({"best_net": 1.0},
     "The best of 4 sets shows no more than luck would give: deflated Sharpe probability unknown, "
     "probability of overfitting unknown; walk-forward, choosing again on each of 0 days, gave "
     "unknown."),
])  # fmt: skip
def test_the_sentence_that_a_reader_sees_first(fields, said):
    assert warning_of(Verdict(trials=4, observations=40, **fields)) == said


def test_overfitting_by_hand_and_where_there_is_too_little():
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((2 * BLOCKS, 2))
    assert overfitting(matrix[:-1]) is None
    assert overfitting(matrix[:, :1]) is None
    assert 0.0 <= overfitting(matrix) <= 1.0
    rising = np.linspace(1.0, 2.0, 40)
    best_first = np.column_stack([rising + 1.0, rising, rising - 1.0])
    assert overfitting(best_first) == 0.0
    same = np.column_stack([rising, rising])
    assert overfitting(same) == 1.0, "of equal sets the winner's rank is the middle: no better"


def test_the_walk_forward_knows_only_the_days_before():
    matrix = np.array([[1.0, 2.0], [1.1, 2.0], [9.0, 0.1], [8.0, 0.1]])
    spans = {"d1": slice(0, 2), "d2": slice(2, 4)}
    results = [trial(n, d, net=v) for n, d, v in (("a", "d2", 5.0), ("b", "d2", -1.0))]
    (choice,) = walk_forward(["a", "b"], matrix, spans, results)
    assert (choice.day, choice.chosen, choice.net) == ("d2", "a", 5.0), "b never varied: 0"
    assert math.isfinite(choice.net)
