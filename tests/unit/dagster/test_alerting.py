"""What Dagster's side tells: on change, on recovery, never twice, never a blip."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import msgspec
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.events import DagsterEvent

from dolphin_dagster import alerting
from dolphin_dagster.alerting import Memory, decide, failed_runs, finished_since, works_of
from dolphin_dagster.definitions import build_definitions
from dolphin_dagster.red_checks import Bad
from dolphin_dagster.resources import Stack
from dolphin_realtime.config.settings import load
from dolphin_realtime.runtime.alert_log import read_alerts

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BAD = Bad("it was stopped", "docs/runbook.md#x")


def told(*looks):
    red, suspected, found = {}, [], []
    for bad in looks:
        raised, red, suspected = decide(bad, red, suspected, NOW)
        found.append([f"{a.asset} {a.check} {a.state}" for a in raised])
    return found


def test_a_check_is_told_at_the_second_look_once_and_once_when_it_is_well():
    red = {"bridge:is_alive": BAD}
    assert told(red, red, red, {}, {}) == [
        [], ["bridge is_alive red"], [], ["bridge is_alive recovered"], []
    ]  # fmt: skip


def test_a_blip_is_not_told():
    assert told({"bridge:is_alive": BAD}, {}, {"bridge:is_alive": BAD}, {}) == [[], [], [], []]


def test_a_failed_run_is_told_at_once():
    fact = Bad("it failed", "docs/runbook.md#x", is_fact=True)
    assert told({"daily_backtest 2025-05-12:run": fact}) == [["daily_backtest 2025-05-12 run red"]]


def run(name, status, run_id="1" * 8, **tags):
    return dg.DagsterRun(job_name=name, status=status, run_id=run_id, tags=tags)


def test_a_run_is_bad_until_the_same_work_succeeds():
    bad, good = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS
    day, other = ({"dagster/partition": f"2025-05-1{n}"} for n in (2, 3))
    failed = failed_runs({}, [run("scan_archive_job", bad, **day)])
    assert list(failed) == ["scan_archive 2025-05-12:run"]
    failed = failed_runs(failed, [run("scan_archive_job", good, **other)])
    assert len(failed) == 1
    assert failed_runs(failed, [run("scan_archive_job", good, **day)]) == {}


def test_a_factors_run_tells_of_itself():
    assert failed_runs({}, [run("vix_job", dg.DagsterRunStatus.FAILURE)]) == {}


def by_hand(*assets, status=dg.DagsterRunStatus.SUCCESS, **tags):
    keys = frozenset(map(dg.AssetKey, assets))
    return dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=keys, status=status, tags=tags)


def test_a_materialize_by_hand_is_the_same_work_as_the_job():
    day = {"dagster/partition": "2025-05-12"}
    bad = dg.DagsterRunStatus.FAILURE
    failed = failed_runs({}, [run("daily_backtest_job", bad, **day)])
    assert failed_runs(failed, [by_hand("daily_backtest", **day)]) == {}


def test_of_several_assets_each_is_well_by_itself():
    failed = failed_runs({}, [by_hand("a", "b", status=dg.DagsterRunStatus.FAILURE)])
    assert failed.keys() == {"a:run", "b:run"}
    assert failed_runs(failed, [by_hand("a"), by_hand("b")]) == {}


def test_factors_in_a_run_of_many_tell_of_themselves():
    assert works_of(by_hand("vix", "calendar_factors")) == {"calendar_factors"}


def look(instance, repository, home, cursor):
    """Let the sensor look once, at a stack's home."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
    return alerting.alerts(context, stack=Stack(home=str(home)))


@pytest.fixture
def stack(tmp_path, monkeypatch):
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    repository = build_definitions(load()).get_repository_def()
    with dg.instance_for_test() as instance:

        def tick(cursor):
            return look(instance, repository, tmp_path, cursor).cursor

        def report(passed, severity=dg.AssetCheckSeverity.ERROR):
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey("bridge"), check_name="is_alive", passed=passed,
                    severity=severity, metadata={} if passed else {"why": "it was stopped"},
                )
            )  # fmt: skip

        yield tmp_path, instance, tick, report


def test_the_sensor_tells_of_a_check_and_a_run_on_a_real_instance(stack):
    home, instance, tick, report = stack
    cursor = tick(None)
    report(passed=False)

    @dg.job
    def scan_archive_job():
        pass

    failing = instance.create_run_for_job(scan_archive_job)
    instance.report_run_failed(failing)
    cursor = tick(tick(cursor))
    found = {(a.asset, a.check): a for a in read_alerts(home)}
    assert {key: a.state for key, a in found.items()} == {
        ("bridge", "is_alive"): "red",
        ("scan_archive", "run"): "red",
    }
    assert found[("bridge", "is_alive")].facts == {"why": "it was stopped"}
    assert found[("bridge", "is_alive")].runbook == "docs/runbook.md#bridge-is_alive"
    report(passed=True)
    tick(cursor)
    assert [a.state for a in read_alerts(home) if a.asset == "bridge"] == ["red", "recovered"]


def test_a_warning_is_not_an_alert(stack):
    home, _, tick, report = stack
    report(passed=False, severity=dg.AssetCheckSeverity.WARN)
    tick(tick(tick(None)))
    assert read_alerts(home) == []


def test_runs_of_before_the_first_look_are_not_told(stack):
    home, instance, tick, _ = stack

    @dg.job
    def old():
        pass

    instance.report_run_failed(instance.create_run_for_job(old))
    memory = msgspec.json.decode(tick(None), type=Memory)
    assert memory.runs_until - datetime.now(UTC) < timedelta(seconds=5)
    assert read_alerts(home) == []


def test_a_run_that_failed_while_the_clock_was_ahead_is_seen_and_none_twice(stack):
    _, instance, _, _ = stack

    @dg.job
    def late():
        pass

    now = datetime.now(UTC)
    ahead = Memory(runs_until=now + timedelta(hours=1))
    instance.report_run_failed(instance.create_run_for_job(late))
    found, until, known = finished_since(instance, ahead, now)
    assert [r.job_name for r in found] == ["late"]
    again, _, _ = finished_since(instance, Memory(runs_until=until, runs_known=known), now)
    assert again == []


def test_a_state_of_a_sensor_that_is_no_more_is_passed_over(stack):
    _, instance, _, _ = stack
    assert alerting.failing_ticks(instance, known=[], red={}) == {}


def planned(instance):
    """Store what Dagster stores when a run that will evaluate a check is created."""
    key = dg.AssetKey("bridge")
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
        job_name="any",
        event_specific_data=AssetCheckEvaluationPlanned(asset_key=key, check_name="is_alive"),
    )
    instance.report_dagster_event(event, run_id="22222222-2222-4222-8222-222222222222")


def test_a_check_that_is_being_evaluated_is_as_it_was_told(stack):
    home, instance, tick, report = stack
    planned(instance)
    cursor = tick(None)
    report(passed=False)
    cursor = tick(tick(cursor))
    planned(instance)
    cursor = tick(cursor)
    assert [a.state for a in read_alerts(home)] == ["red"]
    report(passed=True)
    tick(cursor)
    assert [a.state for a in read_alerts(home)] == ["red", "recovered"]


def finished(run):
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name=run.job_name
    )
    return dg.EventLogEntry(
        error_info=None, level="info", user_message="", run_id=run.run_id,
        timestamp=datetime.now(UTC).timestamp(), dagster_event=event,
    )  # fmt: skip
