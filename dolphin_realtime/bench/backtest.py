"""`dolphin bench backtest`: scans per second, memory, and how a backtest's time is spent.

Each measurement runs in a process of its own, to measure its memory alone. Nautilus's part is the
remainder of the total: its engine, and the Python that it calls for each order.
"""

import tempfile
import time
from pathlib import Path
from typing import Any, Final

from dolphin_realtime.backtest import run
from dolphin_realtime.bench.market import first_scan, label, make_market
from dolphin_realtime.bench.memory import alone, peak_mb
from dolphin_realtime.bench.stopwatch import Stopwatch
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.config.trader_parameters import changed, load_parameters
from dolphin_realtime.engine.backtest import BacktestEngine
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.journal import database
from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.signal.state import SignalState
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.trading.booking import Booking
from dolphin_realtime.trading.warm_up import portfolio_of, warm_up_from

PARTS: Final = ("read", "signal", "portfolio", "record", "journal")
"""Dolphin's own parts; the rest of the time is Nautilus's."""
QUARTER: Final = 4


def measure_day(
    assets: tuple[int, ...], cadence_s: float, assignments: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return a row for each count of assets: one day after one day of warm-up."""
    return [alone(_one_day, n, cadence_s, assignments) for n in assets]


def measure_days(
    prices: Path | None, days: tuple[int, ...], assignments: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return a row for each count of days of a price record, in order of days.

    Args:
        prices: Wide parquet; None: the sample.
        days: How many days to trade, after one of warm-up.
        assignments: Parameters as NAME=VALUE.
    """
    return [alone(_many_days, prices, n, assignments) for n in days]


def first_day(market: Market) -> int:
    """Return the instant at which a market's first whole day begins."""
    return -(-first_scan(market).timestamp_us // DAY_US) * DAY_US


def _archive(market: Market, folder: Path, n_days: int) -> None:
    first_us = first_day(market)
    archive_days(market, folder, first_us, first_us + n_days * DAY_US)


def _one_day(n_assets: int, cadence_s: float, assignments: tuple[str, ...]) -> dict[str, Any]:
    market = make_market(n_assets, ReplayParams(cadence_s=cadence_s))
    with tempfile.TemporaryDirectory(prefix="dolphin-bench-") as scratch:
        folder = Path(scratch)
        _archive(market, folder, 2)
        row = _timed(folder, 1, assignments)
    return {"assets": n_assets, "cadence_s": cadence_s, "prices": label(n_assets), **row}


def _many_days(prices: Path | None, n_days: int, assignments: tuple[str, ...]) -> dict[str, Any]:
    table = load_prices(prices) if prices else load_prices()
    market = Market(table, ReplayParams(cadence_s=table.step_us / 1e6))
    with tempfile.TemporaryDirectory(prefix="dolphin-bench-") as scratch:
        folder = Path(scratch)
        _archive(market, folder, n_days + 1)
        row = _timed(folder, n_days, assignments)
    return {"assets": len(table.assets), "days": n_days, "prices": str(prices or "sample"), **row}


def _timed(folder: Path, n_days: int, assignments: tuple[str, ...]) -> dict[str, Any]:
    """Trade the last ``n_days`` of a folder's days; the day before them warms up."""
    found = ScanDays.of(folder)
    traded = found.days[-n_days:]
    portfolio = portfolio_of("BENCH", changed(load_parameters(), assignments))
    warm_up_from(portfolio, found, 1, traded[0])
    watch, marks = Stopwatch(), _Marks()
    with_parts = _Parts(watch, marks)
    scans = watch.iterate("read", (s for day in traded for s in found.scans(day)))
    began = time.perf_counter()
    with with_parts:
        run.backtest_to_journal(
            portfolio, scans, folder / "journal", BookFeed([]), FactorHistory([]), marks.scan
        )
    total = time.perf_counter() - began
    return {**_row(total, watch, marks), "rss_mb": round(peak_mb())}


class _Marks:
    """Scans so far, and Nautilus's seconds for each fill."""

    def __init__(self) -> None:
        self.scans = 0
        self.meets: list[float] = []

    def scan(self) -> None:
        self.scans += 1


class _Parts:
    """A context that times Dolphin's own parts and restores the patched classes at its end."""

    def __init__(self, watch: Stopwatch, marks: _Marks) -> None:
        self._watch, self._marks = watch, marks
        self._old: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> None:
        for owner, name, part in (
            (SignalState, "begin", "signal"),
            (SignalState, "end", "signal"),
            (Portfolio, "decide", "portfolio"),
            (Portfolio, "finish_scan", "portfolio"),
            (Portfolio, "match", "portfolio"),
            (Booking, "book_held_back", "record"),
            (Rows, "close_scan", "record"),
            (database, "insert", "journal"),
        ):
            self._put(owner, name, self._watch.wrap(part, getattr(owner, name)))
        meet = BacktestEngine.execute

        def timed(*args: Any) -> None:
            began = time.perf_counter()
            meet(*args)
            self._marks.meets.append(time.perf_counter() - began)

        self._put(BacktestEngine, "execute", timed)

    def _put(self, owner: Any, name: str, new: Any) -> None:
        self._old.append((owner, name, getattr(owner, name)))
        setattr(owner, name, new)

    def __exit__(self, *_: object) -> None:
        for owner, name, old in self._old:
            setattr(owner, name, old)


def _row(total: float, watch: Stopwatch, marks: _Marks) -> dict[str, Any]:
    parts = {name: round(watch.own_s[name], 2) for name in PARTS}
    ours = sum(watch.own_s[name] for name in PARTS)
    quarter = len(marks.meets) // QUARTER
    first = sum(marks.meets[:quarter])
    last = sum(marks.meets[-quarter:]) if quarter else 0.0
    return {
        "scans": marks.scans,
        "fills": len(marks.meets),
        "seconds": round(total, 2),
        "scans_per_s": round(marks.scans / total),
        "fills_per_s": round(len(marks.meets) / total),
        "ours_s": round(ours, 2),
        "nautilus_s": round(total - ours, 2),
        "parts_s": parts,
        "us_a_fill_in_nautilus": {
            "first_quarter": round(1e6 * first / quarter, 1) if quarter else None,
            "last_quarter": round(1e6 * last / quarter, 1) if quarter else None,
            "ratio": round(last / first, 3) if quarter else None,
        },
    }
