"""Mapping to NautilusTrader: instruments, orders, and the strategy that submits orders.

Shared by paper.py and backtest.py. No exception leaves a callback, because NautilusTrader would
log and swallow it; it is reported as a failure of the engine, and nothing is opened after it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any, Final

from nautilus_trader.common import LoggerConfig, SocketState
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    ClientOrderId,
    CryptoPerpetual,
    Currency,
    InstrumentId,
    MarketOrder,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    StrategyId,
    Symbol,
    TimeInForce,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from dolphin_realtime.engine.restoring import RESTORED
from dolphin_realtime.model.errors import EngineError
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.orders import EndKind, InFlight, Traded

USDT: Final = Currency.from_str("USDT")
ANY_BASE: Final = Currency.from_str("BTC")
"""Nominal base currency of all instruments: positions count units; none is settled in it."""
SILENT: Final = LoggerConfig(bypass_logging=True)
_running: list[str] = []


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Allow one running engine per process.

    Raises:
        EngineError: If an engine runs already: a second one would silently disconnect the first.
    """
    if _running:
        raise EngineError(f"{_running[0]} runs in this process; a process has one trading engine")
    _running.append(what)
    try:
        yield
    finally:
        _running.clear()


BINANCE: Final = "BINANCE"
PERPETUAL: Final = "-PERP"
"""What NautilusTrader adds to a perpetual's name at Binance."""


@cache
def instrument_id(venue: str, asset: str) -> InstrumentId:
    """Return the id of an asset at a venue."""
    return InstrumentId(Symbol(asset + (PERPETUAL if venue == BINANCE else "")), Venue(venue))


def make_instrument(venue: str, asset: str, spec: InstrumentSpec) -> CryptoPerpetual:
    """Return a linear perpetual by a venue's rules; margins are 0, Dolphin's own caps apply."""
    return CryptoPerpetual(
        instrument_id=instrument_id(venue, asset),
        raw_symbol=Symbol(asset),
        base_currency=ANY_BASE,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=spec.price_precision,
        size_precision=spec.size_precision,
        price_increment=Price(10.0**-spec.price_precision, spec.price_precision),
        size_increment=Quantity(10.0**-spec.size_precision, spec.size_precision),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
    )


class OrderStrategy(Strategy):
    """Submits orders and reports their events; it decides nothing.

    Attributes:
        traded: Called with each fill.
        closed: Called with (order id, kind, reason) when an order ends without a full fill.
        failed: Called with the reason why the core cannot be trusted any more.
        known: Called with each asset whose instrument the core has added while running.
        restored: Called when the core has booked an order of restoring.py.
        socket: Called with a connection's name and whether it is up; a live venue has some.
        venue: Name of the venue whose instruments it subscribes to.
    """

    traded: Callable[[Traded], None]
    closed: Callable[[str, EndKind, str], None]
    failed: Callable[[str], None]
    known: Callable[[str], None] | None = None
    restored: Callable[[], None] | None = None
    socket: Callable[[str, bool], None] | None = None
    venue: str

    @classmethod
    def of(cls, owner: str, venue: str) -> "OrderStrategy":
        """Return the strategy of an instance."""
        strategy = cls(
            StrategyConfig(
                strategy_id=StrategyId(f"Dolphin-{owner}"),
                order_id_tag=owner,
                oms_type=OmsType.NETTING,
                log_events=False,
                log_commands=False,
            )
        )
        strategy.venue = venue
        return strategy

    def on_start(self) -> None:
        """Subscribe to new instruments if `known` is set; orders come through `submit`."""
        if self.known is not None:
            self.subscribe_instruments(Venue(self.venue))
        if self.socket is not None:
            self.subscribe_socket_state()

    def on_instrument(self, instrument: Any) -> None:
        """Report an instrument that the core has added."""
        known = self.known
        if known is not None:
            self._guarded(lambda: known(instrument.id.symbol.value))

    def on_socket_state(self, event: Any) -> None:
        """Report that a connection of the venue's client came or went."""
        is_up = event.state == SocketState.CONNECTED
        if self.socket is not None:
            self.socket(event.endpoint, is_up)

    def submit(self, order: InFlight, size: Quantity) -> None:
        """Submit a market order to the core."""
        intent, owner = order.order, self.trader_id
        if owner is None:
            raise EngineError("an order was handed over before the engine was running")
        self.submit_order(
            MarketOrder(
                owner,
                self.strategy_id,
                instrument_id(self.venue, intent.asset),
                ClientOrderId(order.client_order_id),
                OrderSide.BUY if intent.side == "BUY" else OrderSide.SELL,
                size,
                UUID4(),
                self.clock.timestamp_ns(),
                TimeInForce.GTC,
                intent.is_reduce_only,
                False,
            )
        )

    def forget_callers(self) -> None:
        """Drop the callbacks, so that core objects are not freed later by another thread's gc."""
        del self.traded, self.closed, self.failed
        self.known = self.restored = self.socket = None

    def on_order_filled(self, event: Any) -> None:
        """Report a fill."""
        order_id = event.client_order_id.value
        if order_id.startswith(RESTORED):
            if self.restored is not None:
                self.restored()
            return
        fill = Traded(
            order_id,
            event.trade_id.value,
            event.last_qty.as_double(),
            event.last_px.as_double(),
            event.commission.as_double() if event.commission is not None else 0.0,
        )
        self._guarded(lambda: self.traded(fill))

    def on_order_rejected(self, event: Any) -> None:
        """Report a rejection by the venue."""
        self._tell(event, EndKind.REJECTED, f"REJECTED: {event.reason}")

    def on_order_denied(self, event: Any) -> None:
        """Report a denial by the core."""
        self._tell(event, EndKind.REJECTED, f"DENIED: {event.reason}")

    def on_order_canceled(self, event: Any) -> None:
        """Report a cancellation."""
        self._tell(event, EndKind.CANCELED, "CANCELED: by the venue")

    def on_order_expired(self, event: Any) -> None:
        """Report that the rest of an order expired at the venue."""
        self._tell(event, EndKind.EXPIRED, "EXPIRED: by the venue")

    def _tell(self, event: Any, kind: EndKind, reason: str) -> None:
        self._guarded(lambda: self.closed(event.client_order_id.value, kind, reason))

    def _guarded(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as e:  # noqa: BLE001 - the core would swallow it
            self.failed(f"{type(e).__name__} while an order's event was taken: {e}")
