"""Two runs of an asset that end in another order than they were asked for."""

import asyncio

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.loader import LoadingContextForTest

from dolphin_dagster.instance.superseded_checks import checks_overtaken, overtaken

KEY = dg.AssetCheckKey(dg.AssetKey("factor"), "fine")


@dg.asset(check_specs=[dg.AssetCheckSpec("fine", asset="factor")])
def factor(context):
    yield dg.MaterializeResult()
    passed = context.run.tags["finds"] == "good"
    yield dg.AssetCheckResult(passed=passed, metadata={"number": 7})


JOB = dg.define_asset_job("factor_job", selection=["factor"])
DEFINITIONS = dg.Definitions(
    assets=[factor], jobs=[JOB], sensors=[checks_overtaken], executor=dg.in_process_executor
)


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def asked(instance, finds="good"):
    """Return a run that is asked for: what it will check is on record from now on."""
    job = DEFINITIONS.resolve_job_def("factor_job")
    return instance.create_run_for_job(job, tags={"finds": finds})


def end(instance, run):
    job = InMemoryJob(DEFINITIONS.resolve_job_def("factor_job"))
    assert execute_run(job, run, instance).success


def shown(instance):
    """Return the result that the UI shows, None for "Not evaluated"."""
    (record,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([KEY]).values()
    is_shown = asyncio.run(record.targets_latest_materialization(LoadingContextForTest(instance)))
    return record.event.dagster_event.asset_check_evaluation_data if is_shown else None


def tell_again(instance):
    told = list(overtaken(instance, [KEY]))
    for event in told:
        instance.report_runless_asset_event(event)
    return len(told)


@pytest.mark.parametrize("finds", ["good", "bad"])
def test_what_the_last_to_end_found_is_told_again(instance, finds):
    first, second = asked(instance, finds), asked(instance)
    end(instance, second)
    assert tell_again(instance) == 0
    end(instance, first)
    assert shown(instance) is None
    assert tell_again(instance) == 1
    result = shown(instance)
    assert result.passed == (finds == "good")
    assert result.metadata["number"].value == 7
    assert result.metadata["told_again_from"].value == first.run_id
    assert tell_again(instance) == 0


def test_a_result_that_was_told_between_start_and_end_of_a_run_is_told_again(instance):
    run = asked(instance)
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=KEY.asset_key, check_name=KEY.name, passed=False)
    )
    end(instance, run)
    assert shown(instance) is None
    assert tell_again(instance) == 1
    assert shown(instance).passed


def test_a_run_that_was_cancelled_before_hides_nothing(instance):
    first, second = asked(instance, "bad"), asked(instance)
    instance.report_run_canceled(second)
    end(instance, first)
    assert tell_again(instance) == 1
    assert not shown(instance).passed
    assert tell_again(instance) == 0


def test_a_run_that_was_cancelled_after_is_shown(instance):
    first, second = asked(instance), asked(instance)
    end(instance, first)
    assert tell_again(instance) == 0
    instance.report_run_canceled(second)
    assert tell_again(instance) == 0


def test_runs_in_order_are_let_be(instance):
    for _ in range(2):
        end(instance, asked(instance))
        assert tell_again(instance) == 0
    asked(instance)
    assert tell_again(instance) == 0


def test_what_a_sensor_reports_is_its_own_to_tell(instance):
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=KEY.asset_key, check_name=KEY.name, passed=True)
    )
    end(instance, asked(instance))
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY.asset_key))
    assert shown(instance) is None
    assert tell_again(instance) == 0


def test_the_sensor_says_what_it_told(instance):
    def tick():
        repository = DEFINITIONS.get_repository_def()
        return checks_overtaken(
            dg.build_sensor_context(instance=instance, repository_def=repository)
        )

    assert tick().skip_reason.skip_message == "none was overtaken"
    first, second = asked(instance), asked(instance)
    end(instance, second)
    end(instance, first)
    result = tick()
    assert [event.check_name for event in result.asset_events] == ["fine"]
    assert result.skip_reason.skip_message == "told again: factor:fine"
