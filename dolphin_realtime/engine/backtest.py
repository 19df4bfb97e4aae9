"""The backtest engine: NautilusTrader's, driven one order at a time; its only clock is market time.

The core's own matching does not know our fill rule. So an order is kept here until its quote is
known, then handed over with an order book that holds exactly that quote. The outcome is reported
before `execute` returns, so nothing here ever waits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import msgspec
from nautilus_trader.backtest import BacktestEngine as Core
from nautilus_trader.backtest import BacktestEngineConfig
from nautilus_trader.common import CacheConfig
from nautilus_trader.execution import FeeModel, FillModel
from nautilus_trader.model import (
    AccountType,
    BookOrder,
    BookType,
    Money,
    OmsType,
    OrderBook,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig

from dolphin_realtime.engine.nautilus import (
    SILENT,
    USDT,
    OrderStrategy,
    alone,
    instrument_id,
    make_instrument,
)
from dolphin_realtime.engine.restoring import restoring
from dolphin_realtime.engine.simulated import SimulatedEngine
from dolphin_realtime.model.market.instrument import OTHER, InstrumentSpec
from dolphin_realtime.model.market.venue import Venue as VenueRules
from dolphin_realtime.model.orders import EndKind, InFlight, Traded
from dolphin_realtime.model.portfolio.fill_rule import Execution
from dolphin_realtime.trading.execution import Outcomes, Start

BOOK_SIZE: Final = 1_000_000_000.0
"""Size of a modelled quote in units, so large that it never limits a fill."""
LEVERAGE: Final = Decimal(20)
CLOCK: Final = "CLOCK"
"""An asset name that no scan has. Its quote starts the core; without it, a node that ran on this
thread before would get the first order."""


class BacktestEngine(SimulatedEngine):
    """The engine of a backtest; use it within `running`."""

    def __init__(self, venue: VenueRules, outcomes: Outcomes) -> None:
        super().__init__(venue, outcomes)
        self._model = _FillModel()
        self._fees = _FeeModel()
        self._at_us = 1
        self._n_restored = 0
        self._heard: list[Traded | tuple[str, EndKind, str]] = []

    @contextmanager
    def running(self, start: Start) -> Iterator[None]:
        """Run the core around a block of work.

        Raises:
            EngineError: If another engine runs in this process.
        """
        with alone(f"the backtest of {start.owner}"):
            self._core = _core(self.venue, start.cash, self._model, self._fees)
            try:
                self._strategy = OrderStrategy.of(start.owner, self.venue.name)
                self._strategy.traded = self._heard.append
                self._strategy.closed = lambda *end: self._heard.append(end)
                self._strategy.failed = self._failed
                self._core.add_strategy(self._strategy)
                self._learn({CLOCK: OTHER})
                self._learn(start.specs)
                self._restore(start)
                self._begin(start)
                yield
            finally:
                self._core.end()
                self._core.dispose()
                self._strategy.forget_callers()
                del self._core, self._strategy  # the core must be freed on the thread that made it

    def _restore(self, start: Start) -> None:
        """Open the existing positions in the core, at their average price and without a fee."""
        for asset, (quantity, price) in start.positions.items():
            self._restore_by(asset, quantity, price)

    def _restore_by(self, asset: str, signed: float, price: float) -> None:
        self._n_restored += 1
        self._run(restoring(asset, signed, self._n_restored), abs(signed), price, 0.0)

    def adjust(self, asset: str, quantity: float, price: float) -> None:
        """Bring the core's position to ``quantity``; see `Engine.adjust`."""
        signed = round(quantity - self.position(asset), self.specs[asset].size_precision)
        self._net[asset] = quantity
        if signed:
            self._restore_by(asset, signed, price)

    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Return whether the condition holds; there is nothing to wait for here."""
        return is_so()

    async def add_instruments(self, specs: Mapping[str, InstrumentSpec]) -> None:
        """Add the instruments that are not known yet."""
        self._learn(specs)

    def _learn(self, specs: Mapping[str, InstrumentSpec]) -> None:
        """Add instruments to the core, each with a first quote: the core needs one per market."""
        new = [asset for asset in specs if asset not in self.specs]
        for asset in new:
            self.specs[asset] = specs[asset]
            self._core.add_instrument(make_instrument(self.venue.name, asset, specs[asset]))
        if new:
            self._show([(asset, 1.0) for asset in new])

    def position(self, asset: str) -> float:
        """Return the core's net position."""
        return float(self._core.portfolio.net_position(instrument_id(self.venue.name, asset)))

    def purge(self) -> None:
        """Drop closed orders, positions and account events from the core's memory."""
        now_ns = self._at_us * 1000
        self._core.cache.purge_closed_positions(now_ns, 0)
        self._core.cache.purge_closed_orders(now_ns, 0)
        self._core.cache.purge_account_events(now_ns, 0)

    def execute(self, execution: Execution) -> None:
        """Execute an order at its quote's instant; its outcome is reported before this returns."""
        self._at_us = max(self._at_us, execution.quote.at_us)
        super().execute(execution)

    def _hand_over(self, order: InFlight) -> None:
        self._arrived(order.client_order_id)

    def _fill(self, order: InFlight, fill: Traded) -> None:
        self._run(order, fill.quantity, fill.price, fill.fee)

    def _hear(self) -> None:
        heard, self._heard[:] = list(self._heard), []
        for event in heard:
            if isinstance(event, Traded):
                self._traded(msgspec.structs.replace(event, fill_id=f"{event.order_id}-1"))
            else:
                self._ended(*event)

    def _close(self, order: InFlight, kind: EndKind, reason: str) -> None:
        self._ended(order.client_order_id, kind, reason)

    def _run(self, order: InFlight, quantity: float, price: float, fee: float) -> None:
        """Hand an order to the core with an order book at its price, and advance the core."""
        spec = self.specs[order.order.asset]
        self._model.price = Price(price, spec.price_precision)
        self._model.size = Quantity(BOOK_SIZE, spec.size_precision)
        self._fees.fee = Money(fee, USDT)
        self._strategy.submit(order, Quantity(quantity, spec.size_precision))
        self._show([(order.order.asset, price)])

    def _show(self, prices: Sequence[tuple[str, float]]) -> None:
        """Advance the core to the current instant, with a quote for each of the assets."""
        self._core.add_data([self._quote(*pair) for pair in prices], validate=False)
        self._core.run(streaming=True)
        self._core.clear_data()

    def _quote(self, asset: str, price: float) -> QuoteTick:
        spec, now_ns = self.specs[asset], self._at_us * 1000
        at = Price(price, spec.price_precision)
        size = Quantity(BOOK_SIZE, spec.size_precision)
        return QuoteTick(instrument_id(self.venue.name, asset), at, at, size, size, now_ns, now_ns)


class _FillModel(FillModel):
    """Gives each order an order book with one level per side, at its fill price."""

    price: Price
    size: Quantity

    def get_orderbook_for_fill_simulation(
        self, instrument: Any, order: Any, best_bid: Any = None, best_ask: Any = None
    ) -> OrderBook:  # fmt: skip
        """Return the order book against which an order is matched."""
        book = OrderBook(instrument.id, BookType.L2_MBP)
        book.add(BookOrder(OrderSide.BUY, self.price, self.size, 1), 0, 1, 0)
        book.add(BookOrder(OrderSide.SELL, self.price, self.size, 2), 0, 2, 0)
        return book


class _FeeModel(FeeModel):
    """Charges the fee that was computed by the venue's rules."""

    fee: Money

    def get_commission(
        self, order: Any, fill_quantity: Any, fill_px: Any, instrument: Any
    ) -> Money:
        """Return the fee of the current order."""
        return self.fee


def _core(venue: VenueRules, cash: float, fills: FillModel, fees: FeeModel) -> Core:
    core = Core(
        BacktestEngineConfig(
            logging=SILENT,
            bypass_logging=True,
            run_analysis=False,
            risk_engine=RiskEngineConfig(bypass=True),
            cache=CacheConfig(tick_capacity=2, bar_capacity=1, persist_account_events=False),
        )
    )
    core.add_venue(
        venue=Venue(venue.name),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USDT,
        starting_balances=[Money(cash, USDT)],
        default_leverage=LEVERAGE,
        fill_model=fills,
        fee_model=fees,
    )
    return core
