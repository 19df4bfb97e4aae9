"""The Nautilus side of trading: scans as data, the strategy, instruments, orders.

The same strategy runs on paper and in the backtest. What to do is the desk's business
(model/desk.py); this module turns its orders into Nautilus orders and Nautilus' fills into
the desk's bookkeeping. Prices are USDT, instants nanoseconds where Nautilus wants them.
"""

import time
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, Final

import msgspec
from nautilus_trader.analysis.analyzer import PortfolioAnalyzer
from nautilus_trader.core.data import Data
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import DataType, QuoteTick
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import ClientId, ClientOrderId, InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Currency, Price, Quantity
from nautilus_trader.model.orders import MarketOrder
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from dolphin_realtime.model.decision import Limits
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.fill_rule import Quote
from dolphin_realtime.model.gates import Book, Factors
from dolphin_realtime.model.instrument import InstrumentSpec
from dolphin_realtime.model.plan import CostParams, InFlight, Plan
from dolphin_realtime.model.scan import Scan

VENUE: Final = Venue("SIM")
EIGEN: Final = ClientId("EIGEN")
QUOTE_SIZE: Final = 1_000_000_000.0
"""Size of a modelled quote in units: never the limit of a fill."""
_MARGIN_INIT: Final = Decimal("0.05")
_MARGIN_MAINT: Final = Decimal("0.025")


def tame_nautilus() -> None:
    """Stop Nautilus from recording every closed position's profit in a growing series.

    That record makes the cost of a fill grow with the number of closed positions; Dolphin
    computes its own figures from the journal. Call once, before a node or engine is built.
    """
    PortfolioAnalyzer.record_trade = lambda self, *args, **kwargs: None  # noqa: ARG005


class EigenScan(Data):
    """One scan on Nautilus' bus, with what the desk may know and do at it."""

    def __init__(self, scan: Scan, limits: Limits) -> None:
        self.scan, self.limits = scan, limits
        self.book: dict[str, Book] | None = None
        self.factors: Factors | None = None
        self.follow: list[InFlight] | None = None

    @property
    def ts_event(self) -> int:
        """The scan's instant in ns."""
        return self.scan.timestamp_us * 1000

    @property
    def ts_init(self) -> int:
        """The same: scans are replayed by their own clock."""
        return self.scan.timestamp_us * 1000


SCAN: Final = DataType(EigenScan)


@cache
def instrument_id(asset: str) -> InstrumentId:
    """Return the Nautilus id of an asset."""
    return InstrumentId(Symbol(asset), VENUE)


def make_instrument(asset: str, spec: InstrumentSpec, costs: CostParams) -> CryptoPerpetual:
    """Return a linear USDT perpetual with the fees of the cost model."""
    base = asset.removesuffix("USDT") or asset
    return CryptoPerpetual(
        instrument_id=instrument_id(asset),
        raw_symbol=Symbol(asset),
        base_currency=Currency.from_str(base, strict=False) or USDT,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=spec.price_precision,
        size_precision=spec.size_precision,
        price_increment=Price(10.0**-spec.price_precision, spec.price_precision),
        size_increment=Quantity(10.0**-spec.size_precision, spec.size_precision),
        ts_event=0,
        ts_init=0,
        margin_init=_MARGIN_INIT,
        margin_maint=_MARGIN_MAINT,
        maker_fee=Decimal(str(costs.maker_fee_bps)) / 10_000,
        taker_fee=Decimal(str(costs.taker_fee_bps)) / 10_000,
    )


def make_quote(quote: Quote, spec: InstrumentSpec) -> QuoteTick:
    """Return a quote of unlimited size: what a size costs is in the quote's prices already."""
    size = Quantity(QUOTE_SIZE, spec.size_precision)
    return QuoteTick(
        instrument_id=instrument_id(quote.asset),
        bid_price=Price(quote.bid, spec.price_precision),
        ask_price=Price(quote.ask, spec.price_precision),
        bid_size=size,
        ask_size=size,
        ts_event=quote.at_us * 1000,
        ts_init=quote.at_us * 1000,
    )


class ScanStrategy(Strategy):
    """Turns each scan's plan into market orders; ``first_sent_ns`` is when the last first one was sent.

    Unknown, stale or failed input opens nothing: the desk decides so, and ``on_plan``
    returning False (the intent could not be written) keeps every order back.
    """

    def __init__(self, desk: Desk, on_plan: Callable[[Plan], bool], on_outcome: Any) -> None:
        super().__init__(
            StrategyConfig(
                strategy_id="Dolphin",
                order_id_tag=desk.instance,
                log_events=False,
                log_commands=False,
            )
        )
        self.desk = desk
        self.plan: Plan | None = None
        self.first_sent_ns = self.last_sent_ns = 0
        self._on_plan, self._on_outcome = on_plan, on_outcome

    def on_start(self) -> None:
        """Subscribe to scans."""
        self.subscribe_data(SCAN, client_id=EIGEN)

    def on_data(self, data: EigenScan) -> None:
        """Take one scan: decide, write the intent, send."""
        if data.follow is None:
            plan = self.desk.take(data.scan, data.limits, data.book, data.factors)
        else:
            plan = self.desk.follow(data.scan, data.follow, data.book, data.factors)
        self.plan = plan
        if not plan.orders:
            return
        if data.follow is None and not self._on_plan(plan):
            for order in plan.orders:
                self.desk.lapse(order.client_order_id)
            plan.orders = []
            plan.decisions = [
                msgspec.structs.replace(d, orders=(), reason="JOURNAL_FAILED") if d.orders else d
                for d in plan.decisions
            ]
            return
        self.send(plan.orders)

    def send(self, orders: list[InFlight]) -> None:
        """Hand orders to the venue in order."""
        for n, order in enumerate(orders):
            self.submit_order(self.market_order(order))
            if n == 0:
                self.first_sent_ns = time.monotonic_ns()
        self.last_sent_ns = time.monotonic_ns()

    def market_order(self, order: InFlight) -> MarketOrder:
        """Return an order as Nautilus' own."""
        spec = self.desk.instruments[order.order.asset]
        return MarketOrder(
            trader_id=self.trader_id,
            strategy_id=self.id,
            instrument_id=instrument_id(order.order.asset),
            client_order_id=ClientOrderId(order.client_order_id),
            order_side=OrderSide.BUY if order.order.side == "BUY" else OrderSide.SELL,
            quantity=Quantity(order.order.quantity, spec.size_precision),
            init_id=UUID4(),
            ts_init=self.clock.timestamp_ns(),
            time_in_force=TimeInForce.GTC,
            reduce_only=order.order.is_reduce_only,
        )

    def on_order_filled(self, event: OrderFilled) -> None:
        """Hand a fill to its owner."""
        self._on_outcome.filled(
            event.client_order_id.value,
            event.last_qty.as_double(),
            event.last_px.as_double(),
            event.commission.as_double(),
        )

    def on_order_rejected(self, event: Any) -> None:
        """Hand a refusal of the venue to its owner."""
        self._on_outcome.unfilled(event.client_order_id.value, f"REJECTED: {event.reason}")

    def on_order_denied(self, event: Any) -> None:
        """Hand a refusal of Nautilus' risk engine to its owner."""
        self._on_outcome.unfilled(event.client_order_id.value, f"DENIED: {event.reason}")

    def on_order_canceled(self, event: Any) -> None:
        """Hand a cancel to its owner."""
        self._on_outcome.cancelled(event.client_order_id.value)
