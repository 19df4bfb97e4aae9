"""The order-book archive: a day's recorded book features as one Parquet file, and its checks.

The asset belongs here, the columns belong in dolphin_realtime/books/archive.py. The order-book
service records the best levels and features every few seconds of market time.
"""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.daily.conditions import FOLLOWS
from dolphin_dagster.daily.inputs import BOOK_FILES
from dolphin_dagster.daily.partitions import deadline, scan_days
from dolphin_dagster.daily.products import BYTES
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.code import code_version
from dolphin_dagster.resources import Stack
from dolphin_realtime.books.archive import SCHEMA, BookFacts, archive_books
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.instant import from_us

NAME: Final = "orderbook_archive"
SHOWN: Final = 20
CHECKS: Final = [
    checks.spec(NAME, "has_no_gap", "No span over 3 cadences between two records of the books."),
    checks.spec(NAME, "is_not_crossed", "No book whose best bid is at or above its best ask."),
]  # fmt: skip


def make_orderbook_archive(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset, partitioned by the days that the settings name."""

    @dg.asset(
        name=NAME,
        group_name="archive",
        pool=pools.OBF,
        partitions_def=scan_days(settings),
        deps=[BOOK_FILES],
        automation_condition=FOLLOWS,
        code_version=code_version("books"),
        freshness_policy=deadline(settings) if settings.orderbook_ws else None,
        owners=["team:dolphin"],
        kinds={"parquet"},
        check_specs=CHECKS,
        description=(
            "One day's order-book features by asset in `book_archive/<day>.parquet`, as the "
            "order-book service recorded them. A backtest's order-book gates read them."
        ),
        metadata={
            "dagster/uri": settings.book_archive.absolute().as_uri(),
            "dagster/column_schema": dg.TableSchema(
                columns=[dg.TableColumn(field.name, str(field.type)) for field in SCHEMA]
            ),
        },
    )
    def orderbook_archive(
        context: dg.AssetExecutionContext, stack: Stack
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Write the day's order-book archive and check it."""
        now, day = stack.settings, context.partition_key
        raw, out = now.books / f"{day}.jsonl", now.book_archive / f"{day}.parquet"
        if not raw.is_file():
            raise dg.Failure(
                f"no books of {day}: {raw} is not there; did the order-book service run?"
            )
        facts = archive_books(raw, out)
        yield dg.MaterializeResult(
            metadata={
                "dagster/row_count": facts.rows,
                "records": facts.records,
                "assets": facts.assets,
                "cadence_s": facts.cadence_s,
                "bad_lines": facts.bad_lines,
                "late_lines": facts.late_lines,
                BYTES: out.stat().st_size,
                "first": dg.MetadataValue.timestamp(from_us(facts.first_us)),
                "last": dg.MetadataValue.timestamp(from_us(facts.last_us)),
                "path": dg.MetadataValue.path(str(out)),
                "simulated": facts.simulated or "no",
            }
        )
        yield from judge(facts)

    return orderbook_archive


def judge(facts: BookFacts) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of a day's checks."""
    longest = max((b - a for a, b in facts.gaps), default=0) / 1e6
    where = "; ".join(
        f"{from_us(a):%H:%M:%S} to {from_us(b):%H:%M:%S}" for a, b in facts.gaps[:SHOWN]
    )
    yield checks.result(
        NAME,
        "has_no_gap",
        not facts.gaps,
        {"gaps": len(facts.gaps), "longest_s": longest, "where": where or "none"},
    )
    yield checks.result(NAME, "is_not_crossed", facts.crossed == 0, {"crossed": facts.crossed})
