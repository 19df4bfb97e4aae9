"""One trial: one parameter set on one day, from a flat portfolio, by the trader's own code.

What a trial computes belongs here. It runs in a worker process of this machine or of a Ray
cluster; its inputs are values and paths, its results plain records.
"""

import hashlib
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

import dolphin_realtime
from dolphin_realtime.backtest.days import traded
from dolphin_realtime.backtest.loop import run_backtest
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.config.trader_parameters import Parameters, changed
from dolphin_realtime.factors.files import read_factors
from dolphin_realtime.journal.tables import EquityRow, Row
from dolphin_realtime.model.errors import DolphinError
from dolphin_realtime.model.instant import HOUR_US
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.scans.coverage import DayCoverage, Reading
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.sweep.warm_states import begin_warm
from dolphin_realtime.trading.warm_up import portfolio_of

WORKER_DIED: Final = "its worker died"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What to try; ``key`` is equal for equal trials on the same data with the same code."""

    set_name: str
    assignments: tuple[str, ...]
    day: str
    scans: str
    warm_up_days: int
    factors: str
    parameters: Parameters
    key: str = ""


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a trial; if it failed, ``failure`` says why and all figures are 0.

    Attributes:
        returns: Return of equity over each hour that has scans, as a fraction.
        seconds: Wall time it took.
        coverage: The coverage of its day.
    """

    key: str
    set_name: str
    day: str
    net: float = 0.0
    gross: float = 0.0
    fees: float = 0.0
    slippage: float = 0.0
    funding: float = 0.0
    start_equity: float = 0.0
    orders: int = 0
    fills: int = 0
    max_drawdown: float = 0.0
    returns: tuple[float, ...] = ()
    seconds: float = 0.0
    failure: str | None = None
    coverage: DayCoverage | None = None


def failed(trial: Trial, why: str) -> TrialResult:
    """Return the result of a failed trial."""
    return TrialResult(key=trial.key, set_name=trial.set_name, day=trial.day, failure=why)


@cache
def code_digest() -> str:
    """Return a digest of this package's source, so that another version is another trial."""
    digest = hashlib.sha256()
    for path in sorted(Path(dolphin_realtime.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def keyed(trial: Trial, inputs: object) -> Trial:
    """Return a trial with its key, made of parameters, code, and ``inputs`` (files' identities)."""
    facts = [code_digest(), version("nautilus_trader"), msgspec.to_builtins(trial), inputs]
    digest = hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:24]
    return msgspec.structs.replace(trial, key=digest)


def run_trial(trial: Trial) -> TrialResult:
    """Run a trial; an error in it is returned as its result, not raised."""
    began = time.perf_counter()
    try:
        found = _run(trial)
    except (DolphinError, OSError, ArithmeticError, ValueError, KeyError) as e:
        return failed(trial, f"{type(e).__name__}: {e}")
    return msgspec.structs.replace(found, seconds=time.perf_counter() - began)


def _run(trial: Trial) -> TrialResult:
    path = Path(trial.scans)
    scans = ScanDays.of(path)
    portfolio = portfolio_of("SWEEP", changed(trial.parameters, trial.assignments))
    begin_warm(portfolio, path, scans, trial.warm_up_days, trial.day)
    factors = read_factors(Path(trial.factors) if trial.factors else None, trial.day, trial.day)
    watch = _Watch(portfolio.equity())
    reading = Reading()
    used = traded(scans, [trial.day], reading)
    run_backtest(portfolio, used, watch.take, BookFeed([]), factors, reading.refuse)
    (coverage,) = reading.days()
    account = portfolio.account
    net = portfolio.equity() - watch.start
    return TrialResult(
        key=trial.key,
        set_name=trial.set_name,
        day=trial.day,
        net=net,
        gross=net + account.slippage + account.fees + account.funding,
        fees=account.fees,
        slippage=account.slippage,
        funding=account.funding,
        start_equity=watch.start,
        orders=watch.orders,
        fills=watch.fills,
        max_drawdown=watch.max_drawdown,
        returns=tuple(watch.returns()),
        coverage=coverage,
    )


class _Watch:
    """Records the hourly closes of equity, the worst drawdown, and counts."""

    def __init__(self, start: float) -> None:
        self.start = self._peak = start
        self._closes: dict[int, float] = {}
        self.max_drawdown, self.orders, self.fills = 0.0, 0, 0

    def take(self, _: Plan, rows: dict[str, list[Row]]) -> None:
        """Record one scan's rows."""
        (row,) = rows["equity"]
        if not isinstance(row, EquityRow):
            raise TypeError(f"{row!r} is not a row of equity")
        equity = row.equity
        self._closes[row.timestamp_us // HOUR_US] = equity
        self._peak = max(self._peak, equity)
        self.max_drawdown = max(
            self.max_drawdown, 1.0 - equity / self._peak if self._peak > 0.0 else 0.0
        )
        self.orders += len(rows["orders"])
        self.fills += len(rows["fills"])

    def returns(self) -> list[float]:
        """Return the hourly returns."""
        found, before = [], self.start
        for close in self._closes.values():
            found.append(close / before - 1.0 if before > 0.0 else 0.0)
            before = close
        return found
