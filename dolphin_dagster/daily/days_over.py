"""The sensor that tells Dagster which days are over, and notices products that are gone.

It reports each input's partition with a data version when it is new or changed; what follows from
that is decided by automation conditions (conditions.py). What was made and is no longer as it was
made (a file removed or replaced by hand) is requested again, once an hour until it is there.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final

import dagster as dg

from dolphin_dagster.checks import EVALUATED
from dolphin_dagster.daily.conditions import JOBS
from dolphin_dagster.daily.inputs import ARCHIVED, CLOSED, Input, inputs_over
from dolphin_dagster.daily.partitions import scan_days
from dolphin_dagster.daily.products import Product, is_as_made, products
from dolphin_dagster.daily.scan_archive import BLOCKING
from dolphin_dagster.daily.scan_archive import NAME as SCAN_ARCHIVE
from dolphin_dagster.instance.jobs import PARTITION_TAG, WAITING, assets_of
from dolphin_dagster.resources import Stack

NAME: Final = "days_over"
INTERVAL_S: Final = 30
CAUSE_TAG: Final = "dolphin/cause"
VERSION_TAG: Final = "dagster/data_version"
CONSTANT: Final = (ARCHIVED, CLOSED)
"""Versions that say only that a partition is there."""


def digest(found: Iterable[Input]) -> str:
    """Return a short text that differs where any input differs."""
    text = "\n".join(sorted(f"{i.asset} {i.partition} {i.version}" for i in found))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def changed(instance: dg.DagsterInstance, found: Iterable[Input]) -> Iterator[Input]:
    """Yield the inputs that the storage does not know, or knows in another version."""
    known = _known(instance)
    for one in found:
        is_known = one.partition in known(one.asset)
        if is_known and (one.version in CONSTANT or _version(instance, one) == one.version):
            continue
        yield one


def _known(instance: dg.DagsterInstance) -> Callable[[str], set[str]]:
    """Return what says which partitions of an asset were materialized; each asset is asked once."""
    return cache(lambda asset: instance.get_materialized_partitions(dg.AssetKey(asset)))


def _version(instance: dg.DagsterInstance, one: Input) -> str | None:
    """Return the version last reported of an input's partition."""
    latest = latest_of(instance, one.asset, one.partition)
    return latest.tags.get(VERSION_TAG) if latest and latest.tags else None


def latest_of(
    instance: dg.DagsterInstance, asset: str, partition: str
) -> dg.AssetMaterialization | None:
    """Return the newest materialization of a partition, None if there is none."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition])
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0].asset_materialization if records else None


def event(one: Input) -> dg.AssetMaterialization:
    """Return the event that reports an input: conditions see no observation of external assets."""
    return dg.AssetMaterialization(
        one.asset,
        partition=one.partition,
        metadata={"seen": one.version},
        tags={VERSION_TAG: one.version},
    )


def gone(instance: dg.DagsterInstance, wanted: Iterable[Product]) -> Iterator[Product]:
    """Yield what Dagster knows as made and is not there, or not as it was made."""
    known = _known(instance)
    for one in wanted:
        if one.partition not in known(one.asset):
            continue
        latest = latest_of(instance, one.asset, one.partition) if one.is_measured else None
        if not is_as_made(one, latest):
            yield one


def unjudged(instance: dg.DagsterInstance, wanted: Iterable[Product]) -> Iterator[Product]:
    """Yield archives whose blocking checks belong to an older run than the newest.

    Two runs of a day may end in another order than they were requested: Dagster then takes neither's
    results for the archive, and nothing would ever follow.
    """
    days = {one.partition: one for one in wanted if one.asset == SCAN_ARCHIVE and one.is_measured}
    keys = [dg.AssetCheckKey(dg.AssetKey(SCAN_ARCHIVE), name) for name in BLOCKING]
    infos = instance.event_log_storage.get_asset_check_partition_info(
        keys, partition_keys=list(days)
    )
    late = {
        info.partition_key
        for info in infos
        if not info.is_current and info.latest_execution_status in EVALUATED
    }
    yield from (one for day, one in days.items() if day in late)


def requests(
    instance: dg.DagsterInstance, lost: Iterable[Product], now: datetime
) -> list[dg.RunRequest]:
    """Return a request for each lost product that no run is making."""
    making = {
        (name, run.tags.get(PARTITION_TAG))
        for run in instance.get_runs(dg.RunsFilter(statuses=list(WAITING)))
        for name in assets_of(run)
    }
    return [
        dg.RunRequest(
            run_key=f"{one.asset}-{one.partition}-{now:%Y-%m-%dT%H}",
            partition_key=one.partition,
            job_name=JOBS[one.asset].name,
            tags={CAUSE_TAG: f"{one.path.name} or what it is made of is not as it was"},
        )
        for one in lost
        if (one.asset, one.partition) not in making
    ]


@dg.sensor(
    name=NAME,
    jobs=list(JOBS.values()),
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Reports the days that are over (`scan_files`, `book_files`, `trading_days`), again when late "
        "files came, and requests what was made and is gone from the disk."
    ),
)
def days_over(context: dg.SensorEvaluationContext, stack: Stack) -> dg.SensorResult:
    """Look at the local disk once."""
    settings, now = stack.settings, datetime.now(UTC)
    days = set(scan_days(settings).get_partition_keys())
    found = [one for one in inputs_over(settings) if one.partition.split("|")[0] in days]
    state = digest(found)
    new = list(changed(context.instance, found)) if state != context.cursor else []
    newest = date.fromisoformat(max(days, default=now.date().isoformat()))
    kept_from = newest - timedelta(days=settings.report_days) if settings.report_days else date.min
    wanted = list(products(settings, kept_from.isoformat()))
    lost = [*gone(context.instance, wanted), *unjudged(context.instance, wanted)]
    asked = requests(context.instance, lost, now)
    said = f"{len(new)} inputs are new or changed; {len(asked)} products are made again"
    return dg.SensorResult(
        asset_events=[event(one) for one in new],
        run_requests=asked,
        cursor=state,
        skip_reason=None if asked else dg.SkipReason(said),
    )
