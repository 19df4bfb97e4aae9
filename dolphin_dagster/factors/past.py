"""A factor's history: one partitioned asset for each factor, filled by backfills.

Consecutive days are fetched in one run, so that a month is one request.
Readings count from when they could be known, and are marked as backfilled.
"""

import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import dagster as dg

from dolphin_dagster.daily.partitions import days_since, first_day
from dolphin_dagster.factors.ask import Observation
from dolphin_dagster.factors.indicator import History, Indicator
from dolphin_dagster.factors.publish import backfilled
from dolphin_dagster.factors.stack import FactorStack
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job
from dolphin_dagster.resources import Grid, Stack
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.factors.source_memory import wall_now
from dolphin_realtime.factors.store import append
from dolphin_realtime.model.errors import GridError, SourceError, SourceFormatChanged

DAYS_A_RUN: Final = 31
LEAD_DAYS: Final = 31
"""The trailing percentiles of the first archived day need the factors of the month before."""
MAX_RUNTIME_S: Final = 600
HOLES_SHOWN: Final = 10


def factor_days(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Return the days of the factors' history: from a month before the first archived one."""
    first = date.fromisoformat(first_day(settings)) - timedelta(days=LEAD_DAYS)
    return days_since(first.isoformat(), settings)


def fill(
    indicator: Indicator, past: History, first: datetime, last: datetime, stack: FactorStack
) -> dict[str, Any]:
    """Fetch and store the readings of [first, last), and return the run's metadata.

    Raises:
        dg.Failure: If the source fails, or has no reading of a day that should have one.
    """
    try:
        ask = stack.ask(indicator)
        found = past.fetch(ask, first, last)
        rows = backfilled(indicator, found, past.lifetime, wall_now(), ask.simulated)
    except (SourceError, GridError) as e:
        may_retry = not isinstance(e, SourceFormatChanged)
        raise dg.Failure(f"{type(e).__name__}: {e}", allow_retries=may_retry) from e
    new = append(stack.settings.factors, rows)
    days = [first.date() + timedelta(days=n) for n in range((last - first).days)]
    lack = holes(found, [day for day in days if past.is_due(day)], past.tells)
    if lack:
        raise dg.Failure(
            f"{indicator.host}{indicator.path} has nothing of {', '.join(lack[:HOLES_SHOWN])}",
            allow_retries=False,
        )
    return {
        "dagster/row_count": len(rows),
        "new": new,
        "days": len(days),
        "path": dg.MetadataValue.path(str(stack.settings.factors)),
        "simulated": ask.simulated or "no",
    }


def holes(
    found: Sequence[Observation], days: Sequence[date], tells: Sequence[str] = ()
) -> list[str]:
    """Return the days on which a factor has no reading, by factor and asset.

    Args:
        found: What the source returned.
        days: Days that should have readings.
        tells: Whole-market factors that should be there. Single assets are checked from their
            first day on: they were listed then.
    """
    have: dict[tuple[str, str | None], set[date]] = {(name, None): set() for name in tells}
    for one in found:
        have.setdefault((one.name, one.asset), set()).add(one.event_time.date())
    if not have:
        return [day.isoformat() for day in days]
    return [
        f"{asset or name} on {day.isoformat()}"
        for (name, asset), known in have.items()
        for day in days
        if day not in known and (asset is None or day > min(known))
    ]


def history_asset(
    indicator: Indicator, past: History, settings: Settings
) -> tuple[dg.AssetsDefinition, Any]:
    """Return the asset of a factor's history and its job; one run fills several days."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of backfill_policy, in 1.13
        asset = _asset(indicator, past, settings)
    job = asset_job(
        history_name(indicator),
        pools.HISTORY,
        MAX_RUNTIME_S,
        f"Fill days of {indicator.name} from {indicator.host}.",
    )
    return asset, job


def history_name(indicator: Indicator) -> str:
    """Return the key of the asset of a factor's history."""
    return f"{indicator.name}_history"


def _asset(indicator: Indicator, past: History, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        name=history_name(indicator),
        group_name="archive",
        pool=pools.HISTORY,
        partitions_def=factor_days(settings),
        backfill_policy=dg.BackfillPolicy.multi_run(DAYS_A_RUN),
        owners=["team:dolphin"],
        kinds={"parquet"},
        retry_policy=dg.RetryPolicy(max_retries=1, delay=5.0),
        description=(
            f"{past.means}\n\nAppended to `factors/<day>.parquet`, each reading once; known from "
            "when it could be known, marked as backfilled."
        ),
    )
    def asset(
        context: dg.AssetExecutionContext, stack: Stack, grid: Grid
    ) -> dg.MaterializeResult[None]:
        window = context.partition_time_window
        first, last = window.start.astimezone(UTC), window.end.astimezone(UTC)
        return dg.MaterializeResult(
            metadata=fill(indicator, past, first, last, FactorStack(stack, grid))
        )

    return asset
