"""A backtest's loop: it passes every recorded scan, in order, through the trader's own turn.

The scans and what is known at each belong here; what happens at a scan belongs in
trading/turn.py, the exchange in engine/backtest.py.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence

import msgspec

from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.engine.backtest import BacktestEngine
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.journal.tables import Row
from dolphin_realtime.model.errors import EngineError, ScanOutOfOrder
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.scans.coverage import OUT_OF_ORDER, REPEATED, DayCoverage
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.booking import Booking
from dolphin_realtime.trading.execution import Start
from dolphin_realtime.trading.turn import Turn

OnScan = Callable[[Plan, dict[str, list[Row]]], None]
FREE = TradingPermission()


class BacktestResult(msgspec.Struct):
    """How many scans a backtest traded and refused; ``days`` is the coverage of each day read."""

    scans: int = 0
    refused: int = 0
    days: list[DayCoverage] = []


class _Kept:
    """The turn's journal in a backtest: rows go to the caller, intents are not written to disk."""

    def __init__(self, portfolio: Portfolio, on_scan: OnScan) -> None:
        self._portfolio, self._on_scan = portfolio, on_scan

    def opening(self) -> bytes:
        return portfolio_state.save(self._portfolio)

    def intend(
        self, epoch: int, scan_number: int, orders: Sequence[InFlight], limits: TradingPermission  # noqa: ARG002
    ) -> bool:  # fmt: skip
        return True

    def commit(self, key: tuple[int, int], rows: dict[str, list[Row]], plan: Plan | None) -> None:  # noqa: ARG002
        if plan is not None:
            self._on_scan(plan, rows)


def run_backtest(
    portfolio: Portfolio,
    scans: Iterator[Scan],
    on_scan: OnScan,
    books: BookFeed,
    factors: FactorHistory,
    on_refused: Callable[[Scan, str], None] = lambda _scan, _why: None,
) -> BacktestResult:
    """Trade scans with ``portfolio``; ``on_scan`` gets each scan's plan and journal rows.

    Args:
        portfolio: A portfolio: new, warmed up, or restored from the opening of a trader's day.
        scans: In the order of (timestamp, scan_number); streamed, never all in memory.
        on_scan: Called after each scan.
        books: Order books by event time.
        factors: External factors by fetch time.
        on_refused: Called with each scan that is not traded, and why.

    Raises:
        EngineError: If an engine already runs in this process, or the engine failed.
    """
    result, booking = BacktestResult(), Booking(portfolio, Rows(portfolio))
    engine, cache = BacktestEngine(portfolio.venue, booking), BookCache(portfolio)
    turn = Turn(portfolio, booking, engine, cache, _Kept(portfolio, on_scan))
    with engine.running(Start.of(portfolio)):
        turn.resume()
        cache.keep(portfolio.in_flight.values())
        for scan in scans:
            scan = msgspec.structs.replace(scan, epoch=portfolio.signals.order.epoch or 1)
            for views in books.until(scan.timestamp_us):
                cache.take_views(views)
            try:
                plan = turn.begin(scan, FREE, factors.at(scan.timestamp_us))
            except ScanOutOfOrder:
                result.refused += 1
                on_refused(scan, OUT_OF_ORDER)
                continue
            at_once(turn.finish(plan))
            result.scans += plan.is_new
            if not plan.is_new:
                on_refused(scan, REPEATED)
            if booking.mismatch is not None:
                raise EngineError(f"the backtest stopped at {scan.scan_number}: {booking.mismatch}")
    return result


def at_once(step: Coroutine[None, None, None]) -> None:
    """Run a turn that never waits: a backtest's engine has reported all, a replay sends nothing."""
    try:
        step.send(None)
    except StopIteration:
        return
    raise AssertionError("a turn waited in a backtest or a replay")
