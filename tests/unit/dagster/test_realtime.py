"""The rules of the realtime checks, each condition of each, and what a tick reports."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dolphin_dagster import checks
from dolphin_dagster.realtime import snapshot
from dolphin_dagster.realtime.assets import make_assets
from dolphin_dagster.realtime.sensor import Memory, events, report
from dolphin_dagster.realtime.snapshot import Snapshot
from dolphin_dagster.realtime.table import make_rules, verdicts
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.journal.check import CheckResult
from tests.conditions import SETTINGS, changed, conditions, healthy, snapshot_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULES = make_rules(SETTINGS)
ASSETS = [spec.key.to_user_string() for spec in make_assets(SETTINGS)]
EVERYTHING = {":".join(rule.key) for rule in RULES}


def failing(fields):
    found = verdicts(RULES, snapshot_of(fields))
    red = {":".join(key): verdict for key, verdict in found.items() if not verdict.passed}
    for verdict in red.values():
        assert verdict.facts.keys() & {"why", "posture", "status"}, "a red check says why"
    return set(red)


def test_a_healthy_stack_fails_nothing():
    assert failing(healthy(NOW)) == set()


@pytest.mark.parametrize(
    ("path", "value", "red"),
    conditions(NOW),
    ids=lambda v: str(sorted(v) if isinstance(v, set) else v)[:60],
)
def test_each_condition_turns_its_checks_red(path, value, red):
    assert failing(changed(healthy(NOW), path, value)) == red


def test_each_check_has_a_condition():
    seen = {name for _, _, red in conditions(NOW) for name in red}
    assert EVERYTHING - seen == {"hazelcast:answers", "journal_BLUE:identities_hold"}


def test_a_grid_that_is_away_makes_everything_red_but_the_journal():
    journals = healthy(NOW)["journals"]
    red = failing({"now": NOW, "fault": "away", "journals": journals})
    assert red == EVERYTHING - {"journal_BLUE:identities_hold"}


@pytest.mark.parametrize(
    "journals", [{}, {"BLUE": CheckResult(ok=False, rows=7, first_break="fill 3")}]
)
def test_a_journal_that_does_not_hold_is_red(journals):
    assert failing({**healthy(NOW), "journals": journals}) == {"journal_BLUE:identities_hold"}


@pytest.mark.parametrize(
    "nonsense", [{}, {"subsystem_health": 3}, {"subsystem_health": {"processes": 1}}]
)
def test_a_document_of_another_shape_is_red_and_stops_nothing(nonsense):
    fields = {**healthy(NOW), "health": nonsense, "scan": nonsense, "states": {"BLUE": nonsense}}
    assert "meta_health:is_green" in failing(fields)


BIG = int("9" * 401)
NO_STATE = {"trader_BLUE:state_holds", "trader_BLUE:positions_are_priced"}


@pytest.mark.parametrize(
    ("path", "value", "red"),
    [
        (("states", "BLUE", "equity"), BIG, NO_STATE),
        (("health", "m1_proc"), BIG, {"meta_health:m1_proc"}),
        (("scan", "eigenvalues"), [BIG, 1.0], {"scan_feed:is_coherent"}),
        (("scan", "asset_prices"), {"A": BIG, "B": 1.0}, {"scan_feed:is_coherent"}),
        (("states", "BLUE", "journal"), None, NO_STATE),
        (("states", "BLUE", "handled_at"), None, NO_STATE),
    ],
    ids=lambda v: str(sorted(v) if isinstance(v, set) else v)[:60],
)
def test_numbers_and_fields_that_cannot_be_are_judged_and_raise_nothing(path, value, red):
    assert failing(changed(healthy(NOW), path, value)) == red


def test_an_old_health_document_makes_no_service_red():
    fields = changed(
        healthy(NOW), ("health", "subsystem_health", "processes", "bridge"), {"state": "failed"}
    )
    fields = changed(fields, ("health", "timestamp"), (NOW - timedelta(days=9)).isoformat())
    assert "bridge:is_alive" not in failing(fields)


def test_a_service_that_starts_and_beats_is_green():
    path = ("health", "subsystem_health", "processes", "bridge")
    assert failing(changed(healthy(NOW), path, {"state": "starting"})) == set()


@pytest.mark.parametrize("error", [ValueError("x"), TypeError("x"), KeyError("x")])
def test_a_journal_that_cannot_be_verified_does_not_hold(monkeypatch, error):
    def fails(_):
        raise error

    monkeypatch.setattr(snapshot, "check", fails)
    found = snapshot._verified(Settings(), "BLUE")
    assert not found.ok
    assert type(error).__name__ in found.first_break


def ticks(*looks):
    """Return what each of (seconds, fields) reports, in turn, as (assets, checks)."""
    memory, told = Memory(), []
    for seconds, fields in looks:
        found = verdicts(RULES, snapshot_of(fields))
        one = report(ASSETS, found, memory, NOW + timedelta(seconds=seconds))
        memory = checks.remembered(msgspec.json.encode(one.memory).decode(), Memory)
        told.append((one.assets, [":".join(key) for key in one.due]))
    return told


def test_events_are_written_on_change_and_refreshed_now_and_then():
    well = healthy(NOW)
    broken = changed(well, ("states", "BLUE"), None)
    refresh_s = checks.REFRESH.total_seconds()
    first, calm, red, refreshed = ticks((0, well), (15, well), (30, broken), (refresh_s, broken))
    assert (first[0], set(first[1])) == (ASSETS, EVERYTHING)
    assert calm == ([], [])
    assert red == ([], ["trader_BLUE:state_holds", "trader_BLUE:positions_are_priced"])
    assert (refreshed[0], set(refreshed[1])) == (ASSETS, EVERYTHING)


def test_another_reason_is_told_and_another_age_is_not():
    halted = changed(healthy(NOW), ("safety", "posture"), "HALTED")
    closing = changed(halted, ("safety", "posture"), "CLOSE_ONLY")
    older = changed(closing, ("safety", "ts"), (NOW - timedelta(seconds=5)).isoformat())
    _, second, third = ticks((0, halted), (15, closing), (30, older))
    assert (second, third) == (([], ["safety:may_trade"]), ([], []))


def test_an_asset_is_shown_before_its_checks():
    found = verdicts(RULES, Snapshot(**healthy(NOW)))
    kinds = [type(e).__name__ for e in events(report(ASSETS, found, Memory(), NOW), found)]
    assert kinds == ["AssetMaterialization"] * len(ASSETS) + ["AssetCheckEvaluation"] * len(RULES)


def test_a_cursor_of_another_shape_is_begun_anew():
    assert checks.remembered('{"shown": 3}', Memory) == Memory()
    assert checks.remembered(None, Memory) == Memory()
