"""Target weights and the decisions of many assets at once, by hand."""

import numpy as np
import pytest

from dolphin_realtime.model.market.instrument import MAX_STEPS, InstrumentSpec, is_name
from dolphin_realtime.model.portfolio.decision import Market, TargetParams, least_usd
from dolphin_realtime.model.portfolio.sizing import Decisions, capped_weights
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from tests.unit.realtime.test_target import FREE, SPEC, sides, wanted

P = TargetParams(gross_cap=1.0, net_cap=0.3)


@pytest.mark.parametrize(("asked", "left", "left_net", "weights"), [
    ([0.2, -0.2], 0.0, 0.0, [0.2, -0.2]),
    ([0.8, -0.8], 0.0, 0.0, [0.5, -0.5]),
    ([0.8, -0.8], 0.5, 0.0, [0.25, -0.25]),
    ([0.5, -0.5], 0.0, 0.0, [0.5, -0.5]),
    ([0.5, -0.5], 1.2, 0.0, [0.0, 0.0]),
    ([0.4, -0.1], 0.0, 0.0, [0.4, -0.1]),
    ([0.5, -0.1], 0.0, 0.0, [0.4, -0.1]),
    ([0.1, -0.5], 0.0, 0.0, [0.1, -0.4]),
    ([0.3, 0.3, -0.2], 0.0, 0.0, [0.25, 0.25, -0.2]),
    ([-0.3, -0.3, 0.2], 0.0, 0.0, [-0.25, -0.25, 0.2]),
    ([0.2, -0.1], 0.2, 0.25, [0.15, -0.1]),
    ([0.1, -0.2], 0.2, -0.25, [0.1, -0.15]),
    ([0.1, -0.1], 0.5, 0.5, [0.0, -0.1]),
    ([0.1, -0.1], 0.5, -0.5, [0.1, 0.0]),
    ([-0.1], 0.5, 0.5, [-0.1]),
    ([0.1], 0.5, -0.5, [0.1]),
    ([0.0], 0.0, 0.0, [0.0]),
    ([], 0.9, 0.9, []),
])  # fmt: skip
def test_weights_by_hand(asked, left, left_net, weights):
    found = capped_weights(np.array(asked), left, left_net, P)
    assert found.tolist() == pytest.approx(weights)


def market(prices, held=(), equity=100_000.0, last=None, specs=None):
    return Market(
        prices=prices, last_prices=last or {}, held=dict(held), equity=equity,
        instruments=dict.fromkeys(prices, SPEC) if specs is None else specs,
    )  # fmt: skip


def decide(rows, held=(), limits=FREE, params=P, **more):
    """Return the decisions by asset, and the names of those that came first."""
    prices = {a: p for a, (_, _, p) in rows.items()}
    found = Decisions(wanted(rows), market(prices, held, **more), limits, params)
    return {d.asset: d for d in found.all()}, [d.asset for d in found.first]


def test_each_asset_gets_its_own_decision_in_scan_order_and_only_movers_come_first():
    rows = {
        "A": (1.0, "OK", 100.0), "B": (0.1, "OK", 50.0), "C": (0.0, "NO_DIRECTION", 10.0),
        "D": (-1.0, "OK", 20.0), "E": (0.0, "GATE_BOOK", 5.0), "F": (0.0, "NO_DIRECTION", 1.0),
    }  # fmt: skip
    found, first = decide(rows, held={"C": 7.0, "E": 100.0, "GONE": 2.0}, last={"GONE": 30.0})
    assert list(found) == ["A", "B", "C", "D", "E", "GONE"]
    assert first == ["A", "C", "D"]
    assert sides(found["A"]) == [("BUY", 50.0, "O", False)]
    assert (found["B"].reason, found["B"].orders) == ("BELOW_BAND", ())
    assert found["B"].target == pytest.approx(500.0)
    assert (found["B"].signal, found["B"].held) == (0.1, 0.0)
    assert sides(found["C"]) == [("SELL", 7.0, "C", True)]
    assert sides(found["D"]) == [("SELL", 250.0, "O", False)]
    assert (found["E"].reason, found["E"].held, found["E"].target) == ("GATE_BOOK", 100.0, 500.0)
    assert (found["GONE"].reason, found["GONE"].target, found["GONE"].signal) == (
        "ABSENT",
        60.0,
        0.0,
    )


def test_what_is_left_alone_takes_its_room_from_the_caps():
    rows = {"A": (1.0, "OK", 100.0), "B": (0.0, "GATE_BOOK", 100.0)}
    params = TargetParams(asset_cap=0.5, gross_cap=0.6, net_cap=10.0)
    found, _ = decide(rows, held={"B": 400.0}, params=params)
    assert found["A"].target == pytest.approx(20_000.0)
    found, _ = decide(rows, held={"GONE": -400.0}, last={"GONE": 100.0}, params=params)
    assert found["A"].target == pytest.approx(20_000.0)
    params = TargetParams(asset_cap=0.5, gross_cap=10.0, net_cap=0.3)
    found, _ = decide(rows, held={"B": 200.0}, params=params)
    assert found["A"].target == pytest.approx(10_000.0)
    found, _ = decide(rows, held={"B": -200.0}, params=params)
    assert found["A"].target == pytest.approx(50_000.0)


def test_an_account_without_equity_opens_nothing_and_closes_what_turned():
    rows = {"A": (1.0, "OK", 100.0), "B": (-1.0, "OK", 100.0)}
    found, first = decide(rows, held={"B": 3.0}, equity=0.0)
    assert first == ["B"]
    assert sides(found["B"]) == [("SELL", 3.0, "C", True)]
    assert found["A"].orders == ()


@pytest.mark.parametrize(("limits", "reason"), [
    (TradingPermission(posture=Posture.HALTED), "POSTURE_HALTED"), (FREE, "BELOW_BAND"),
])  # fmt: skip
def test_the_reason_of_what_does_not_move(limits, reason):
    found, first = decide({"A": (0.1, "OK", 100.0)}, limits=limits)
    assert (first, found["A"].reason) == ([], reason)
    found, _ = decide({"A": (0.1, "OK", 100.0)}, specs={}, limits=limits)
    assert found["A"].reason == ("NO_INSTRUMENT" if limits is FREE else reason)
    found, _ = decide({"A": (0.5, "RISK_SCALER", 100.0)}, held={"A": 25.0}, limits=limits)
    assert found["A"].reason == reason


def test_a_halted_desk_moves_nothing_even_what_turned():
    halted = TradingPermission(posture=Posture.HALTED)
    found, first = decide({"A": (-1.0, "OK", 100.0)}, held={"A": 50.0}, limits=halted)
    assert (first, found["A"].orders, found["A"].reason) == ([], (), "POSTURE_HALTED")


@pytest.mark.parametrize(
    ("held", "moved"), [(37.6, False), (37.5, True), (62.4, False), (62.5, True)]
)
def test_the_band_is_around_what_is_held_on_both_sides(held, moved):
    found, first = decide({"A": (1.0, "OK", 100.0)}, held={"A": held})
    assert bool(first) is bool(found["A"].orders) is moved


def test_an_order_is_at_least_the_least_notional_of_the_desk_and_of_the_instrument():
    assert least_usd(market({}, equity=100.0), TargetParams(min_notional_usd=10.0)) == 10.0
    assert least_usd(market({}, equity=1e6), TargetParams(min_notional_usd=10.0)) == 12_500.0
    for least, is_sent in ((5000.0, True), (5000.1, False)):
        specs = {"A": InstrumentSpec(4, 3, least)}
        found, _ = decide({"A": (1.0, "OK", 100.0)}, specs=specs)
        assert bool(found["A"].orders) is is_sent
    found, _ = decide({"A": (1.0, "OK", 100.0)}, equity=200.0)
    assert sides(found["A"]) == [("BUY", 0.1, "O", False)], "a target of exactly the least"
    found, _ = decide({"A": (1.0, "OK", 100.0)}, equity=199.0)
    assert found["A"].reason == "BELOW_BAND"


@pytest.mark.parametrize(("target", "opens"), [(-1.0, True), (-0.24, False)])
def test_a_turn_opens_only_what_is_worth_an_order(target, opens):
    found, _ = decide({"A": (target, "OK", 100.0)}, held={"A": 20.0})
    assert [o.leg for o in found["A"].orders] == (["C", "O"] if opens else ["C"])
    assert found["A"].reason == "OK"


def test_a_turn_while_entries_are_blocked_closes_and_says_why_it_does_not_open():
    blocked = TradingPermission(entry_block="STALE_SCAN")
    found, _ = decide({"A": (-1.0, "OK", 100.0)}, held={"A": 20.0}, limits=blocked)
    assert sides(found["A"]) == [("SELL", 20.0, "C", True)]
    assert found["A"].reason == "STALE_SCAN"


def test_less_than_a_step_is_no_order():
    coarse = {"A": InstrumentSpec(4, 0)}
    rows = {"A": (1.0, "OK", 60_000.0)}
    found, _ = decide(rows, specs=coarse)
    assert (found["A"].orders, found["A"].reason) == ((), "BELOW_STEP")
    found, _ = decide({"A": (-1.0, "OK", 60_000.0)}, held={"A": 0.3}, specs=coarse)
    assert found["A"].reason == "BELOW_STEP"
    found, _ = decide({"A": (-1.0, "OK", 60_000.0)}, held={"A": 2.0}, specs=coarse)
    assert sides(found["A"]) == [("SELL", 2.0, "C", True)], "no step is left to open"


@pytest.mark.parametrize(("quantity", "digits", "floored"), [
    (1.2349, 3, 1.234), (1.235, 3, 1.235), (0.0009, 3, 0.0), (0.1 + 0.2, 1, 0.3), (0.7, 1, 0.7),
    (5.999, 0, 5.0), (2.9999999999, 0, 2.0), (2.99999999999999, 0, 3.0), (1e15, 0, 1e15),
    (123456789012.4, 0, 123456789012.0), (9.5e14, 0, 9.5e14 + 950.0), (1e13, 3, 1e13), (float("inf"), 3, float("inf")),
])  # fmt: skip
def test_a_quantity_is_cut_to_whole_steps(quantity, digits, floored):
    assert InstrumentSpec(4, digits).floor_quantity(quantity) == floored
    assert MAX_STEPS == 1e15


@pytest.mark.parametrize(("name", "is_one"), [
    ("BTCUSDT", True), ("a-B_c:9", True), ("X" * 32, True), ("X" * 33, False), ("", False),
    ("BAD NAME", False), ("Ä", False), ("BTC\\n", False),
])  # fmt: skip
def test_names_of_instruments(name, is_one):
    assert is_name(name) is is_one
