"""The two clients of the paper node: the instrument feed, and the venue that holds orders.

The venue client keeps no state and decides nothing: it passes a submitted order to the engine, and
reports what the engine decides to the node.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.live.clients import DataClient, ExecutionClient
from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AccountType,
    LiquiditySide,
    Money,
    OmsType,
    OrderStatus,
    PositionSide,
    PositionStatusReport,
    Price,
    Quantity,
    TradeId,
    Venue,
    VenueOrderId,
)

from dolphin_realtime.engine.nautilus import USDT, instrument_id, make_instrument
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.market.venue import Venue as VenueRules
from dolphin_realtime.model.orders import EndKind
from dolphin_realtime.trading.execution import Start


class Feed(DataClient):
    """Supplies instruments to the node; there is no market data."""

    def __init__(self, rules: VenueRules, start: Start, **kwargs: Any) -> None:
        super().__init__(**kwargs, venue=Venue(rules.name))
        self._rules, self._start = rules, start

    async def _connect(self) -> None:
        for asset, spec in self._start.specs.items():
            self.show(asset, spec)

    async def _disconnect(self) -> None:
        pass

    async def _subscribe_instruments(self, command: Any) -> None:
        pass

    def show(self, asset: str, spec: InstrumentSpec) -> None:
        """Publish an instrument to the node."""
        self._handle_instrument(make_instrument(self._rules.name, asset, spec))


class HoldingVenue(ExecutionClient):
    """The simulated venue: passes submitted orders to the engine, and reports what it decides."""

    def __init__(
        self, rules: VenueRules, start: Start, arrived: Callable[[Any], None], **kwargs: Any
    ) -> None:
        super().__init__(
            **kwargs,
            venue=Venue(rules.name),
            account_id=AccountId(f"{rules.name}-{rules.account}"),
            account_type=AccountType.MARGIN,
            oms_type=OmsType.NETTING,
            base_currency=USDT,
        )
        self._rules, self._start, self._arrived = rules, start, arrived

    async def _connect(self) -> None:
        cash = Money(self._start.cash, USDT)
        balance = AccountBalance(cash, Money(0, USDT), cash)
        self.generate_account_state([balance], [], True, self.clock.timestamp_ns())

    async def _disconnect(self) -> None:
        pass

    async def _submit_order(self, command: Any) -> None:
        self._arrived(command.order)

    async def _generate_order_status_reports(self, command: Any) -> list[Any]:
        return []

    async def _generate_fill_reports(self, command: Any) -> list[Any]:
        return []

    async def _generate_position_status_reports(self, command: Any) -> list[Any]:
        now_ns = self.clock.timestamp_ns()
        return [
            PositionStatusReport(
                self.account_id,
                instrument_id(self._rules.name, asset),
                PositionSide.LONG if quantity > 0.0 else PositionSide.SHORT,
                Quantity(abs(quantity), self._start.specs[asset].size_precision),
                now_ns,
                now_ns,
                avg_px_open=Decimal(repr(price)),
            )
            for asset, (quantity, price) in self._start.positions.items()
        ]

    def fill(self, order: Any, fill_id: str, size: Quantity, price: Price, fee: Money) -> None:
        """Report a fill."""
        now_ns, venue_id = self._accept(order)
        self.generate_order_filled(
            order, venue_id, None, TradeId(fill_id), size, price, USDT, fee,
            LiquiditySide.TAKER, now_ns,
        )  # fmt: skip

    def close(self, order: Any, kind: EndKind, reason: str) -> None:
        """Report the end of an order that did not fill in full."""
        if kind in (EndKind.REJECTED, EndKind.NEVER_THERE):
            self.generate_order_submitted(order)
            self.generate_order_rejected(order, reason, self.clock.timestamp_ns(), False)
            return
        now_ns, venue_id = self._accept(order)
        if kind is EndKind.EXPIRED:
            self.generate_order_expired(order, venue_id, now_ns)
        else:
            self.generate_order_canceled(order, venue_id, now_ns)

    def _accept(self, order: Any) -> tuple[int, VenueOrderId]:
        now_ns, venue_id = self.clock.timestamp_ns(), VenueOrderId(order.client_order_id.value)
        if order.status == OrderStatus.INITIALIZED:
            self.generate_order_submitted(order)
            self.generate_order_accepted(order, venue_id, now_ns)
        return now_ns, venue_id
