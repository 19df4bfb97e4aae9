"""How signals become orders, one rule a test; equity 100,000 USDT, price 100 unless said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.market.venue import paper_venue
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.decision import Market, TargetParams
from dolphin_realtime.model.portfolio.sizing import Decisions, TargetWeights, capped_weights
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture

SPEC = InstrumentSpec(4, 3)
PARAMS = TargetParams()
FREE = TradingPermission()


def one(signal, reason="OK", held=0.0, price=100.0, last=100.0, limits=FREE, spec=SPEC):
    market = Market(
        prices={"A": price},
        last_prices={"A": last},
        held={"A": held},
        equity=100_000.0,
        instruments={"A": spec} if spec else {},
    )
    decisions = Decisions(wanted({"A": (signal, reason, price)}), market, limits, PARAMS)
    (found,) = decisions.all() or decisions.first or [None]
    assert decisions.first in ([], [found])
    assert not (found and found.orders and not decisions.first)
    return found


def wanted(rows):
    """Return signals as arrays from {asset: (signal, reason, price)}."""
    names = list(rows)
    return TargetWeights(
        names=names,
        position={a: i for i, a in enumerate(names)},
        prices=np.array([p for _, _, p in rows.values()]),
        signal=np.array([s for s, _, _ in rows.values()]),
        is_active=np.array(
            [r in ("OK", "NO_DIRECTION", "RISK_SCALER") for _, r, _ in rows.values()]
        ),
        reason=lambda asset: rows[asset][1] if asset in rows else "ABSENT",
    )


def sides(decision):
    return [(o.side, o.quantity, o.leg, o.is_reduce_only) for o in decision.orders]


def test_a_full_signal_opens_the_asset_cap():
    assert sides(one(1.0)) == [("BUY", 50.0, "O", False)]
    assert sides(one(-1.0)) == [("SELL", 50.0, "O", False)]


def test_quantity_is_rounded_toward_zero():
    assert sides(one(1.0, price=333.3333, last=333.0))[0][1] == 15.0
    assert sides(one(1.0, price=299.99, last=299.0))[0][1] == 16.667


@pytest.mark.parametrize(("signal", "sent"), [(0.2499, False), (0.25, True)])
def test_the_band_is_a_quarter_of_the_cap(signal, sent):
    decision = one(signal)
    assert bool(decision.orders) == sent
    assert decision.reason == ("OK" if sent else "BELOW_BAND")


def test_a_smaller_target_shrinks_and_a_larger_one_adds():
    assert sides(one(0.5, held=50.0)) == [("SELL", 25.0, "A", True)]
    assert sides(one(1.0, held=25.0)) == [("BUY", 25.0, "A", False)]


def test_a_change_of_sign_is_one_close_and_one_open():
    assert sides(one(-1.0, held=20.0)) == [("SELL", 20.0, "C", True), ("SELL", 50.0, "O", False)]


@pytest.mark.parametrize("reason", ["NO_DIRECTION", "RISK_SCALER"])
def test_a_meant_zero_closes_the_whole_position(reason):
    decision = one(0.0, reason, held=-12.345)
    assert sides(decision) == [("BUY", 12.345, "C", True)]
    assert decision.reason == reason


@pytest.mark.parametrize(
    "reason",
    ["BAD_PRICE", "WARMING_UP", "GATE_CALENDAR", "GATE_BOOK", "TOO_FEW_ASSETS", "ABSENT"],
)
def test_any_other_reason_leaves_what_is_held(reason):
    decision = one(0.0, reason, held=12.0)
    assert decision.orders == ()
    assert decision.reason == reason


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (TradingPermission(posture=Posture.CLOSE_ONLY), "POSTURE_CLOSE_ONLY"),
        (TradingPermission(posture=Posture.HALTED), "POSTURE_HALTED"),
        (TradingPermission(entry_block="POSTURE_UNKNOWN"), "POSTURE_UNKNOWN"),
        (TradingPermission(entry_block="STALE_SCAN"), "STALE_SCAN"),
    ],
)
def test_a_block_opens_nothing_and_says_why(limits, reason):
    assert one(1.0, limits=limits).orders == ()
    assert one(1.0, limits=limits).reason == reason
    assert one(1.0, held=10.0, limits=limits).orders == ()


def test_close_only_still_closes_and_shrinks():
    limits = TradingPermission(posture=Posture.CLOSE_ONLY)
    assert sides(one(0.0, "NO_DIRECTION", held=5.0, limits=limits)) == [("SELL", 5.0, "C", True)]
    assert sides(one(0.5, held=50.0, limits=limits)) == [("SELL", 25.0, "A", True)]
    assert sides(one(-1.0, held=20.0, limits=limits)) == [("SELL", 20.0, "C", True)]


def test_halted_sends_nothing_at_all():
    limits = TradingPermission(posture=Posture.HALTED)
    assert one(0.0, "NO_DIRECTION", held=5.0, limits=limits).orders == ()


def test_reduced_halves_the_target():
    assert sides(one(1.0, limits=TradingPermission(posture=Posture.REDUCED))) == [
        ("BUY", 25.0, "O", False)
    ]


def test_an_unknown_instrument_is_not_traded():
    assert one(1.0, spec=None).reason == "NO_INSTRUMENT"
    venue = paper_venue(CostParams())
    assert venue.spec("bad name!") is None
    assert venue.spec("NEWUSDT") == InstrumentSpec(9, 6)


@given(
    st.dictionaries(st.sampled_from("ABCDEFGH"), st.floats(-0.6, 0.6), min_size=1),
    st.floats(0, 0.9),
)
def test_weights_stay_within_both_caps(asked, left):
    given_ = np.array(list(asked.values()))
    weights = capped_weights(given_, left, 0.0, PARAMS)
    assert np.abs(weights).sum() + left <= max(PARAMS.gross_cap, left) + 1e-9
    assert abs(weights.sum()) <= PARAMS.net_cap + 1e-9
    assert (weights * given_ >= 0).all()
