"""A backtest over recorded days: warm-up from the days before, then every scan once.

The choice of scans for warm-up and for trading belongs here; trading belongs in loop.py.
"""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import msgspec

from dolphin_realtime.backtest.loop import BacktestResult
from dolphin_realtime.backtest.run import backtest_to_files
from dolphin_realtime.books.files import read_books
from dolphin_realtime.config.trader_parameters import Parameters
from dolphin_realtime.factors.files import read_factors
from dolphin_realtime.model.errors import ScanFileError
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.reports.write import Report
from dolphin_realtime.scans.coverage import Reading
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.trading.warm_up import portfolio_of, warm_up_from


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One backtest: its scans, its days and its parameters.

    Attributes:
        scans: Archive folder, folder of scan files, or a single such file.
        first: First day traded, YYYY-MM-DD, UTC.
        last: Last day traded, included.
        parameters: Signal, sizing, costs, limits.
        warm_up_days: Days before ``first`` that the signal is warmed up with.
        book: Order books: lines of documents, a Parquet archive, or a folder of archives by day.
        factors: File or folder of external factors as they were known.
        instance: Instance name in the orders' ids.
        caveats: Notes at the top of the report.
    """

    scans: Path
    first: str
    last: str
    parameters: Parameters
    warm_up_days: int = 3
    book: Path | None = None
    factors: Path | None = None
    instance: str = "BLUE"
    caveats: tuple[str, ...] = ()


class Outcome(msgspec.Struct):
    """The result of a backtest: report, what was left out, and the number of warm-up scans."""

    report: Report
    result: BacktestResult
    warm_up_scans: int


def days_of(job: Job, scans: ScanDays) -> list[str]:
    """Return the days to trade.

    Raises:
        ScanFileError: If there is none.
    """
    days = scans.between(job.first, job.last)
    if not days:
        known = f"{scans.days[0]} to {scans.days[-1]}" if scans.days else "none"
        raise ScanFileError(
            f"{job.scans}: no scans from {job.first} to {job.last}; its days are {known}"
        )
    return days


def count_scans(job: Job) -> int:
    """Return roughly how many scans a job trades, without reading them.

    Raises:
        ScanFileError: If there is none.
    """
    scans = ScanDays.of(job.scans)
    return sum(scans.count(day) for day in days_of(job, scans))


def run(job: Job, out: Path, on_scan: Callable[[], None] = lambda: None) -> Outcome:
    """Run a backtest and write its files into ``out``.

    Raises:
        ScanFileError: If there are no scans of the days, or an archive cannot be read.
        SettingsError: If the book or factor file cannot be read.
        JournalError: If an identity of the books does not hold.
    """
    scans = ScanDays.of(job.scans)
    days = days_of(job, scans)
    portfolio = portfolio_of(job.instance, job.parameters)
    warmed = warm_up_from(portfolio, scans, job.warm_up_days, days[0])
    books = read_books(job.book, days)
    factors = read_factors(job.factors, days[0], days[-1])
    caveats = [*job.caveats, *_caveats(job, scans, days)]
    title = f"Backtest {job.first}" + (f" to {job.last}" if job.last != job.first else "")
    reading = Reading()
    result, report = backtest_to_files(
        portfolio,
        traded(scans, days, reading),
        out,
        title,
        books,
        factors,
        caveats,
        reading,
        on_scan,
    )
    return Outcome(report, result, warmed)


def _caveats(job: Job, scans: ScanDays, days: list[str]) -> list[str]:
    """Return what is missing of the days asked for and of the warm-up before them."""
    found = []
    n_days = (date.fromisoformat(job.last) - date.fromisoformat(job.first)).days + 1
    if len(days) < n_days:
        found.append(
            f"{n_days - len(days)} of {n_days} days have no scans; traded: {', '.join(days)}."
        )
    n_before = len(scans.before(days[0], job.warm_up_days))
    if n_before < job.warm_up_days:
        found.append(f"The signal was warmed up with {n_before} days, not {job.warm_up_days}.")
    return found


def traded(scans: ScanDays, days: list[str], reading: Reading) -> Iterator[Scan]:
    """Yield the scans of some days, day by day, and record coverage and what is left out."""
    for day in days:
        yield from reading.of(scans.scans(day), day)
        reading.leave_out(day, scans.left_out.get(day, {}))
