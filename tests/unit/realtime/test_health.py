"""Health scores and words, at, below and above every bound."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.meta_health.reading import Snapshot
from dolphin_realtime.meta_health.sensors.coherence import read_coherence, scan_holds
from dolphin_realtime.meta_health.sensors.freshness import enabled_sources, read_freshness
from dolphin_realtime.meta_health.sensors.processes import read_processes
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.health import (
    LastKnown,
    age_score,
    heartbeat_score,
    process_score,
    share,
    status_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("product", "word"),
    [
        (1.0, "GREEN"),
        (0.8000001, "GREEN"),
        (0.8, "DEGRADED"),
        (0.5000001, "DEGRADED"),
        (0.5, "CRITICAL"),
        (0.2000001, "CRITICAL"),
        (0.2, "DEAD"),
        (0.0, "DEAD"),
    ],
)
def test_each_bound_belongs_to_the_worse_word(product, word):
    assert status_of(product) == word


@pytest.mark.parametrize(
    ("age", "score"), [(0, 1), (30, 1), (30.1, 0.5), (120, 0.5), (120.1, 0), (None, 0)]
)
def test_age_score(age, score):
    assert age_score(age, 30, 120) == score


def test_a_missing_critical_service_is_zero_another_a_share():
    assert process_score({"bridge": True, "meta-health": True}) == 1
    assert process_score({"bridge": False, "meta-health": True}) == 0
    assert process_score({"bridge": True, "meta-health": False}) == 0.5
    assert process_score({}) == 0


def test_the_worst_critical_heartbeat_counts():
    assert heartbeat_score({"bridge": 10, "safety": 31, "replay": 500}) == 0.5
    assert heartbeat_score({"bridge": 10, "safety": None}) == 0
    assert heartbeat_score({}) == 1


def test_share_of_nothing_is_zero():
    assert share({}) == 0
    assert share({"a": True, "b": False}) == 0.5


def snapshot(**ages):
    sources = enabled_sources("scan,obf,extf,esof,safety,state")
    documents = {
        f"{s.map_name}/{s.key}": {s.field: (NOW - timedelta(seconds=ages[s.name])).isoformat()}
        for s in sources
        if s.name in ages
    }
    merged = {}
    for s in sources:
        key = f"{s.map_name}/{s.key}"
        if key in documents:
            merged[key] = documents[key]
    return Snapshot(scan=None, safety=None, states={}, heartbeats={}, sources=merged)


def test_ng6_down_and_all_else_well_is_five_eighths():
    found = read_freshness(
        snapshot(scan=500, obf=1, extf=1, esof=1, safety=1, state=1),
        enabled_sources("scan,obf,extf,esof,safety,state"),
        NOW,
    )
    assert found.score == 0.625
    assert status_of(found.score) == "DEGRADED"


def test_a_disabled_source_is_left_out_and_shown():
    found = read_freshness(
        snapshot(scan=1, safety=1, state=1), enabled_sources("scan,safety,state"), NOW
    )
    assert found.score == 1
    assert found.subsystems["obf"] == {"state": "disabled"}


STATES = {"fresh": 1.0, "stale": 0.5, "dead": 0.0}
"""What a source scores in each state."""
NAMES = ("scan", "obf", "extf", "esof", "safety", "state")


def aged(state, source):
    place = {"fresh": source.stale_s, "stale": source.dead_s, "dead": source.dead_s + 0.1}
    return place[state]


def m3(states):
    sources = enabled_sources(",".join(NAMES))
    ages = {s.name: aged(states[s.name], s) for s in sources}
    return read_freshness(snapshot(**ages), sources, NOW).score


def test_every_combination_of_fresh_stale_and_dead_sources_scores_by_the_rule():
    weights = {"scan": 3.0}
    for combination in itertools.product(STATES, repeat=len(NAMES)):
        states = dict(zip(NAMES, combination, strict=True))
        expected = sum(weights.get(n, 1.0) * STATES[s] for n, s in states.items()) / 8.0
        assert m3(states) == pytest.approx(expected), states


@given(st.lists(st.sampled_from(sorted(STATES)), min_size=6, max_size=6), st.sampled_from(NAMES))
def test_a_source_that_dies_never_improves_the_status(combination, name):
    states = dict(zip(NAMES, combination, strict=True))
    order = ["DEAD", "CRITICAL", "DEGRADED", "GREEN"]
    before, after = m3(states), m3({**states, name: "dead"})
    assert after <= before
    assert order.index(status_of(after)) <= order.index(status_of(before))


def test_thresholds_of_a_source_are_a_setting():
    extf = next(s for s in enabled_sources("scan, extf=60/90") if s.name == "extf")
    assert (extf.enabled, extf.stale_s, extf.dead_s) == (True, 60.0, 90.0)
    scan = next(s for s in enabled_sources("scan, extf=60/90") if s.name == "scan")
    assert (scan.stale_s, scan.dead_s) == (30.0, 120.0)
    for bad in ("exf", "extf=", "extf=60", "extf=90/60", "extf=0/1", "extf=a/b", "extf=1/inf"):
        with pytest.raises(SettingsError, match="DOLPHIN_MHS_SOURCES"):
            enabled_sources(bad)


def test_an_unknown_score_lives_for_thirty_seconds():
    last = LastKnown()
    assert last.take(None, NOW) == 0
    assert last.take(0.9, NOW) == 0.9
    assert last.take(None, NOW + timedelta(seconds=30)) == 0.9
    assert last.take(None, NOW + timedelta(seconds=30.1)) == 0


def test_a_stopped_service_counts_as_missing():
    services = [
        {"name": "bridge", "state": "stopped", "pid": None, "restarts": 0},
        {"name": "hazelcast", "state": "running", "pid": 1, "restarts": 0},
    ]
    assert read_processes(services).score == 0


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
    position = {"asset": "A", "quantity": 2.0, "price": 11.0, "average_price": 10.0}
    state = {"cash": 100.0, "equity": 102.0, "positions": [position]}
    good = Snapshot(scan=GOOD_SCAN, safety=None, states={"BLUE": state}, heartbeats={}, sources={})
    assert read_coherence(good).score == 1
    state["equity"] = 103.0
    assert read_coherence(good).score == 0.5
