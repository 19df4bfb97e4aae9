"""Health scores and words, at, below and above every bound."""

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.documents import (
    Heartbeat,
    StateDocument,
)
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.health.scores import (
    age_score,
    freshness_score,
    heartbeat_score,
    process_score,
    share,
    status_of,
)
from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.services.meta_health.reading import Reading, Snapshot
from dolphin_realtime.services.meta_health.sensors.control_plane import cross_check
from dolphin_realtime.services.meta_health.sensors.freshness import (
    enabled_sources,
    read_freshness,
    sources_of,
)
from dolphin_realtime.services.meta_health.sensors.heartbeat import read_heartbeats
from dolphin_realtime.services.meta_health.sensors.processes import read_processes

NOW = datetime(2026, 1, 1, tzinfo=UTC)

CRITICAL = ["bridge", "safety"]
STATE = {
    "updated_at": "2026-01-01T00:00:00Z", "handled_at": "2026-01-01T00:00:00Z", "journal": {},
    "cash": 1.0, "equity": 1.0, "peak_equity": 1.0, "day_loss": 0.0, "positions": [],
}  # fmt: skip


def typed_state(**fields):
    return msgspec.convert({**STATE, **fields}, StateDocument)


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
    ("age", "score"),
    [(0, 1), (30, 1), (30.1, 0.5), (120, 0.5), (120.1, 0), (None, 0), (-30.1, 0.5), (-121, 0)],
)
def test_age_score(age, score):
    assert age_score(age, 30, 120) == score


def test_a_missing_critical_service_is_zero_another_a_share():
    assert process_score({"bridge": 1.0, "meta-health": 1.0}, CRITICAL) == 1
    assert process_score({"bridge": 0.0, "meta-health": 1.0}, CRITICAL) == 0
    assert process_score({"bridge": 1.0, "meta-health": 0.0}, CRITICAL) == 0.5
    assert process_score({}, CRITICAL) == 0


def test_the_worst_critical_heartbeat_counts():
    assert heartbeat_score({"bridge": 1.0, "safety": 0.5, "replay": 0.0}, CRITICAL) == 0.5
    assert heartbeat_score({"bridge": 1.0, "safety": 0.0}, CRITICAL) == 0
    assert heartbeat_score({}, CRITICAL) == 1


@pytest.mark.parametrize(
    ("age", "score"), [(29.9, 1.0), (30.0, 1.0), (30.1, 0.5), (60.0, 0.5), (60.1, 0.0), (None, 0.0)]
)
def test_a_heartbeat_at_below_and_above_each_bound(age, score):
    beat = None if age is None else Heartbeat(ts=NOW - timedelta(seconds=age))
    found = read_heartbeats(Snapshot(heartbeats={"bridge": beat}), ["bridge"], NOW)
    assert found.scores == {"bridge": score}


def test_what_is_absent_in_a_grid_that_came_up_just_now_is_unknown():
    found = read_heartbeats(Snapshot(), ["bridge"], NOW, is_young=True)
    assert found.scores == {"bridge": None}
    sources = enabled_sources("scan")
    assert read_freshness(Snapshot(), sources, NOW, is_young=True).scores == {"scan": None}
    assert read_freshness(Snapshot(), sources, NOW).scores == {"scan": 0.0}


def test_share_of_nothing_is_zero():
    assert share({}) == 0
    assert share({"a": 1.0, "b": 0.0}) == 0.5


@pytest.mark.parametrize("source", enabled_sources("scan,obf,extf,esof,safety,state,venue"))
def test_each_source_at_below_and_above_its_bounds(source):
    def scored(age):
        return read_freshness(snapshot(**{source.name: age}), [source], NOW).scores[source.name]

    assert scored(source.stale_s - 0.1) == scored(source.stale_s) == 1.0
    assert scored(source.stale_s + 0.1) == scored(source.dead_s) == 0.5
    assert scored(source.dead_s + 0.1) == 0.0


def snapshot(**ages):
    sources = enabled_sources("scan,obf,extf,esof,safety,state,venue")
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
    return Snapshot(sources=merged)


def score_of(reading, sources):
    return freshness_score({k: v or 0.0 for k, v in reading.scores.items()}, sources)


def test_ng6_down_and_all_else_well_is_five_eighths():
    sources = enabled_sources("scan,obf,extf,esof,safety,state")
    found = read_freshness(
        snapshot(scan=500, obf=1, extf=1, esof=1, safety=1, state=1), sources, NOW
    )
    assert score_of(found, sources) == 0.625
    assert status_of(score_of(found, sources)) == "DEGRADED"


def test_in_live_mode_the_venue_is_expected_on_paper_it_is_not():
    def enabled(**settings):
        return [s.name for s in sources_of(Settings(**settings)) if s.enabled]

    assert "venue" not in enabled()
    assert enabled(mode="live")[-1] == "venue"
    own = [s for s in sources_of(Settings(mode="live", mhs_sources="scan,venue=5/9")) if s.enabled]
    assert [(s.name, s.stale_s, s.dead_s) for s in own][1:] == [("venue", 5.0, 9.0)]


def test_a_disabled_source_is_left_out_and_shown():
    sources = enabled_sources("scan,safety,state")
    found = read_freshness(snapshot(scan=1, safety=1, state=1), sources, NOW)
    assert score_of(found, sources) == 1
    assert found.facts["obf"] == {"state": "disabled"}
    assert "obf" not in found.scores


STATES = {"fresh": 1.0, "stale": 0.5, "dead": 0.0}
"""What a source scores in each state."""
NAMES = ("scan", "obf", "extf", "esof", "safety", "state")


def aged(state, source):
    place = {"fresh": source.stale_s, "stale": source.dead_s, "dead": source.dead_s + 0.1}
    return place[state]


def m3(states):
    sources = enabled_sources(",".join(NAMES))
    ages = {s.name: aged(states[s.name], s) for s in sources if s.enabled}
    return score_of(read_freshness(snapshot(**ages), sources, NOW), sources)


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


def service(name, state="running", said="", is_wanted=True):
    since = NOW.isoformat()
    return ServiceStatus(
        name=name, state=state, pid=1, since=since, age_s=100, restarts=0, said=said,
        is_wanted=is_wanted,
    )  # fmt: skip


def test_a_critical_service_that_the_manager_does_not_know_is_missing():
    found = read_processes([service("bridge")], ["bridge", "trader@BLUE"])
    assert found.scores == {"bridge": 1.0, "trader@BLUE": 0.0}


def test_a_stopped_service_counts_as_missing_one_that_waits_does_not():
    found = read_processes(
        [service("bridge", "stopped", is_wanted=False), service("safety", "waiting")]
    )
    assert found.scores == {"bridge": 0.0, "safety": 1.0}


@pytest.mark.parametrize(
    ("own", "said", "state", "expected"),
    [
        (0.0, "the member answers", "running", None),
        (0.0, "the member does not answer", "running", 0.0),
        (0.0, "the member answers", "failed", 0.0),
        (1.0, "the member does not answer", "running", 1.0),
    ],
)
def test_a_member_that_only_meta_health_cannot_reach_is_unknown(own, said, state, expected):
    plane = Reading(scores={"hazelcast": own}, facts={})
    seen = cross_check(plane, [service("hazelcast", state, said)])
    assert seen.scores["hazelcast"] == expected
