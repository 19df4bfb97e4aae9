"""Positions that a desk holds already, put into a new Nautilus cache before it runs.

Shared by the trader after a restart and by a backtest that begins with positions. Only the
shape that Nautilus wants belongs here: one opening fill an instrument, at its average price.
"""

from typing import Any

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.enums import LiquiditySide, OmsType, OrderSide, OrderType, TimeInForce
from nautilus_trader.model.events import OrderAccepted, OrderFilled, OrderSubmitted
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientOrderId,
    PositionId,
    TradeId,
    VenueOrderId,
)
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.model.orders import MarketOrder
from nautilus_trader.model.position import Position

from dolphin_realtime.model.desk import Desk
from dolphin_realtime.strategy import VENUE, ScanStrategy, instrument_id


def restore_positions(cache: Any, strategy: ScanStrategy, desk: Desk) -> None:
    """Give Nautilus the desk's open positions; their instruments must be in the cache."""
    for asset, position in desk.account.positions.items():
        if position.quantity != 0.0:
            _restore(
                cache, strategy, desk.instance, asset, position.quantity, position.average_price
            )


def _restore(
    cache: Any, strategy: ScanStrategy, instance: str, asset: str, quantity: float, price: float
) -> None:
    instrument = cache.instrument(instrument_id(asset))
    side = OrderSide.BUY if quantity > 0.0 else OrderSide.SELL
    size = Quantity(abs(quantity), instrument.size_precision)
    position_id = PositionId(f"{instrument.id}-{strategy.id}")
    ids = {
        "trader_id": strategy.trader_id,
        "strategy_id": strategy.id,
        "instrument_id": instrument.id,
        "client_order_id": ClientOrderId(f"{instance}-RESTORED-{asset}"),
    }
    account = AccountId(f"{VENUE.value}-001")
    venue_order = VenueOrderId(f"RESTORED-{asset}")
    now = {"ts_event": 0, "ts_init": 0}
    order = MarketOrder(
        order_side=side,
        quantity=size,
        init_id=UUID4(),
        ts_init=0,
        time_in_force=TimeInForce.GTC,
        **ids,
    )
    order.apply(OrderSubmitted(account_id=account, event_id=UUID4(), **ids, **now))
    order.apply(
        OrderAccepted(
            account_id=account, venue_order_id=venue_order, event_id=UUID4(), **ids, **now
        )
    )
    fill = OrderFilled(
        venue_order_id=venue_order,
        account_id=account,
        trade_id=TradeId(f"RESTORED-{asset}"),
        order_side=side,
        order_type=OrderType.MARKET,
        last_qty=size,
        last_px=Price(price, instrument.price_precision),
        currency=USDT,
        commission=Money(0, USDT),
        liquidity_side=LiquiditySide.TAKER,
        position_id=position_id,
        event_id=UUID4(),
        **ids,
        **now,
    )
    order.apply(fill)
    cache.add_order(order, position_id)
    cache.update_order(order)
    cache.add_position(Position(instrument, fill), OmsType.NETTING)
