"""Recorded order books as a feed: lines of documents, a day's Parquet file, a folder by day.

Books from a Parquet archive have features but no levels: gates use them, fills cannot.
"""

from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.books.documents import REAL_BOOK, SIMULATED_BOOK, BookFeed, BookView, Timed
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.signal.gates import Book

BATCH_ROWS: Final = 20_000
_TIME: Final = pa.timestamp("us", tz="UTC")
_COLUMNS: Final = ["timestamp", "asset", "event_time", "imbalance_5", "spread_bps", "simulated"]


def read_books(path: Path | None, days: list[str]) -> BookFeed:
    """Return the books of some days in a file or in a folder of `<day>.parquet`.

    Args:
        path: File or folder; None: no books.
        days: Days to read of a folder; a day without a file has no books.

    Raises:
        SettingsError: If a file cannot be read or lacks a column.
    """
    if path is not None and path.is_dir():
        files = [path / f"{day}.parquet" for day in days]
        return BookFeed(chain.from_iterable(_timed(file) for file in files if file.is_file()))
    if path is not None and path.suffix == ".parquet":
        return BookFeed(_timed(path))
    return BookFeed.read(path)


def _timed(path: Path) -> Iterator[Timed]:
    for at_us, record in groupby(_rows(path), key=lambda row: row["timestamp"]):
        yield at_us, {row["asset"]: _view(row) for row in record}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=_COLUMNS):
                columns = {c: batch.column(c) for c in _COLUMNS}
                for name in ("timestamp", "event_time"):
                    columns[name] = columns[name].cast(_TIME).cast(pa.int64())
                for name in ("imbalance_5", "spread_bps"):
                    columns[name] = columns[name].cast(pa.float64())
                for row in pa.table(columns).to_pylist():
                    if None not in (row[name] for name in _COLUMNS[:-1]):
                        yield row
    except (pa.ArrowInvalid, OSError, KeyError) as e:
        raise SettingsError(f"{path}: {e}; expected an archive of order books") from e


def _view(row: dict[str, Any]) -> BookView:
    book = Book(
        event_us=row["event_time"], imbalance_5=row["imbalance_5"], spread_bps=row["spread_bps"]
    )
    return BookView(book, source=SIMULATED_BOOK if row["simulated"] else REAL_BOOK)
