"""Kind K, the reason named is the cause: what was refused, what cannot be traded, who reaches whom."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dolphin_realtime.cli.not_trading import not_trading
from dolphin_realtime.cli.status_view import lines_of
from dolphin_realtime.grid import wire
from dolphin_realtime.model.documents import Heartbeat, refusals
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.health.recovery import Fault, World, remedy_of
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.services.meta_health.sensors import control_plane
from tests.unit.realtime.test_not_trading import NOW, SINCE, overview, state


def beat(since):
    return msgspec.convert({"ts": NOW.isoformat(), "refused_since": since}, Heartbeat)


REFUSED = {"out_of_order": {"n": 12, "why": "scan 7 is not later than scan 9"}}
STALE = {"posture": "CLOSE_ONLY", "since": SINCE, "reasons": ["STALE_SCAN: 40 s old, limit 30 s"]}
BLOCK = {"reason": "STALE_SCAN", "since": SINCE}
CAUSE = "bridge refused since the last good scan: 12 out_of_order (scan 7 is not later"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"safety": STALE, "beats": {"bridge": beat(REFUSED)}}, CAUSE),
        ({"states": {"BLUE": state(entry_block=BLOCK)},
          "beats": {"bridge": beat(REFUSED)}}, CAUSE),
        ({"safety": STALE, "beats": {"scanner": beat({"listing_unread": {"n": 3, "why": "no such host"}})}},
         "scanner refused since the last good scan: 3 listing_unread (no such host)"),
        ({"states": {"BLUE": state(entry_block=BLOCK)},
          "beats": {"trader@BLUE": beat({"implausible_time": {"n": 3, "why": ""}})}},
         "trader@BLUE refused since the last good scan: 3 implausible_time"),
        ({"states": {"BLUE": state(untradable={"names": 16, "of": 16, "reasons": {
            "STILL_PRICE": 10, "WARMING_UP": 6}})}},
         "NO_TRADABLE_NAME: BLUE: STILL_PRICE 10, WARMING_UP 6 of 16 names"),
        ({"states": {"BLUE": state(untradable={"names": 16, "of": 16, "reasons": {
            "GATE_CALENDAR": 16}})}}, "NO_TRADABLE_NAME: BLUE: GATE_CALENDAR 16"),
    ],
)  # fmt: skip
def test_the_cause_is_in_the_sentence(fields, text):
    assert text in not_trading(overview(**fields)).text


def test_another_posture_is_not_blamed_on_scans_that_were_refused():
    halted = {"posture": "HALTED", "since": SINCE, "reasons": ["MANUAL: x"]}
    found = not_trading(overview(safety=halted, beats={"bridge": beat(REFUSED)}))
    assert "refused" not in found.text


def test_the_share_of_names_that_cannot_be_opened_is_shown_while_others_trade():
    out = {"names": 3, "of": 16, "reasons": {"STILL_PRICE": 3}}
    lines = [str(t) for t in lines_of(overview(states={"BLUE": state(untradable=out)}))]
    assert any("3 of 16 names cannot be opened now: STILL_PRICE 3" in line for line in lines)
    assert lines[-1] == "trading"


@pytest.mark.parametrize("since", [{}, "x", {"a": 3}])
def test_a_beat_without_refusals_says_nothing(since):
    text = wire.encode({"ts": NOW.isoformat(), "refused_since": since})
    assert refusals(wire.read(text, Heartbeat)) == refusals(None) == ""


@pytest.mark.parametrize(
    ("trouble", "score"), [(None, 1.0), ("Could not reach user code server", 0.0)]
)
def test_a_webserver_that_does_not_reach_the_code_is_said(monkeypatch, trouble, score):
    monkeypatch.setattr(dagster_api, "code_trouble", lambda port, timeout_s: trouble)
    reading = control_plane.read_code(1)
    assert reading.scores == {control_plane.CODE: score}
    assert reading.facts[control_plane.CODE].get("why") == trouble


def test_one_that_is_still_loading_is_unknown_and_nothing_is_restarted_for_it(monkeypatch):
    def loading(port, timeout_s):
        raise ServiceError("it is still loading")

    monkeypatch.setattr(dagster_api, "code_trouble", loading)
    assert control_plane.read_code(1).scores == {control_plane.CODE: None}
    world = World(services={}, grace_s=1.0, hazelcast_is_good=True, dagster_answers=True)
    remedy = remedy_of(Fault(sensor="m4_control_plane", target=control_plane.CODE), world)
    assert remedy.kind is None
    assert "a person must look" in remedy.inhibited


def test_a_producer_that_has_not_had_its_first_chance_is_not_dead():
    world = World(services={}, grace_s=1.0, hazelcast_is_good=True, dagster_answers=True,
                  episodes={"esof": f"absent-{datetime.now(UTC).isoformat()}"}, has_had_chance=False)  # fmt: skip
    fault = Fault(sensor="m3_data_freshness", target="esof")
    assert remedy_of(fault, world).kind is None
    was_there = {"esof": (datetime.now(UTC) - timedelta(hours=3)).isoformat()}
    gone = World(services={}, grace_s=1.0, hazelcast_is_good=True, dagster_answers=True,
                 episodes=was_there, has_had_chance=False)  # fmt: skip
    assert remedy_of(fault, gone).kind is not None
