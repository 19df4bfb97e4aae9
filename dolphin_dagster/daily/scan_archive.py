"""The scan archive: a day's scan files as one sorted, deduplicated Parquet file, and its checks.

The asset and its checks belong here; merging and the file's layout belong in
dolphin_realtime/scans. A day can be materialized again when more scans came: what the
archive already holds is kept.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.daily.conditions import FOLLOWS
from dolphin_dagster.daily.inputs import newest_day
from dolphin_dagster.daily.partitions import NIGHTLY, deadline, scan_days
from dolphin_dagster.daily.products import BYTES
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.code import code_version
from dolphin_dagster.instance.jobs import asset_job, schedule_of
from dolphin_dagster.realtime.assets import SCAN_FILES
from dolphin_dagster.resources import Stack
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.scans.archive import ARCHIVE_SCHEMA, read_simulated
from dolphin_realtime.scans.day_facts import DayFacts, read_facts
from dolphin_realtime.scans.merge import Merged, merge_day
from dolphin_realtime.scans.retention import clear, clear_books
from dolphin_realtime.scans.share_lock import share_lock

NAME: Final = "scan_archive"
GROUP: Final = "archive"
MIN_COVERAGE: Final = 0.95
MAX_CHURN: Final = 0.1
SHOWN: Final = 20
BLOCKING: Final = ("gaps_are_on_record", "eigenvalues_are_coherent", "has_its_scans")


def _checks(settings: Settings) -> list[dg.AssetCheckSpec]:
    """Return the checks, by day: three of them keep a bad day from being backtested."""
    days = scan_days(settings)
    means = {
        "gaps_are_on_record":
            "No span over 3 cadences without a scan, save where NG6 restarted or files were left out.",
        "eigenvalues_are_coherent":
            "Every scan has one eigenvalue an asset, and they sum to the number of assets.",
        "has_its_scans":
            f"At least {MIN_COVERAGE:.0%} of the scans expected so far at the day's cadence.",
        "assets_stay": f"At most {MAX_CHURN:.0%} of the assets came or went within the day.",
    }  # fmt: skip
    return [
        checks.spec(NAME, name, text, days=days, is_blocking=name in BLOCKING)
        for name, text in means.items()
    ]


def _columns() -> dg.TableSchema:
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, str(field.type)) for field in ARCHIVE_SCHEMA]
    )


def make_scan_archive(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by the days that the settings name."""

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        pool=pools.SCAN,
        partitions_def=scan_days(settings),
        owners=["team:dolphin"],
        kinds={"parquet", "arrow"},
        deps=[SCAN_FILES],
        automation_condition=FOLLOWS,
        code_version=code_version("scans"),
        freshness_policy=deadline(settings),
        check_specs=_checks(settings),
        description=(
            "One day's scans, sorted by time, each once, in `archive/<day>.parquet`. "
            "Materialize a day again when more scans have come; nothing archived is lost."
        ),
        metadata={
            "dagster/column_schema": _columns(),
            "dagster/uri": settings.archive.absolute().as_uri(),
        },
    )
    def scan_archive(
        context: dg.AssetExecutionContext, stack: Stack
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Write the day's archive and check it."""
        now = stack.settings
        day = context.partition_key
        path = now.archive / f"{day}.parquet"
        with share_lock(now.run_dir):
            merged = merge_day(now.scans / day, path)
        if not merged.rows:
            raise dg.Failure(f"no scan of {day} in {now.scans / day} and none in {path}")
        facts = read_facts(path)
        yield dg.MaterializeResult(metadata=archive_metadata(facts, path, merged))
        yield from judge(facts, is_over=day < newest_day(now))

    return scan_archive


def archive_metadata(facts: DayFacts, path: Path, merged: Merged) -> dict[str, Any]:
    """Return what the asset's page shows of a day."""
    return {
        "dagster/row_count": facts.rows,
        "added": merged.added,
        "left_out": len(facts.left_out),
        "unread": merged.unread,
        "assets": facts.assets,
        "epochs": facts.epochs,
        "cadence_s": facts.cadence_s,
        BYTES: path.stat().st_size,
        "first": dg.MetadataValue.timestamp(from_us(facts.first_us)),
        "last": dg.MetadataValue.timestamp(from_us(facts.last_us)),
        "path": dg.MetadataValue.path(str(path)),
        "simulated": read_simulated(path) or "no",
    }


def judge(facts: DayFacts, *, is_over: bool) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of a day's checks; of the current day, only the part so far is checked."""
    longest = max((gap.seconds for gap in facts.gaps), default=0.0)
    yield checks.result(
        NAME,
        "gaps_are_on_record",
        not facts.unexplained,
        {
            "gaps": len(facts.gaps),
            "unexplained": len(facts.unexplained),
            "longest_s": longest,
            "where": "; ".join(
                f"{from_us(g.from_us):%H:%M:%S} to {from_us(g.to_us):%H:%M:%S}: {g.cause or 'nothing on record'}"
                for g in facts.gaps[:SHOWN]
            )
            or "none",
        },
        is_error=True,
    )
    yield checks.result(
        NAME,
        "eigenvalues_are_coherent",
        facts.incoherent == 0,
        {"incoherent": facts.incoherent, "share": facts.incoherent / max(1, facts.rows)},
        is_error=True,
    )
    expected = facts.expected if is_over else facts.expected_so_far
    coverage = facts.rows / max(1, expected)
    yield checks.result(
        NAME,
        "has_its_scans",
        coverage >= MIN_COVERAGE,
        {"rows": facts.rows, "expected": expected, "coverage": coverage},
        is_error=True,
    )
    yield checks.result(
        NAME,
        "assets_stay",
        facts.churn <= MAX_CHURN,
        {
            "churn": facts.churn,
            "appeared": ", ".join(facts.appeared[:SHOWN]) or "none",
            "vanished": ", ".join(facts.vanished[:SHOWN]) or "none",
        },
    )


@dg.asset(
    name="raw_scan_retention",
    group_name=GROUP,
    freshness_policy=NIGHTLY,
    pool=pools.SCAN,
    owners=["team:dolphin"],
    kinds={"python"},
    deps=[NAME],
    description=(
        "Removes raw scans and book records older than `DOLPHIN_RAW_SCAN_DAYS`, each only after "
        "its archive was read and holds every file of it. Lists the days that had to stay."
    ),
)
def raw_scan_retention(stack: Stack) -> dg.MaterializeResult[None]:
    """Remove raw scans and book records that are archived and old."""
    now = stack.settings
    with share_lock(now.run_dir) if now.raw_scan_days else nullcontext():
        cleared = clear(now.scans, now.archive, now.raw_scan_days)
    books = clear_books(now.books, now.book_archive, now.raw_scan_days)
    return dg.MaterializeResult(
        metadata={
            "removed": len(cleared.removed),
            "kept_though_old": len(cleared.kept),
            "days_removed": ", ".join(cleared.removed) or "none",
            "why_kept": dg.MetadataValue.json(cleared.kept),
            "book_days_removed": ", ".join(books.removed) or "none",
            "why_books_kept": dg.MetadataValue.json(books.kept),
            "older_than_days": now.raw_scan_days,
        }
    )


retention_job = asset_job(
    "raw_scan_retention", pools.SCAN, 1800, "Remove raw scans that are archived and old."
)
retention_schedule = schedule_of(
    retention_job,
    "30 3 * * *",
    "Every night at 03:30 UTC: removes raw scans that are archived and old.",
)
