"""What Dagster's side tells: on change, on recovery, never twice, never a blip."""

import time
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.freshness import (
    FreshnessState,
    FreshnessStateRecord,
    FreshnessStateRecordBody,
)
from dagster._core.events import DagsterEvent

from dolphin_dagster.definitions import build_definitions
from dolphin_dagster.resources import Stack
from dolphin_dagster.watch import sensor as alerting
from dolphin_dagster.watch.red_checks import Bad
from dolphin_dagster.watch.runs import runs_failed, runs_recovered, works_of
from dolphin_dagster.watch.sensor import decide
from dolphin_realtime.config.loading import load
from dolphin_realtime.runtime.alert_log import Alert, read_alerts, standing, write_alert

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


def by_hand(*assets, status=dg.DagsterRunStatus.SUCCESS, **tags):
    keys = frozenset(map(dg.AssetKey, assets))
    return dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=keys, status=status, tags=tags)


DAY = {"dagster/partition": "2025-05-12"}


def test_a_materialize_by_hand_is_the_same_work_as_the_job():
    job = dg.DagsterRun(job_name="daily_backtest_job", tags=DAY)
    assert works_of(job) == works_of(by_hand("daily_backtest", **DAY)) == {"daily_backtest 2025-05-12"}  # fmt: skip


def test_factors_in_a_run_of_many_tell_of_themselves():
    assert works_of(by_hand("vix", "calendar_factors")) == {"calendar_factors"}


def test_a_trial_is_nobodys_work():
    config = {"ops": {"daily_backtest": {"config": {"parameters": {"s_in": "1"}}}}}
    tried = dg.DagsterRun(job_name="daily_backtest_job", tags=DAY, run_config=config)
    assert works_of(tried) == set()


class Runs:
    """Runs of a work on a real instance, as the two sensors are told of them."""

    def __init__(self, home, instance):
        self.home, self.instance, self.stack = home, instance, Stack(home=str(home))

    def begin(self, name="daily_backtest_job", **tags):
        @dg.job(name=name)
        def nothing():
            pass

        return self.instance.create_run_for_job(nothing, tags=tags or DAY)

    def fail(self, run):
        self.instance.report_run_failed(run)
        return self.instance.get_run_by_id(run.run_id)

    def succeed(self, run):
        self.instance.handle_new_event(finished(run))
        return self.instance.get_run_by_id(run.run_id)

    def tell_failed(self, run):
        self._tell(runs_failed, run, dg.DagsterEventType.RUN_FAILURE, "for_run_failure")

    def tell_succeeded(self, run):
        self._tell(runs_recovered, run, dg.DagsterEventType.RUN_SUCCESS, None)

    def _tell(self, sensor, run, kind, turn):
        event = DagsterEvent(event_type_value=kind.value, job_name=run.job_name)
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name, dagster_event=event, dagster_instance=self.instance,
            dagster_run=run, resources={"stack": self.stack},
        )  # fmt: skip
        sensor(getattr(context, turn)() if turn else context)

    def states(self):
        return [(a.asset, a.state) for a in read_alerts(self.home) if a.check == "run"]


@pytest.fixture
def runs(tmp_path):
    with dg.instance_for_test() as instance:
        yield Runs(tmp_path, instance)


RED, WELL = ("daily_backtest 2025-05-12", "red"), ("daily_backtest 2025-05-12", "recovered")


def test_a_failed_run_is_told_once_and_ends_with_the_next_success(runs):
    first, second = runs.fail(runs.begin()), runs.fail(runs.begin())
    runs.tell_failed(first)
    runs.tell_failed(second)
    assert runs.states() == [RED]
    other = runs.succeed(runs.begin(**{"dagster/partition": "2025-05-13"}))
    runs.tell_succeeded(other)
    assert runs.states() == [RED]
    runs.tell_succeeded(runs.succeed(runs.begin()))
    assert runs.states() == [RED, WELL]


def test_sensors_that_are_told_in_another_order_leave_nothing_red(runs):
    """The two sensors have ticks of their own: a retry's success may come before its failure."""
    bad = runs.fail(runs.begin())
    time.sleep(0.01)
    good = runs.succeed(runs.begin())
    runs.tell_succeeded(good)
    runs.tell_failed(bad)
    assert runs.states() == []


def test_a_success_of_before_a_failure_ends_nothing(runs):
    good = runs.succeed(runs.begin())
    time.sleep(0.01)
    runs.tell_failed(runs.fail(runs.begin()))
    runs.tell_succeeded(good)
    assert runs.states() == [RED]


def look(instance, repository, home, cursor):
    """Let the sensor look once, at a stack's home."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
    return alerting.alerts(context, stack=Stack(home=str(home)))


@pytest.fixture
def stack(tmp_path, monkeypatch):
    for name, value in (
        ("HOME", tmp_path),
        ("INSTANCES", "BLUE,GREEN"),
        ("ARCHIVE_FIRST_DAY", "2025-05-12"),
    ):
        monkeypatch.setenv(f"DOLPHIN_{name}", str(value))
    repository = build_definitions(load()).get_repository_def()
    with dg.instance_for_test() as instance:

        def tick(cursor):
            found = look(instance, repository, tmp_path, cursor)
            for event in found.asset_events:
                instance.report_runless_asset_event(event)
            return found.cursor

        def report(passed, severity=dg.AssetCheckSeverity.ERROR):
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey("bridge"), check_name="is_alive", passed=passed,
                    severity=severity, metadata={} if passed else {"why": "it was stopped"},
                )
            )  # fmt: skip

        yield tmp_path, instance, tick, report


def test_the_sensor_tells_of_a_check_on_a_real_instance(stack):
    home, _, tick, report = stack
    cursor = tick(None)
    report(passed=False)
    cursor = tick(tick(cursor))
    (alert,) = read_alerts(home)
    assert (alert.asset, alert.check, alert.state) == ("bridge", "is_alive", "red")
    assert alert.facts == {"why": "it was stopped"}
    assert alert.runbook == "docs/runbook.md#bridge-is_alive"
    report(passed=True)
    tick(cursor)
    assert [a.state for a in read_alerts(home)] == ["red", "recovered"]


def test_the_light_names_what_is_red_and_is_green_again(stack):
    _, instance, tick, report = stack
    key = dg.AssetCheckKey(dg.AssetKey("stack_health"), "nothing_is_red")

    def light():
        (record,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).values()  # fmt: skip
        return record.event.dagster_event.asset_check_evaluation_data

    cursor = tick(None)
    assert light().passed
    report(passed=False)
    cursor = tick(tick(cursor))
    assert not light().passed
    assert light().metadata["why"].value.startswith("bridge is_alive since ")
    assert "docs/runbook.md#bridge-is_alive" in light().metadata["table"].value
    report(passed=True)
    tick(cursor)
    assert light().passed


def test_of_two_days_that_end_between_two_looks_both_are_seen(stack):
    """BLUE's red result is not hidden by GREEN's good one that came after it."""
    home, instance, tick, _ = stack
    cursor = tick(None)

    def report(partition, passed):
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("paper_report"), check_name="journal_holds", passed=passed,
                metadata={"why": "a row"}, partition=partition,
            )
        )  # fmt: skip

    report("2025-05-12|BLUE", passed=False)
    report("2025-05-12|GREEN", passed=True)
    cursor = tick(cursor)
    assert [(a.asset, a.state) for a in read_alerts(home)] == [("paper_report 2025-05-12|BLUE", "red")]  # fmt: skip
    tick(cursor)
    assert len(read_alerts(home)) == 1


def test_overdue_work_is_told(stack, monkeypatch):
    home, instance, tick, _ = stack
    state = FreshnessStateRecord(
        entity_key=dg.AssetKey("paper_report"), freshness_state=FreshnessState.FAIL, updated_at=NOW,
        record_body=FreshnessStateRecordBody(metadata={}),
    )  # fmt: skip
    monkeypatch.setattr(
        type(instance), "get_freshness_state_records", lambda *_: {state.entity_key: state}
    )
    tick(tick(None))
    (alert,) = read_alerts(home)
    assert (alert.asset, alert.check) == ("paper_report", "deadline")


def test_a_warning_is_not_an_alert(stack):
    home, _, tick, report = stack
    report(passed=False, severity=dg.AssetCheckSeverity.WARN)
    tick(tick(tick(None)))
    assert read_alerts(home) == []


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


def test_what_an_instance_left_behind_ends_with_it(stack):
    """GREEN was removed: nothing will ever judge it again, so its alerts are over."""
    home, _, tick, _ = stack
    for asset, check in (
        ("trader_GOLD", "state_holds"),
        ("paper_report 2025-05-12|GOLD", "journal_holds"),
    ):
        write_alert(home, Alert(ts=NOW, asset=asset, check=check, state="red", facts={}, runbook="x"))  # fmt: skip
    tick(None)
    assert standing(read_alerts(home)) == {}
