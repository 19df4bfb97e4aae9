"""The fifth sensor: documents that cannot be true, and that none of them stops a sensor."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.grid import wire
from dolphin_realtime.model.documents import (
    Heartbeat,
    HeldPosition,
    PnlDocument,
    StateDocument,
)
from dolphin_realtime.services.meta_health.evaluator import HealthEvaluator
from dolphin_realtime.services.meta_health.reading import Reading, Snapshot
from dolphin_realtime.services.meta_health.sensors.coherence import (
    pnl_holds,
    read_coherence,
    scan_holds,
)
from dolphin_realtime.services.meta_health.sensors.freshness import enabled_sources, read_freshness
from dolphin_realtime.services.meta_health.sensors.heartbeat import read_heartbeats
from tests.unit.realtime.test_health import CRITICAL, NOW, STATE, typed_state

GOOD_SCAN = {"assets": ["A", "B"], "asset_prices": {"A": 1.0, "B": 2.0}, "eigenvalues": [1.5, 0.5]}


@pytest.mark.parametrize(
    "change",
    [
        {"asset_prices": {"A": 1.0, "B": None}},
        {"asset_prices": {"A": 1.0}},
        {"eigenvalues": [1.5, None]},
        {"eigenvalues": [3.0, 0.5]},
        {"assets": "A"},
    ],
)
def test_an_impossible_scan_is_incoherent(change):
    assert scan_holds(GOOD_SCAN)
    assert not scan_holds({**GOOD_SCAN, **change})


def test_equity_that_does_not_add_up_is_incoherent():
    position = HeldPosition(asset="A", quantity=2.0, price=11.0, average_price=10.0)
    state = typed_state(cash=100.0, equity=102.0, positions=[position])
    good = Snapshot(scan=GOOD_SCAN, states={"BLUE": state})
    assert read_coherence(good).scores == {"scan": 1.0, "state_BLUE": 1.0}
    state.equity = 103.0
    assert read_coherence(good).scores == {"scan": 1.0, "state_BLUE": 0.0}


@pytest.mark.parametrize(
    "change",
    [{"fees": None}, {"trades": -1}, {"max_drawdown": 1.1}, {"equity": "a lot"}, {"funding": None}],
)
def test_profit_that_cannot_be_is_incoherent(change):
    good = dict.fromkeys(("realised", "unrealised", "fees", "funding", "equity"), 1.0)
    good |= {"trades": 3, "max_drawdown": 0.01, "updated_at": NOW.isoformat()}
    assert pnl_holds(wire.read(wire.encode(good), PnlDocument))
    assert wire.read(wire.encode({**good, **change}), PnlDocument) is None
    inf = msgspec.structs.replace(wire.read(wire.encode(good), PnlDocument), equity=math.inf)
    assert not pnl_holds(inf)


def test_a_document_that_cannot_be_read_does_not_hold():
    found = read_coherence(Snapshot(scan=GOOD_SCAN, unparsable=["DOLPHIN_SAFETY/latest"]))
    assert found.scores == {"scan": 1.0, "DOLPHIN_SAFETY/latest": 0.0}


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from([10**400, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "NORMAL"])
)


JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


KEYS = (
    "assets", "asset_prices", "eigenvalues", "posture", "size_multiplier", "cash", "equity", "mismatch",
    "positions", "handled_at", "bridge_ts", "ts", "updated_at", "_pushed_at", "realised", "trades",
)  # fmt: skip


DOCUMENT = st.dictionaries(st.sampled_from(KEYS), JSON)


@given(DOCUMENT, DOCUMENT, DOCUMENT)
def test_no_document_of_the_grid_stops_a_sensor_or_its_document(scan, other, state):
    sources = enabled_sources("scan,obf,extf,esof,safety,state")
    named = {f"{s.map_name}/{s.key}": other for s in sources}
    seen = Snapshot(
        scan=scan, safety=other, sources=named,
        states={"BLUE": wire.read(wire.encode({**STATE, **state}), StateDocument)},
        pnl={"BLUE": wire.read(wire.encode(other), PnlDocument)},
        heartbeats={"bridge": wire.read(wire.encode(other), Heartbeat)},
    )  # fmt: skip
    readings = {
        "m2_heartbeat": read_heartbeats(seen, ["bridge"], NOW),
        "m3_data_freshness": read_freshness(seen, sources, NOW),
        "m4_control_plane": Reading(scores={"hazelcast": 1.0}),
        "m5_coherence": read_coherence(seen),
    }
    evaluator = HealthEvaluator(sources, CRITICAL)
    evaluator.update(readings, 0.0)
    document = wire.encode(evaluator.document(NOW, 0.0, {}, is_young=False))
    assert wire.decode(document)["status"] in ("GREEN", "DEGRADED", "CRITICAL", "DEAD")
