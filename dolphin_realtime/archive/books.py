"""A day's order books: recorded lines to `<day>.parquet`, one row an asset and record.

The columns and what is odd about a day belong here. A line is an `ob_features_latest`
document cut to the best level of each side; the day is that of its newest event.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.model.errors import BookSourceError
from dolphin_realtime.model.instant import to_us
from dolphin_realtime.model.order_book import BookFeatures

GAP_CADENCES: Final = 3.0
BATCH_ROWS: Final = 20_000
_TIME: Final = pa.timestamp("us", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        ("timestamp", _TIME),
        ("asset", pa.string()),
        ("event_time", _TIME),
        ("imbalance_1", pa.float64()),
        ("imbalance_5", pa.float64()),
        ("imbalance_20", pa.float64()),
        ("microprice", pa.float64()),
        ("spread_bps", pa.float64()),
        ("depth", pa.float64()),
        ("bid", pa.float64()),
        ("bid_quantity", pa.float64()),
        ("ask", pa.float64()),
        ("ask_quantity", pa.float64()),
        ("simulated", pa.string()),
    ]
)


class BookLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One record of every book: the newest event among them, and each asset's features."""

    at: datetime
    assets: dict[str, BookFeatures]
    simulated: str | None = None


class BookFacts(msgspec.Struct, kw_only=True):
    """Facts of a day of books.

    Attributes:
        cadence_s: Median time between records.
        gaps: Spans over 3 cadences without a record, as (from, to) in microseconds.
        crossed: Rows whose best bid is not below the best ask.
        bad_lines: Lines that are no record.
    """

    rows: int = 0
    records: int = 0
    assets: int = 0
    first_us: int = 0
    last_us: int = 0
    cadence_s: float = 0.0
    gaps: list[tuple[int, int]] = []
    crossed: int = 0
    bad_lines: int = 0
    simulated: str | None = None


_decoder = msgspec.json.Decoder(BookLine)


def archive_books(raw: Path, out: Path) -> BookFacts:
    """Write a day's archive from its recorded lines and return its facts.

    Raises:
        BookSourceError: If nothing usable was recorded.
        OSError: If a file cannot be read or written.
    """
    facts, times = BookFacts(), []
    assets: set[str] = set()
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.part")
    try:
        with pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
            waiting: list[dict[str, Any]] = []
            for line in _lines(raw, facts):
                times.append(to_us(line.at))
                assets |= line.assets.keys()
                facts.simulated = facts.simulated or line.simulated
                waiting += _rows(line, facts)
                if len(waiting) >= BATCH_ROWS:
                    writer.write_table(pa.Table.from_pylist(waiting, schema=SCHEMA))
                    waiting = []
            writer.write_table(pa.Table.from_pylist(waiting, schema=SCHEMA))
        if not times:
            raise BookSourceError(f"{raw}: no usable record of books in it")
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    _add_times(facts, times)
    facts.assets = len(assets)
    return facts


def holds(raw: Path, archive: Path) -> bool:
    """Return whether an archive has a row for every asset of every usable line."""
    if not archive.is_file():
        return False
    wanted = sum(len(line.assets) for line in _lines(raw, BookFacts()))
    return wanted == int(pq.read_metadata(archive).num_rows)


def _lines(raw: Path, facts: BookFacts) -> Iterator[BookLine]:
    """Yield the records later than the one before; a torn or late line is counted."""
    last: datetime | None = None
    with raw.open("rb") as file:
        for text in file:
            try:
                line = _decoder.decode(text)
                is_later = last is None or line.at > last
            except (msgspec.DecodeError, TypeError):
                is_later = False
            if not is_later:
                facts.bad_lines += 1
                continue
            last = line.at
            yield line


def _rows(line: BookLine, facts: BookFacts) -> Iterator[dict[str, Any]]:
    for asset, f in sorted(line.assets.items()):
        (bid, bid_quantity), (ask, ask_quantity) = (
            side[0] if side else (None, None) for side in (f.bids, f.asks)
        )
        facts.crossed += bid is not None and ask is not None and bid >= ask
        facts.rows += 1
        yield {
            "timestamp": line.at,
            "asset": asset,
            "event_time": f.event_time,
            "imbalance_1": f.imbalance_1,
            "imbalance_5": f.imbalance_5,
            "imbalance_20": f.imbalance_20,
            "microprice": f.microprice,
            "spread_bps": f.spread_bps,
            "depth": f.depth,
            "bid": bid,
            "bid_quantity": bid_quantity,
            "ask": ask,
            "ask_quantity": ask_quantity,
            "simulated": line.simulated,
        }


def _add_times(facts: BookFacts, times: list[int]) -> None:
    steps = [b - a for a, b in pairwise(times)]
    cadence_us = median(steps) if steps else 0.0
    facts.records, facts.first_us, facts.last_us = len(times), times[0], times[-1]
    facts.cadence_s = cadence_us / 1e6
    facts.gaps = [(a, b) for a, b in pairwise(times) if b - a > GAP_CADENCES * cadence_us]
