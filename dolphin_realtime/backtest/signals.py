"""Scans to signals, offline: read in market order, step the signal, write Parquet.

The order of reading and the output's columns belong here; the formulas belong in the model.
Book and factor files are JSON lines; each line is a document as on the wire
(`ob_features_latest`, `exf_latest`), used from its own event or fetch time on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.books.documents import BookHistory
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.factors.files import read_factors
from dolphin_realtime.infra import files
from dolphin_realtime.model.errors import ScanOutOfOrder, SettingsError
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.model.signal.result import Signal
from dolphin_realtime.model.signal.state import SignalState
from dolphin_realtime.scans.coverage import OUT_OF_ORDER, REPEATED, DayCoverage, Reading
from dolphin_realtime.scans.days import read_scans

FLUSH_SCANS: Final = 500
SCHEMA: Final = pa.schema(
    [
        ("epoch", pa.int64()),
        ("scan_number", pa.int64()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("asset", pa.string()),
        ("s_score", pa.float64()),
        ("direction", pa.int64()),
        ("r_ar", pa.float64()),
        ("r_vol", pa.float64()),
        ("gate_book", pa.float64()),
        ("gate_funding", pa.float64()),
        ("gate_dvol", pa.float64()),
        ("gate_calendar", pa.float64()),
        ("signal", pa.float64()),
        ("reason", pa.string()),
        ("flags", pa.string()),
    ]
)


class RunResult(msgspec.Struct):
    """What a run read and wrote."""

    scans: int = 0
    rows: int = 0
    refused: int = 0
    duplicates: int = 0
    days: list[DayCoverage] = []


def _columns(signal: Signal) -> dict[str, list[Any]]:
    n = len(signal.assets)
    return {
        "epoch": [signal.epoch] * n,
        "scan_number": [signal.scan_number] * n,
        "timestamp": [signal.timestamp_us] * n,
        "asset": signal.assets,
        "s_score": signal.s_score,
        "direction": signal.direction,
        "r_ar": [signal.r_ar] * n,
        "r_vol": [signal.r_vol] * n,
        "gate_book": signal.gate_book,
        "gate_funding": signal.gate_funding,
        "gate_dvol": [signal.gate_dvol] * n,
        "gate_calendar": [signal.gate_calendar] * n,
        "signal": signal.signal,
        "reason": signal.reason,
        "flags": [",".join(signal.flags)] * n,
    }


def run_signals(
    scans: Iterator[Scan],
    params: SignalParams,
    books: BookHistory,
    factors: FactorHistory,
    result: RunResult,
    reading: Reading,
) -> Iterator[Signal]:
    """Yield the signal of every scan that is neither refused nor a duplicate."""
    state = SignalState(params)
    for scan in scans:
        scan = msgspec.structs.replace(scan, epoch=state.order.epoch or 1)
        before = state.last
        now_us = scan.timestamp_us
        try:
            signal = state.step(scan, books.at(now_us), factors.at(now_us))
        except ScanOutOfOrder:
            result.refused += 1
            reading.refuse(scan, OUT_OF_ORDER)
            continue
        if signal is before:
            result.duplicates += 1
            reading.refuse(scan, REPEATED)
            continue
        result.scans += 1
        result.rows += len(signal.assets)
        yield signal


def write_signals(
    scans: Path, out: Path, params: SignalParams, book: Path | None, factors: Path | None
) -> RunResult:
    """Write the signals of ``scans`` to a Parquet file and return the counts.

    Raises:
        ScanFileError: If the scans cannot be read.
        SettingsError: If the book or factor file cannot be read, or ``out`` not written.
    """
    result, reading = RunResult(), Reading()
    books, known = BookHistory.read(book), read_factors(factors)
    run = run_signals(read_scans(scans, reading), params, books, known, result, reading)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(out) as partial:
            _write(run, partial)
    except OSError as e:
        raise SettingsError(f"{out} cannot be written: {e}") from e
    result.days = reading.days()
    return result


def _write(run: Iterator[Signal], partial: Path) -> None:
    with pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
        waiting: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        for n, signal in enumerate(run, start=1):
            for name, values in _columns(signal).items():
                waiting[name] += values
            if n % FLUSH_SCANS == 0:
                writer.write_table(pa.table(waiting, schema=SCHEMA))
                waiting = {name: [] for name in SCHEMA.names}
        writer.write_table(pa.table(waiting, schema=SCHEMA))
