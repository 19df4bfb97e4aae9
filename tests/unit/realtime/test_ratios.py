"""Ratios: against empyrical on random and real returns, and against published figures."""

import math
import warnings

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.reports import ratios

DAILY = {"period": "daily", "annualization": 365}


def series(seed, n=250, drift=3e-4):
    return np.random.default_rng(seed).normal(drift, 0.02, n)


@pytest.mark.parametrize("seed", range(5))
def test_ratios_agree_with_empyrical(seed):
    returns = series(seed)
    values = returns.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ratios.volatility(values) == pytest.approx(
            empyrical.annual_volatility(returns, **DAILY), rel=1e-9
        )
        assert ratios.sharpe(values) == pytest.approx(
            empyrical.sharpe_ratio(returns, **DAILY), rel=1e-9
        )
        assert ratios.sortino(values) == pytest.approx(
            empyrical.sortino_ratio(returns, **DAILY), rel=1e-9
        )


def test_nothing_to_divide_by_is_no_ratio():
    assert ratios.sharpe([0.0] * 40) is None
    assert ratios.sortino([0.01] * 40) is None
    assert ratios.sharpe([]) is None


@pytest.mark.parametrize(("trials", "factor"), [(10, 1.5746), (45, 2.2356), (100, 2.5306)])
def test_the_expected_maximum_of_worthless_trials(trials, factor):
    assert ratios.expected_maximum(trials) == pytest.approx(factor, abs=5e-5)


def test_the_published_example_of_the_deflated_sharpe_ratio():
    """Bailey and Lopez de Prado (2014): annual ratio 2.5, 1250 days of 250 a year."""
    variance = 0.5 / 250
    assert ratios.expected_max_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    found = ratios.deflated_sharpe(2.5 / math.sqrt(250), 100, variance, 1250, -3.0, 10.0)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_one_trial_needs_no_deflation():
    assert ratios.expected_max_sharpe(1, 0.5) == 0.0
    assert ratios.probabilistic_sharpe(0.0, 0.0, 100, 0.0, 3.0) == pytest.approx(0.5)


@given(st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=60))
def test_moments_are_those_of_numpy(values):
    spread = np.std(values)
    if spread < 1e-4:
        return
    z = (np.array(values) - np.mean(values)) / spread
    assert ratios.skewness(values) == pytest.approx(np.mean(z**3), abs=1e-6)
    assert ratios.kurtosis(values) == pytest.approx(np.mean(z**4), rel=1e-6)
    assert ratios.deviation(values) == pytest.approx(np.std(values, ddof=1), rel=1e-9)
