"""What runs next, as automation conditions; the evaluation history of each asset says why, or why not.

Three rules make a product follow from its inputs: it is made when it is missing, again when an
input was updated since it was last requested, and again, once an hour, when its last run failed.
It waits while an input is missing or being made, and while a blocking check of an input's partition
is red. A condition says what follows; that a day is over is told by days_over.py.
"""

from typing import Final

import dagster as dg

from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job

AC = dg.AutomationCondition
INTERVAL_S: Final = 15
ARCHIVE_S: Final = 1800
BACKTEST_S: Final = 1800
REPORT_S: Final = 900

JOBS: Final = {
    name: asset_job(name, pool, max_runtime_s, means)
    for name, pool, max_runtime_s, means in (
        ("scan_archive", pools.SCAN, ARCHIVE_S, "Write a day's scan archive."),
        ("orderbook_archive", pools.OBF, ARCHIVE_S, "Write a day's archive of order books."),
        ("daily_backtest", pools.BACKTESTS, BACKTEST_S, "Backtest an archived day."),
        ("backtest_vs_paper", pools.BACKTESTS, BACKTEST_S, "Set a paper day beside its backtest."),
        ("paper_report", pools.DOLPHIN, REPORT_S, "Report a day of paper trading."),
        ("weekly_summary", pools.DOLPHIN, REPORT_S, "Sum up a week."),
    )
}
"""A job for each product of the daily work, for the Launchpad and for what is made again."""

BOOKS: Final = dg.AssetSelection.assets("orderbook_archive")
REPORTS: Final = dg.AssetSelection.assets("paper_report")
COMPARISONS: Final = dg.AssetSelection.assets("backtest_vs_paper")

_RETRY_HOURLY: Final = AC.execution_failed() & AC.cron_tick_passed("0 * * * *")
_IS_RED: Final = AC.any_checks_match(AC.check_failed(), blocking_only=True)
_UPDATED: Final = AC.any_deps_updated().since(AC.newly_requested())
"""An update that comes in the seconds between a request and the next look counts as known to it: its
run starts later than that. The other choices ask twice for what was made once (docs/adr/0018)."""
_WANTED: Final = (
    (AC.missing() & ~AC.execution_failed()).with_label("it was never made")
    | _UPDATED.with_label("an input was updated since")
    | (_RETRY_HOURLY & ~_IS_RED).with_label("its last run failed: once an hour")
)
_ENDS: Final = (~AC.in_progress()).newly_true()
_IS_QUIET: Final = (
    ~AC.any_deps_in_progress()
    & ~AC.in_progress()
    & ~AC.newly_requested()
    & ~_ENDS
    & ~AC.any_deps_match(_ENDS)
).with_label("neither it nor an input is being made")
"""Nor was at the last look: what is there is read before what is under way, so that a run that ends
in between looks as if it had made nothing."""
_COMES: Final = AC.missing() & ~AC.execution_failed() & ~AC.any_deps_missing()
"""Of an input: it is not there yet, and will be."""

FOLLOWS: Final = (
    _IS_QUIET & _WANTED & ~AC.any_deps_missing() & AC.all_deps_blocking_checks_passed()
).with_label("follows its inputs")
"""Of archives and reports: everything they are made from is needed."""

FOLLOWS_ARCHIVES: Final = (
    _IS_QUIET
    & _WANTED
    & ~AC.any_deps_missing().ignore(BOOKS)
    & ~AC.any_deps_match(_COMES)
    .allow(BOOKS)
    .with_label("books of that day are still to be archived")
    & AC.all_deps_blocking_checks_passed()
).with_label("follows its archives")
"""Of backtests: order books are used if some were recorded that day."""

_COMPARISON_COMES: Final = (
    AC.missing()
    & ~AC.execution_failed()
    & ~AC.any_deps_match(AC.missing() & ~_COMES).ignore(BOOKS)
    & ~AC.any_deps_match(_IS_RED)
)
"""Of a comparison; checks of an archive that is still to be made have no result yet."""


def follows_its_days(*, is_open_ended: bool) -> dg.AutomationCondition[dg.AssetKey]:
    """Return the condition of a week: made once its days are reported and compared.

    Days without trading are not waited for. While partitions go on with the calendar
    (``is_open_ended``), the current week is never made by itself.
    """
    waits = AC.any_deps_match(_COMES).allow(REPORTS) | AC.any_deps_match(_COMPARISON_COMES).allow(
        COMPARISONS
    )
    found = (
        _IS_QUIET
        & _WANTED
        & AC.any_deps_match(~AC.missing()).allow(REPORTS).with_label("a day was reported")
        & ~waits.with_label("a report or comparison is still to come")
    )
    return (
        found & ~AC.in_latest_time_window().with_label("the week goes on")
        if is_open_ended
        else found
    ).with_label("follows its days")


def _sensor(name: str, pool: str, max_runtime_s: int, *assets: str) -> dg.SensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        name,
        target=dg.AssetSelection.assets(*assets),
        run_tags=pools.tags(pool, max_runtime_s),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=INTERVAL_S,
        emit_backfills=False,
        description=f"Evaluates the automation conditions of {', '.join(assets)}.",
    )


SENSORS: Final = [
    _sensor("archives_follow", pools.SCAN, ARCHIVE_S, "scan_archive"),
    _sensor("books_follow", pools.OBF, ARCHIVE_S, "orderbook_archive"),
    _sensor("backtests_follow", pools.BACKTESTS, BACKTEST_S, "daily_backtest", "backtest_vs_paper"),
    _sensor("reports_follow", pools.DOLPHIN, REPORT_S, "paper_report", "weekly_summary"),
]
"""One for each tier: a run of a condition has the tags of its sensor. No backfills are made of
several days: their runs would wait in one line behind a backfill that a person started."""
