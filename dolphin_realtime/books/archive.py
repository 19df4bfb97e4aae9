"""A day's order books: recorded lines to `<day>.parquet`, one row per asset and record.

The columns and the facts about a day belong here. A line is an `ob_features_latest`
document reduced to the best level of each side; its day is that of its newest event.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dolphin_realtime.infra import files
from dolphin_realtime.model.errors import BookSourceError
from dolphin_realtime.model.market.order_book import BookFeatures
from dolphin_realtime.scans.gaps import cadence_us, gap_starts

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
    """One record of all books: the instant of the newest event, and each asset's features."""

    at: datetime
    assets: dict[str, BookFeatures]
    simulated: str | None = None


class BookFacts(msgspec.Struct, kw_only=True):
    """Facts of a day of books.

    Attributes:
        cadence_s: Median time between records.
        gaps: Spans over 3 cadences without a record, as (from, to) in microseconds.
        crossed: Rows whose best bid is not below the best ask.
        bad_lines: Lines that are not readable records.
        late_lines: Records not later than the one before them; they are left out.
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
    late_lines: int = 0
    simulated: str | None = None


_decoder = msgspec.json.Decoder(BookLine)


def archive_books(raw: Path, out: Path) -> BookFacts:
    """Write a day's archive from its recorded lines and return its facts.

    Rows that an earlier archive holds and the lines do not are kept.

    Raises:
        BookSourceError: If nothing usable was recorded, or the earlier archive is damaged.
        OSError: If a file cannot be read or written.
    """
    facts = BookFacts()
    table = _table(raw, facts)
    if not table.num_rows:
        raise BookSourceError(f"{raw}: no usable record of books in it")
    if out.is_file():
        old = _read(out)
        is_new = pc.is_in(old["timestamp"], value_set=table["timestamp"].unique())
        table = pa.concat_tables([old.filter(pc.invert(is_new)), table])
        table = table.sort_by([("timestamp", "ascending"), ("asset", "ascending")])
    _add_facts(facts, table)
    out.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(out, is_durable=True) as partial:
        pq.write_table(table, partial, compression="zstd")
    return facts


def missing(raw: Path, archive: Path) -> str | None:
    """Return why an archive does not hold all recorded lines of a file, None if it does.

    Raises:
        BookSourceError: If the archive is damaged.
        OSError: If a file cannot be read.
    """
    if not archive.is_file():
        return "not archived"
    facts = BookFacts()
    table, held = _table(raw, facts), _read(archive)
    if facts.late_lines:
        return f"{facts.late_lines} lines are out of order and not archived"
    is_known = pc.is_in(held["timestamp"], value_set=table["timestamp"].unique())
    same = held.filter(is_known).sort_by([("timestamp", "ascending"), ("asset", "ascending")])
    return None if same.equals(table.combine_chunks()) else "not archived whole"


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path).select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowInvalid, KeyError, OSError) as e:
        raise BookSourceError(f"{path}: {e}; not an archive of order books") from e


def _table(raw: Path, facts: BookFacts) -> pa.Table:
    """Return the rows of all usable lines, by instant and asset."""
    tables = [SCHEMA.empty_table()]
    waiting: list[dict[str, Any]] = []
    for line in _lines(raw, facts):
        facts.simulated = facts.simulated or line.simulated
        waiting += _rows(line)
        if len(waiting) >= BATCH_ROWS:
            tables.append(pa.Table.from_pylist(waiting, schema=SCHEMA))
            waiting = []
    tables.append(pa.Table.from_pylist(waiting, schema=SCHEMA))
    return pa.concat_tables(tables)


def _lines(raw: Path, facts: BookFacts) -> Iterator[BookLine]:
    """Yield the records later than the one before; a torn or late line is counted."""
    last: datetime | None = None
    with raw.open("rb") as file:
        for text in file:
            try:
                line = _decoder.decode(text)
                is_later = last is None or line.at > last
            except (msgspec.DecodeError, TypeError):
                facts.bad_lines += 1
                continue
            if not is_later:
                facts.late_lines += 1
                continue
            last = line.at
            yield line


def _rows(line: BookLine) -> Iterator[dict[str, Any]]:
    for asset, f in sorted(line.assets.items()):
        (bid, bid_quantity), (ask, ask_quantity) = (
            side[0] if side else (None, None) for side in (f.bids, f.asks)
        )
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


def _add_facts(facts: BookFacts, table: pa.Table) -> None:
    times = table["timestamp"].unique().cast(pa.int64()).to_pylist()
    cadence = cadence_us(times)
    facts.rows, facts.assets = table.num_rows, len(table["asset"].unique())
    facts.records, facts.first_us, facts.last_us = len(times), times[0], times[-1]
    facts.cadence_s = cadence / 1e6
    facts.gaps = [(times[n], times[n + 1]) for n in gap_starts(times, cadence)]
    facts.crossed = pc.sum(pc.greater_equal(table["bid"], table["ask"])).as_py() or 0
