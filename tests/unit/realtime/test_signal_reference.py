"""Reference values of the signal, each computed by an independent program."""

import math

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from dolphin_realtime.backtest.signals import write_signals
from dolphin_realtime.model.signal import eigen
from dolphin_realtime.model.signal.asset_states import AssetStates
from dolphin_realtime.model.signal.ewma import Ewma, weight
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.model.signal.state import SignalState
from tests.scans import DATA, make_scan


def test_the_public_vector_is_met_in_every_cell(tmp_path):
    out = tmp_path / "signals.parquet"
    write_signals(DATA / "signal_vector_scans.arrow", out, SignalParams(), None, None)
    ours = pq.read_table(out).to_pandas()
    expected = pq.read_table(DATA / "signal_vector_expected.parquet").to_pandas()
    assert len(ours) == len(expected) == 6373
    for name in expected.columns:
        if expected[name].dtype.kind == "f":
            assert np.abs(ours[name] - expected[name]).max() < 1e-9, name
        else:
            assert (ours[name] == expected[name]).all(), name


def test_the_weighted_recursion():
    average = Ewma()
    rows = [(3, 10), (1, 20), (4, 5), (1, 40), (5, 10)]
    means = [3, 1.601219210711, 1.997376343280, 1.374188051018, 1.976791307780]
    variances = [0, 0.840973882094, 1.495441221984, 0.794237846735, 2.484032385679]
    for (x, dt), m, v in zip(rows, means, variances, strict=True):
        average.update(x, weight(dt, 100))
        assert average.m == pytest.approx(m, abs=1e-11)
        assert average.v == pytest.approx(v, abs=1e-11)
    assert average.w == pytest.approx(0.572585068051, abs=1e-11)


def test_a_first_value_carries_no_weight():
    average = Ewma()
    average.update(7.0, 0.0)
    assert (average.m, average.w) == (7.0, 0.0)
    average.update(3.0, 0.1)
    assert average.m == 3.0


@pytest.mark.parametrize(
    ("values", "m", "rho"),
    [
        ([1.0] * 50, 0.02, 0),
        ([15.7] + [0.7] * 49, 0.314, 0.3),
        ([50.0] + [0.0] * 49, 1, 1),
    ],
)
def test_features_of_known_spectra(values, m, rho):
    spectrum = eigen.spectrum(values, 50)
    assert spectrum is not None
    assert eigen.market_mode_share(spectrum) == pytest.approx(m, abs=1e-12)
    assert eigen.mean_correlation(spectrum, 50) == pytest.approx(rho, abs=1e-12)


def test_r_ar_of_the_worked_example():
    state = SignalState()
    expected = [0.5, 0.5, 0.502604138253, 0.496489326163]
    steps = [(0.30, None), (0.34, 10.0), (0.31, 10.0), (0.36, 20.0)]
    for (rho, dt), r_ar in zip(steps, expected, strict=True):
        assert state._correlation_risk(rho, dt) == pytest.approx(r_ar, abs=1e-11)


def test_r_vol_of_the_worked_example():
    state, params = SignalState(), SignalParams()
    expected = [1, 0.999600947568, 0.998746968909, 0.999399702909]
    for r_m, r_vol in zip([0.0001, 0.0002, 0.0010, 0.0001], expected, strict=True):
        state.market_var.update(r_m**2 / 10, weight(10, params.tau_v_s))
        state.market_var_long.update(r_m**2 / 10, weight(10, params.tau_vol_s))
        assert state._volatility_risk() == pytest.approx(r_vol, abs=1e-11)


def take(states, slots, r, r_m, dt):
    """Let one asset learn from one return."""
    params = SignalParams()
    ready, r = states.ready(slots, params), np.array([r])
    gains = states.take_residuals(ready, r, r_m, dt, params)
    states.learn(slots, r, r_m, dt, gains, params.tau_v_s)
    states.see(slots, np.array([1.0]), 0)


def warm(states, slots):
    ready = states.ready(slots, SignalParams())
    return msgspec.structs.replace(ready, warm=np.array([True]), are_all_warm=True)


def test_beta_and_residual_score_of_the_worked_examples():
    states = AssetStates()
    slots = states.slots_of(["A"])
    ratios = [2, 1.199333086391, 1.428514851660]
    rows = [(0.002, 0.001, 10.0), (-0.001, 0.0005, 20.0), (0.003, 0.002, 10.0)]
    for (r, r_m, dt), ratio in zip(rows, ratios, strict=True):
        take(states, slots, r, r_m, dt)
        assert states.cov[0] / states.market[0] == pytest.approx(ratio, abs=1e-11)


def test_the_residual_sum_of_the_worked_example():
    states = AssetStates()
    slots = states.slots_of(["A"])
    sums = [0.001, 4.972260766771e-4, 2.495846809666e-3]
    scores = [1, 0.629709833329, 1.580608658178]
    for e, x, s in zip([0.001, -0.0005, 0.002], sums, scores, strict=True):
        take(states, slots, e, 0.0, 10.0)
        assert states.x[0] == pytest.approx(x, abs=1e-14)
        found, _ = states.update_direction(warm(states, slots), SignalParams())
        assert abs(found[0]) == pytest.approx(s, abs=1e-11)


@pytest.mark.parametrize(
    ("before", "s", "after"),
    [
        (0, 1.24, 0),
        (0, 1.25, -1),
        (-1, 0.6, -1),
        (-1, 0.5, 0),
        (-1, -0.8, 0),
        (-1, -1.25, 1),
        (1, 0.8, 0),
    ],
)
def test_direction_has_hysteresis(before, s, after):
    states = AssetStates()
    slots = states.slots_of(["A"])
    states.direction[0], states.x[0], states.x_var[0] = before, s, 1.0
    states.update_direction(warm(states, slots), SignalParams())
    assert states.direction[0] == after


def test_constant_prices_are_frozen_and_divide_by_nothing():
    state = SignalState()
    for n in range(1, 400):
        signal = state.step(make_scan(n, [100.0] * 12))
    assert signal.flags == ("frozen",)
    assert set(signal.s_score) == {0.0}
    assert set(signal.signal) == {0.0}


@pytest.mark.parametrize(("cadence_s", "first"), [(10, 1082), (60, 182)])
def test_the_first_signal_comes_after_the_warm_up(cadence_s, first):
    rng = np.random.default_rng(3)
    state, prices = SignalState(), np.full(12, 100.0)
    for n in range(1, first + 1):
        prices = prices * np.exp(rng.standard_normal(12) * 1e-3)
        signal = state.step(make_scan(n, prices.tolist(), at_s=n * cadence_s))
        assert ("WARMING_UP" in signal.reason) == (n < first), n
    assert math.isfinite(sum(signal.signal))
