"""Days that are due are asked for once: not again while their run waits or works."""

import dagster as dg

from dolphin_dagster.daily.days_due import _asked


@dg.job
def daily_backtest_job():
    pass


def test_what_waits_or_works_is_not_asked_for_again():
    due = [dg.RunRequest(partition_key=day, run_key=day) for day in ("2025-05-12", "2025-05-13")]
    with dg.instance_for_test() as instance:
        context = dg.build_sensor_context(instance=instance)
        assert len(_asked(context, due, "none").run_requests) == 2
        for status, day in zip(("STARTED", "NOT_STARTED"), due, strict=True):
            instance.create_run_for_job(
                daily_backtest_job,
                status=dg.DagsterRunStatus(status),
                tags={"dagster/partition": day.partition_key},
            )
        again = _asked(context, due, "none")
        assert again.run_requests == []
        assert again.skip_reason.skip_message == "all 2 that are due are under way"
        assert _asked(context, [], "none").skip_reason.skip_message == "none"
