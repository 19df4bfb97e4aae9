"""External factors as they were known over time, in Parquet files by day.

The columns of a reading on disk and reading them back belong here; documents on the wire belong in
model/factors/document.py. A reading counts from its fetch time on, whatever its event time.
"""

from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.factors.documents import FactorHistory, read_factor_documents
from dolphin_realtime.infra.day_files import day_files
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.factors.document import DVOL_BTC, FUNDING, FUNDING_INTERVAL
from dolphin_realtime.model.instant import to_us
from dolphin_realtime.model.signal.gates import NO_FACTORS, Factors, Reading

_TIME: Final = pa.timestamp("us", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        ("name", pa.string()),
        ("asset", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("event_time", _TIME),
        ("fetch_time", _TIME),
        ("lifetime_s", pa.float64()),
        ("percentile_90", pa.float64()),
        ("interval_h", pa.float64()),
        ("source", pa.string()),
        ("simulated", pa.string()),
        ("backfilled_at", _TIME),
        ("fetched_at", _TIME),
        ("next_time", _TIME),
    ]
)
"""One row per reading; ``asset`` is null if a factor is about the whole market.

``fetch_time`` is when a reading became known. If it was fetched long after that, by a backfill,
``backfilled_at`` is when that was; else it is null. In a replay ``fetched_at`` is the wall time of
the fetch. ``next_time`` is the next settlement of a funding rate."""
_WEIGHED: Final = [FUNDING, FUNDING_INTERVAL, DVOL_BTC]
_NEEDED: Final = ("name", "asset", "value", "fetch_time", "lifetime_s")
LONGEST_LIFETIME_DAYS: Final = 7
"""Files up to this many days before a period may hold a reading that is still valid in it."""


def read_factors(
    path: Path | None, first_day: str = "0001-01-01", last_day: str = "9999"
) -> FactorHistory:
    """Return the factors in a file of documents, a Parquet file, or a folder of such by day.

    Args:
        path: File or folder; None: no factors.
        first_day: Files of a folder more than 7 days before this day are not read.
        last_day: Files of a folder after this day are not read.

    Raises:
        SettingsError: If a file cannot be read or lacks a column.
    """
    if path is None:
        return FactorHistory([])
    if path.is_dir():
        files = [
            file
            for day, file in day_files(path, ".parquet").items()
            if day <= last_day and _days_between(day, first_day) <= LONGEST_LIFETIME_DAYS
        ]
        return _history([row for file in files for row in _rows(file)])
    if path.suffix == ".parquet":
        return _history(_rows(path))
    return read_factor_documents(path)


def _days_between(day: str, later: str) -> int:
    return (date.fromisoformat(later) - date.fromisoformat(day)).days


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        columns = pq.read_schema(path).names
        for name in _NEEDED:
            if name not in columns:
                raise SettingsError(f"{path}: column {name!r} is missing")
        table = pq.read_table(path, filters=[("name", "in", _WEIGHED)])
        known = [field for field in SCHEMA if field.name in table.schema.names]
        table = table.select([field.name for field in known]).cast(pa.schema(known))
    except (pa.ArrowInvalid, OSError) as e:
        raise SettingsError(f"{path}: {e}; expected a Parquet file of readings") from e
    table = table.set_column(
        table.schema.get_field_index("fetch_time"), "fetch_time",
        table["fetch_time"].cast(pa.int64()),
    )  # fmt: skip
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _history(rows: list[dict[str, Any]]) -> FactorHistory:
    """Return what was known after each fetch: each reading replaces the one before it."""
    history: list[tuple[int, Factors]] = []
    known = NO_FACTORS
    intervals: dict[str, Reading] = {}
    live: dict[tuple[str, str | None], int] = {}
    usable = [
        row for row in rows if None not in (row["value"], row["fetch_time"], row["lifetime_s"])
    ]
    usable.sort(key=lambda row: row["fetch_time"])
    for fetch_us, fetched in groupby(usable, key=lambda row: row["fetch_time"]):
        changed: dict[str, Reading] = {}
        dvol = known.dvol_btc
        for row in fetched:
            if _is_told_already(row, live, fetch_us):
                continue
            if row.get("backfilled_at") is None:
                live[(row["name"], row["asset"])] = fetch_us + round(row["lifetime_s"] * 1e6)
            if row["name"] == FUNDING and row["asset"]:
                changed[row["asset"]] = _reading(row)
            elif row["name"] == FUNDING_INTERVAL and row["asset"]:
                intervals[row["asset"]] = _reading(row)
                if row["asset"] in known.funding:
                    changed.setdefault(row["asset"], known.funding[row["asset"]])
            elif row["name"] == DVOL_BTC:
                dvol = _reading(row)
        rates = {a: _at_interval(r, intervals.get(a), fetch_us) for a, r in changed.items()}
        known = Factors(funding=known.funding | rates if rates else known.funding, dvol_btc=dvol)
        history.append((fetch_us, known))
    return FactorHistory(history)


def _is_told_already(
    row: dict[str, Any], live: dict[tuple[str, str | None], int], now_us: int
) -> bool:
    """Return whether a live reading is still valid at a backfilled row's time; then it is used."""
    ends_us = live.get((row["name"], row["asset"]), -1)
    return row.get("backfilled_at") is not None and now_us <= ends_us


def _at_interval(rate: Reading, interval: Reading | None, now_us: int) -> Reading:
    """Return a funding rate with the interval known at an instant, else with its own."""
    if interval is None or not interval.is_current(now_us):
        return rate
    return msgspec.structs.replace(rate, interval_h=interval.value)


def _reading(row: dict[str, Any]) -> Reading:
    return Reading(
        value=row["value"],
        fetch_us=row["fetch_time"],
        lifetime_s=row["lifetime_s"],
        percentile_90=row.get("percentile_90"),
        interval_h=row.get("interval_h"),
        next_us=_us(row.get("next_time")),
        settled_us=_us(row.get("event_time")) if row.get("backfilled_at") is not None else None,
    )


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else to_us(moment)
