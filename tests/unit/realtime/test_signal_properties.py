"""Properties that every implementation of the signal must have."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin_realtime.model.errors import ScanOutOfOrder
from dolphin_realtime.model.signal.gates import Book, Factors, Reading
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.model.signal.state import SignalState
from tests.scans import make_scan, walk

SCANS = walk(260)


def run(scans, state=None, **inputs):
    state = state or SignalState()
    return [state.step(msgspec.structs.replace(s), **inputs) for s in scans]


def values(signals):
    return np.array([s.signal for s in signals])


def test_the_walk_gives_signals_at_all():
    assert (values(run(SCANS)) != 0).sum() > 100


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(12)), st.permutations(range(12)))
def test_permuting_assets_or_eigenvalues_changes_nothing(order, spectrum):
    shuffled = [
        msgspec.structs.replace(
            s,
            assets=[s.assets[i] for i in order],
            prices=[s.prices[i] for i in order],
            eigenvalues=[s.eigenvalues[i] for i in spectrum],
        )
        for s in SCANS
    ]
    assert np.abs(values(run(shuffled)) - values(run(SCANS))[:, list(order)]).max() < 1e-9


def test_scaling_eigenvalues_changes_only_the_flag():
    scaled = [msgspec.structs.replace(s, eigenvalues=[7 * v for v in s.eigenvalues]) for s in SCANS]
    plain, other = run(SCANS), run(scaled)
    assert np.abs(values(plain) - values(other)).max() < 1e-9
    assert other[-1].flags == ("not_correlation",)


def test_scaling_one_price_from_the_start_changes_nothing():
    scaled = [msgspec.structs.replace(s, prices=[s.prices[0] * 1e4, *s.prices[1:]]) for s in SCANS]
    assert np.abs(values(run(scaled)) - values(run(SCANS))).max() < 1e-9


def test_signals_are_bounded_and_never_minus_zero():
    found = values(run(SCANS))
    assert np.abs(found).max() <= 1.0
    assert not (np.signbit(found) & (found == 0)).any()


def test_two_halves_through_saved_state_are_one_run_to_the_last_bit():
    whole = SignalState()
    run(SCANS, whole)
    half = SignalState()
    run(SCANS[:130], half)
    second = SignalState.load(half.save())
    run(SCANS[130:], second)
    assert second.save() == whole.save()


def test_a_repeated_scan_returns_the_last_result():
    state = SignalState()
    first = run(SCANS[:50], state)[-1]
    again = state.step(make_scan(50, [1.0] * 12))
    assert again is first
    assert SignalState.load(state.save()).step(make_scan(50, [1.0] * 12)) == first


@pytest.mark.parametrize("broken", ["length", "twice", "few", "null", "negative", "too_many"])
def test_a_failed_scan_leaves_the_others_as_they_were(broken):
    whole = SCANS[200]
    bad = msgspec.structs.replace(
        whole, scan_number=201, prices=list(whole.prices), assets=list(whole.assets),
        eigenvalues=list(whole.eigenvalues),
    )  # fmt: skip
    reasons = {
        "length": "LENGTH_MISMATCH",
        "twice": "DUPLICATE_ASSET",
        "few": "TOO_FEW_ASSETS",
        "null": "BAD_EIGENVALUES",
        "negative": "BAD_EIGENVALUES",
        "too_many": "BAD_EIGENVALUES",
    }
    if broken == "length":
        bad.prices.pop()
    elif broken == "twice":
        bad.assets[1] = bad.assets[0]
    elif broken == "few":
        bad.prices[:3] = [None, -1.0, float("inf")]
    elif broken == "null":
        bad.eigenvalues[3] = None
    elif broken == "negative":
        bad.eigenvalues[3] = -1.0
    else:
        bad.eigenvalues.append(1.0)
    with_bad = run([*SCANS[:200], bad, *SCANS[201:]])
    without = run([*SCANS[:200], *SCANS[201:]])
    assert set(with_bad[200].reason) == {reasons[broken]}
    assert set(with_bad[200].signal) == {0.0}
    assert [s.signal for s in with_bad[201:]] == [s.signal for s in without[200:]]


def test_renumbering_the_second_half_as_a_new_epoch_changes_no_value():
    renumbered = [
        s
        if s.scan_number <= 130
        else msgspec.structs.replace(s, scan_number=s.scan_number - 130, epoch=2)
        for s in SCANS
    ]
    found = run(renumbered)
    assert (values(found) == values(run(SCANS))).all()
    assert found[-1].epoch == 2


def test_a_scan_that_is_not_later_is_refused():
    state = SignalState()
    run(SCANS[:20], state)
    with pytest.raises(ScanOutOfOrder):
        state.step(msgspec.structs.replace(SCANS[10]))


def test_an_absent_asset_is_frozen_and_comes_back():
    def without_first(s):
        return msgspec.structs.replace(s, assets=s.assets[1:], prices=s.prices[1:])

    scans = [without_first(s) if 200 <= s.scan_number < 210 else s for s in SCANS]
    found = run(scans)
    assert len(found[205].signal) == 11
    assert found[-1].reason[0] in {"OK", "NO_DIRECTION"}


def test_an_asset_unseen_for_an_hour_starts_anew():
    def without_first(s):
        return msgspec.structs.replace(s, assets=s.assets[1:], prices=s.prices[1:])

    scans = [without_first(s) if 190 <= s.scan_number < 255 else s for s in SCANS]
    assert run(scans)[-1].reason[0] == "WARMING_UP"


def books(event_us, imbalance, spread=2.0):
    return {
        f"A{i:02d}": Book(event_us=event_us, imbalance_5=imbalance, spread_bps=spread)
        for i in range(12)
    }


@pytest.mark.parametrize("imbalance", [-1.0, -0.4, 0.4, 1.0])
def test_a_book_only_takes_size_away(imbalance):
    plain, gated = SignalState(), SignalState()
    for s in SCANS:
        a = np.array(plain.step(msgspec.structs.replace(s)).signal)
        b = np.array(
            gated.step(msgspec.structs.replace(s), books(s.timestamp_us, imbalance)).signal
        )
        assert (np.abs(b) <= np.abs(a) + 1e-15).all()
        assert (np.sign(a) * np.sign(b) >= 0).all()


@pytest.mark.parametrize("age_s", [121, -1])
def test_an_old_or_future_book_counts_as_none(age_s):
    state = SignalState()
    for s in SCANS:
        signal = state.step(
            msgspec.structs.replace(s), books(s.timestamp_us - age_s * 1_000_000, -1.0)
        )
    assert set(signal.gate_book) == {1.0}
    assert signal.missing["book"] == 12


def test_a_spread_three_times_the_usual_closes_the_gate_after_twenty_books():
    state = SignalState()
    for s in SCANS:
        wide = 7.0 if s.scan_number in (15, 220) else 2.0
        signal = state.step(msgspec.structs.replace(s), books(s.timestamp_us, 0.0, wide))
        if s.scan_number == 15:
            assert set(signal.gate_book) == {1.0}
        if s.scan_number == 220:
            assert set(signal.gate_book) == {0.0}
            assert "GATE_SPREAD" in signal.reason


def test_dear_funding_closes_the_gate_of_the_side_that_pays():
    def factors(now_us):
        reading = Reading(value=0.01, fetch_us=now_us, lifetime_s=60.0, interval_h=8.0)
        return Factors(funding={f"A{i:02d}": reading for i in range(12)})

    state = SignalState()
    for s in SCANS:
        signal = state.step(msgspec.structs.replace(s), None, factors(s.timestamp_us))
    for direction, reason, gate in zip(
        signal.direction, signal.reason, signal.gate_funding, strict=True
    ):
        assert gate == (0.0 if direction > 0 else 1.0)
        assert (reason == "GATE_FUNDING") == (direction > 0)


def test_high_implied_volatility_halves_every_signal():
    def factors(now_us):
        return Factors(
            dvol_btc=Reading(value=90.0, fetch_us=now_us, lifetime_s=60.0, percentile_90=80.0)
        )

    plain, halved = SignalState(), SignalState()
    for s in SCANS:
        a = plain.step(msgspec.structs.replace(s))
        b = halved.step(msgspec.structs.replace(s), None, factors(s.timestamp_us))
    assert np.array(b.signal) == pytest.approx(np.array(a.signal) / 2)


def test_a_gap_that_forgets_every_asset_leaves_no_number_that_is_none():
    params = SignalParams(tau_x_s=600, gap_max_s=900)
    scans = walk(300)
    late = [
        msgspec.structs.replace(s, timestamp_us=s.timestamp_us + 650_000_000) for s in scans[150:]
    ]
    whole, again = SignalState(params), SignalState(params)
    for scan in scans[:150]:
        whole.step(msgspec.structs.replace(scan))
        again.step(msgspec.structs.replace(scan))
    again = SignalState.load(again.save())
    for scan in late:
        one = whole.step(msgspec.structs.replace(scan))
        assert one == again.step(msgspec.structs.replace(scan))
        assert all(np.isfinite(one.signal))
        assert np.isfinite(one.r_vol)
