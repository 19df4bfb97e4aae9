"""The history of the external factors on disk: readings appended by day, and looked up.

Writing `factors/<day>.parquet` and looking up earlier readings belong here; reading the files for
the signal belongs in files.py. The day is that of the event. A reading is kept once: the first one
written for a name, an asset and an event time stays. Hourly closes that serve the percentiles
alone have a name of their own, so that no backtest trades on them.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dolphin_realtime.factors.files import SCHEMA
from dolphin_realtime.infra import files, log
from dolphin_realtime.infra.day_files import day_files
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.factors.document import FactorReading, Key, Readings, expiry
from dolphin_realtime.model.instant import day_of, to_us

RESTORED_DAYS: Final = 7
"""Days of history searched for readings that are not expired."""
HOURLY: Final = "_hourly"
"""Suffix of the name of a factor's hourly closes."""
_LOCK: Final = ".lock"
_SORTED: Final = [("name", "ascending"), ("asset", "ascending"), ("event_time", "ascending")]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A reading with its name, on the way to disk."""

    key: Key
    reading: FactorReading
    backfilled_at: datetime | None = None

    def columns(self) -> dict[str, Any]:
        """Return the row's values by column."""
        values = {n: getattr(self.reading, n, None) for n in SCHEMA.names}
        name, asset = self.key
        return {**values, "name": name, "asset": asset, "backfilled_at": self.backfilled_at}


def append(folder: Path, rows: Sequence[Row]) -> int:
    """Write readings into the files of their days and return how many were new.

    Args:
        folder: The history; created if missing.
        rows: In any order.
    """
    by_day: dict[str, list[Row]] = {}
    for row in rows:
        by_day.setdefault(day_of(to_us(row.reading.event_time)), []).append(row)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        return sum(_append_day(folder / f"{day}.parquet", found) for day, found in by_day.items())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _append_day(path: Path, rows: list[Row]) -> int:
    before = _before(path)
    first = min(row.reading.event_time for row in rows)
    recent = before.filter(
        pc.field("event_time") >= pa.scalar(first, SCHEMA.field("event_time").type)
    )
    known = {
        (r["name"], r["asset"], r["event_time"])
        for r in recent.select(["name", "asset", "event_time"]).to_pylist()
    }
    new: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        identity = (*row.key, row.reading.event_time)
        if identity not in known:
            new.setdefault(identity, row)
    if new:
        _write(path, before, list(new.values()))
    return len(new)


def _before(path: Path) -> pa.Table:
    """Return what a day's file holds; an unreadable file is renamed, never overwritten."""
    if not path.is_file():
        return SCHEMA.empty_table()
    try:
        return _table(path)
    except SettingsError as e:
        aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
        path.rename(aside)
        log.get().error("factor_store.set_aside", file=str(aside), why=str(e))
        return SCHEMA.empty_table()


def _write(path: Path, before: pa.Table, new: list[Row]) -> None:
    added = pa.Table.from_pylist([row.columns() for row in new], schema=SCHEMA)
    table = pa.concat_tables([before, added]).sort_by(_SORTED)
    with files.replacing(path, is_durable=True) as partial:
        pq.write_table(table, partial, compression="zstd")


def _table(path: Path, filters: Any = None) -> pa.Table:
    """Return a day's file with every column; columns that it lacks are null.

    Raises:
        SettingsError: If it cannot be read.
    """
    try:
        table = pq.read_table(path, filters=filters)
        whole = pa.concat_tables([SCHEMA.empty_table(), table], promote_options="permissive")
        return whole.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as e:
        raise SettingsError(
            f"{path}: {e}; expected a Parquet file of readings: move it away"
        ) from e


def _read(
    folder: Path, since: datetime, names: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of some factors with event time at or after an instant, sorted by it.

    An unreadable file is skipped: the next append renames it.
    """
    filters = None if names is None else [("name", "in", list(names))]
    rows: list[dict[str, Any]] = []
    for day, path in day_files(folder, ".parquet").items():
        if day >= f"{since:%Y-%m-%d}":
            try:
                rows += _table(path, filters).to_pylist()
            except SettingsError as e:
                log.get().warning("factor_store.left_out", why=str(e))
    return sorted((r for r in rows if r["event_time"] >= since), key=lambda r: r["event_time"])


def newest(folder: Path, now: datetime, names: Sequence[str] | None = None) -> Readings:
    """Return the newest reading of each factor in the last week, without backfilled ones.

    Args:
        folder: The history.
        now: Readings fetched later are left out.
        names: Only these factors; None: all.
    """
    found: Readings = {}
    for row in _read(folder, now - timedelta(days=RESTORED_DAYS), names):
        if row["fetch_time"] <= now and row["backfilled_at"] is None:
            found[(row["name"], row["asset"])] = _reading(row)
    return found


def _reading(row: dict[str, Any]) -> FactorReading:
    fields = {n: row[n] for n in FactorReading.__struct_fields__ if n in row}
    ends = expiry(row["fetch_time"], row["lifetime_s"])
    return FactorReading(**{**fields, "expires_at": ends})


def hourly_closes(
    folder: Path, name: str, first: datetime, last: datetime
) -> dict[datetime, float]:
    """Return a factor's recorded hourly closes in (first, last], by the hour's end."""
    return {
        row["event_time"]: row["value"]
        for row in _read(folder, first, [f"{name}{HOURLY}"])
        if first < row["event_time"] <= last
    }
