"""Running the trader's strategy over scans in Nautilus' BacktestEngine.

Feeding scans and meeting the simulated exchange by the fill rule belong here; what is
decided is the desk's, what is kept is recorder.py's. The engine's own matching knows no
rule of ours, so an order is held until the scan at which it is due and then meets the
exchange at exactly its quote. Market time is the only clock.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

import msgspec
from nautilus_trader.backtest.config import BacktestEngineConfig, SimulationModuleConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import FillModel, MakerTakerFeeModel
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import CustomData
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.objects import Money
from nautilus_trader.risk.config import RiskEngineConfig

from dolphin_realtime.book_documents import BookFeed
from dolphin_realtime.book_shelf import BookShelf
from dolphin_realtime.factor_documents import FactorHistory
from dolphin_realtime.journal.database import Row
from dolphin_realtime.journal.recorder import Recorder
from dolphin_realtime.model import desk_state
from dolphin_realtime.model.decision import Limits
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.errors import ScanOutOfOrder
from dolphin_realtime.model.fill_rule import Execution, Tape
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.plan import InFlight, Plan
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.restored import restore_positions
from dolphin_realtime.strategy import (
    EIGEN,
    SCAN,
    VENUE,
    EigenScan,
    ScanStrategy,
    instrument_id,
    make_instrument,
    make_quote,
    tame_nautilus,
)

LEVERAGE: Final = Decimal(20)
PURGE_EVERY_FILLS: Final = 50
NO_RATE_LIMIT: Final = "1000000/00:00:01"

OnScan = Callable[[Plan, dict[str, list[Row]]], None]


class _Exchange(SimulationModule):
    """Hands out the simulated exchange that it is registered with."""

    def process(self, ts_now: int) -> None:
        """Do nothing: orders meet the exchange when they are due."""

    def reset(self) -> None:
        """Do nothing: nothing is kept."""


class BacktestStrategy(ScanStrategy):
    """The trader's strategy with orders held until they are due."""

    def __init__(self, desk: Desk, exchange: _Exchange, books: BookFeed, on_scan: OnScan) -> None:
        self.recorder = Recorder(desk)
        self.recorder.saved = desk_state.save(desk)
        super().__init__(desk, lambda _: True, self.recorder)
        self._exchange, self._books, self._on_scan = exchange, books, on_scan
        self._shelf = BookShelf(desk)
        self._known: list[str] | None = None
        self._purged_at = 0
        self.n_refused = 0

    def send(self, orders: list[InFlight]) -> None:
        """Keep the orders: they are in the desk's hands until a quote is due."""

    def on_start(self) -> None:
        """Subscribe, and keep books for what is in flight already."""
        super().on_start()
        self._shelf.keep(self.desk.in_flight.values())

    def on_data(self, data: EigenScan) -> None:
        """Decide on a scan, then fill or lapse what earlier scans sent."""
        self.plan = None
        if data.scan.timestamp_us // DAY_US != self.desk.last_us // DAY_US:
            self.recorder.saved = desk_state.save(self.desk)
        data.scan.epoch = self.desk.signals.order.epoch or 1
        for views in self._books.until(data.scan.timestamp_us):
            self._shelf.take_views(views)
        data.book = self._shelf.books(data.scan.timestamp_us)
        try:
            super().on_data(data)
        except ScanOutOfOrder:
            self.n_refused += 1
            return
        plan = self.plan
        if plan is None or not plan.is_new:
            return
        self.desk.settle(plan)
        now_us = plan.scan.timestamp_us
        self.recorder.open_scan(now_us)
        self._add_new_instruments(plan.scan)
        prices = plan.prices
        fills, lapses = self.desk.due(
            Tape(now_us=now_us, prices=prices, books=self._shelf.quotes(now_us))
        )
        for execution in fills:
            self._meet(execution, now_us)
        for order in lapses:
            self.recorder.unfilled(order.client_order_id, "UNFILLED: no quote in time")
        self._shelf.keep(self.desk.in_flight.values())
        self.desk.account.check()
        self._on_scan(plan, self.recorder.close_scan(plan, is_acted_on=True))
        self._purge()

    def _meet(self, execution: Execution, now_us: int) -> None:
        """Let an order meet the exchange at its quote; the fill is booked before this returns."""
        exchange, quote = self._exchange.exchange, execution.quote
        self.recorder.expect(execution)
        exchange.process_quote_tick(make_quote(quote, self.desk.instruments[quote.asset]))
        self.submit_order(self.market_order(execution.order))
        exchange.process(now_us * 1000)

    def _add_new_instruments(self, scan: Scan) -> None:
        """Make new names known to Nautilus; scans of an archive share one list of names."""
        if scan.assets is self._known:
            return
        is_whole = True
        for asset in scan.assets:
            spec = self.desk.instruments.get(asset)
            is_whole = is_whole and spec is not None
            if spec is not None and self.cache.instrument(instrument_id(asset)) is None:
                instrument = make_instrument(asset, spec, self.desk.costs)
                self.cache.add_instrument(instrument)
                self._exchange.exchange.add_instrument(instrument)
        self._known = scan.assets if is_whole else None

    def _purge(self) -> None:
        """Drop closed positions: Nautilus looks at each of them again at every fill."""
        if self.recorder.n_fills - self._purged_at >= PURGE_EVERY_FILLS:
            self._purged_at = self.recorder.n_fills
            now_ns = self.clock.timestamp_ns()
            self.cache.purge_closed_positions(now_ns, 0)
            self.cache.purge_closed_orders(now_ns, 0)
            self.cache.purge_account_events(now_ns, 0)


def _engine(desk: Desk, exchange: _Exchange) -> BacktestEngine:
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(log_level="ERROR", log_colors=False),
            risk_engine=RiskEngineConfig(
                max_order_submit_rate=NO_RATE_LIMIT, max_order_modify_rate=NO_RATE_LIMIT
            ),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USDT,
        starting_balances=[Money(desk.account.cash, USDT)],
        default_leverage=LEVERAGE,
        fill_model=FillModel(),
        fee_model=MakerTakerFeeModel(),
        modules=[exchange],
    )
    for asset, spec in desk.instruments.items():
        engine.add_instrument(make_instrument(asset, spec, desk.costs))
    return engine


class BacktestResult(msgspec.Struct):
    """What a backtest took and left out."""

    scans: int = 0
    refused: int = 0


CHUNK: Final = 2000


def run_backtest(
    desk: Desk,
    scans: Iterator[Scan],
    on_scan: OnScan,
    books: BookFeed,
    factors: FactorHistory,
) -> BacktestResult:
    """Trade scans with ``desk``; ``on_scan`` gets each scan's plan and journal rows.

    Args:
        desk: A desk, new, warmed up, or as it stood when a trader's day began.
        scans: In the order of (timestamp, scan_number); streamed, never all in memory.
        on_scan: Called after each scan.
        books: Order books by event time.
        factors: External factors by fetch time.
    """
    tame_nautilus()
    exchange = _Exchange(SimulationModuleConfig())
    engine = _engine(desk, exchange)
    result = BacktestResult()

    def count(plan: Plan, rows: dict[str, list[Row]]) -> None:
        result.scans += 1
        on_scan(plan, rows)

    strategy = BacktestStrategy(desk, exchange, books, count)
    engine.add_strategy(strategy)
    restore_positions(engine.cache, strategy, desk)
    try:
        for chunk in _chunks(scans):
            data = [CustomData(SCAN, _with_factors(scan, factors)) for scan in chunk]
            engine.add_data(data, client_id=EIGEN)
            engine.run(streaming=True)
            engine.clear_data()
        engine.end()
    finally:
        engine.dispose()
    result.refused = strategy.n_refused
    return result


def _chunks(scans: Iterator[Scan]) -> Iterator[list[Scan]]:
    chunk: list[Scan] = []
    for scan in scans:
        chunk.append(scan)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _with_factors(scan: Scan, factors: FactorHistory) -> EigenScan:
    data = EigenScan(scan, Limits())
    data.factors = factors.at(scan.timestamp_us)
    return data
