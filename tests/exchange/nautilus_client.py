"""NautilusTrader's own Binance USD-M client against a loopback venue, in a process of its own.

    python -m tests.exchange.nautilus_client PORT ORDERS

ORDERS is JSON: [[asset, side, quantity, id, reduce_only], ...], sent one after the other, each
when the one before has ended. Prints one JSON line an event, and the node's view at the end.
"""

import asyncio
import json
import os
import sys
from decimal import Decimal

from nautilus_trader.adapters.binance import (
    BinanceEnvironment,
    BinanceExecutionClientConfig,
    BinanceExecutionClientFactory,
    BinanceInstrumentProviderConfig,
    BinanceProductType,
)
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.core import UUID4
from nautilus_trader.live import (
    DataClientConfig,
    LiveExecutionEngineConfig,
    LiveNode,
    LiveRiskEngineConfig,
    SubmissionRecoveryPolicy,
)
from nautilus_trader.live.clients import DataClient, DataClientFactory
from nautilus_trader.model import (
    AccountId,
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
    TraderId,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from tests.exchange.conftest import KEY, SECRET

DIGITS = {"BTCUSDT": (1, 3), "ETHUSDT": (2, 3), "XRPUSDT": (4, 0)}
ENDS = ("OrderFilled", "OrderRejected", "OrderDenied", "OrderExpired", "OrderCanceled")
USDT = Currency.from_str("USDT")


def say(**what):
    print(json.dumps(what), flush=True)


def id_of(asset):
    return InstrumentId.from_str(f"{asset}-PERP.BINANCE")


def instrument_of(asset):
    price, size = DIGITS[asset]
    return CryptoPerpetual(
        instrument_id=id_of(asset), raw_symbol=Symbol(asset),
        base_currency=Currency.from_str(asset.removesuffix("USDT")), quote_currency=USDT,
        settlement_currency=USDT, is_inverse=False, price_precision=price, size_precision=size,
        price_increment=Price(10.0**-price, price), size_increment=Quantity(10.0**-size, size),
        ts_event=0, ts_init=0, margin_init=Decimal("0.05"), margin_maint=Decimal("0.025"),
    )  # fmt: skip


class Instruments(DataClient):
    """Gives the node its instruments: it drops reports of those that it does not know."""

    async def _connect(self):
        for asset in DIGITS:
            self._handle_instrument(instrument_of(asset))

    async def _disconnect(self):
        pass


class InstrumentsFactory(DataClientFactory):
    """Makes the client of the instruments."""

    @staticmethod
    def create(**fields):
        return Instruments(**fields, venue=Venue("BINANCE"))


class Sender(Strategy):
    """Sends orders in turn and says every event."""

    def __init__(self, orders):
        super().__init__(StrategyConfig(
            strategy_id=StrategyId("Judge-000"), order_id_tag="000", oms_type=OmsType.NETTING,
            external_order_instrument_ids=[id_of(asset) for asset in DIGITS],
        ))  # fmt: skip
        self.left, self.waiting = list(orders), {}

    def on_start(self):
        held = [(str(p.instrument_id), str(p.quantity)) for p in self.cache.positions_open()]
        say(event="started", positions=held)
        self.send()

    def send(self):
        if not self.left:
            say(event="done")
            return
        asset, side, quantity, name, reduces = self.left.pop(0)
        self.waiting[name] = Decimal(quantity)
        self.submit_order(MarketOrder(
            self.trader_id, self.strategy_id, id_of(asset), ClientOrderId(name),
            OrderSide.BUY if side == "BUY" else OrderSide.SELL,
            Quantity(float(quantity), DIGITS[asset][1]), UUID4(), self.clock.timestamp_ns(),
            TimeInForce.GTC, reduces, False,
        ))  # fmt: skip

    def on_order_event(self, event):
        kind, name = type(event).__name__, event.client_order_id.value
        if kind not in (*ENDS, "OrderAccepted"):
            return
        more = {}
        if kind == "OrderFilled":
            more = {"quantity": str(event.last_qty), "price": str(event.last_px),
                    "fee": str(event.commission), "trade": str(event.trade_id)}  # fmt: skip
            self.waiting[name] -= Decimal(str(event.last_qty))
        elif kind in ENDS:
            more = {"reason": str(getattr(event, "reason", ""))}
            self.waiting[name] = Decimal(0)
        say(event=kind, id=name, **more)
        if kind in ENDS and not self.waiting[name]:
            self.send()


def node_of(port):
    base = f"127.0.0.1:{port}"
    client = BinanceExecutionClientConfig(
        account_id=AccountId("BINANCE-001"), product_type=BinanceProductType.USD_M,
        environment=BinanceEnvironment.LIVE, base_url_http=f"http://{base}",
        base_url_ws=f"ws://{base}", base_url_ws_trading=f"ws://{base}/ws-fapi/v1",
        use_ws_trading=False, api_key=KEY, api_secret=SECRET, oms_type=OmsType.NETTING,
        use_position_ids=False, max_retries=int(os.environ.get("JUDGE_RETRIES", "0")), recv_window_ms=3000, instrument_refresh_interval_secs=0,
        instrument_provider=BinanceInstrumentProviderConfig(
            load_all=False, load_ids=[str(id_of(asset)) for asset in DIGITS]
        ),
    )  # fmt: skip
    engine = LiveExecutionEngineConfig(
        reconciliation=True, reconciliation_startup_delay_secs=0.0, reconciliation_lookback_mins=10,
        inflight_check_interval_ms=0, open_check_interval_secs=None,
        position_check_interval_secs=None,
        submission_recovery_policy=SubmissionRecoveryPolicy.RETAIN_UNRESOLVED,
    )  # fmt: skip
    return (
        LiveNode.builder("JUDGE", TraderId("JUDGE-000"), Environment.LIVE)
        .with_logging(
            LoggerConfig(stdout_level=LogLevel.OFF, is_colored=False, bypass_logging=True)
        )
        .with_reconciliation(True)
        .with_timeout_connection(20)
        .with_timeout_reconciliation(20)
        .with_timeout_disconnection_secs(2)
        .with_delay_post_stop_secs(0)
        .with_risk_engine_config(LiveRiskEngineConfig(bypass=True))
        .with_exec_engine_config(engine)
        .add_data_client("INSTRUMENTS", InstrumentsFactory, DataClientConfig())
        .add_exec_client("BINANCE", BinanceExecutionClientFactory(), client)
        .build()
    )


async def main():
    node = node_of(int(sys.argv[1]))
    sender = Sender(json.loads(sys.argv[2]))
    node.add_strategy(sender)
    cache, handle = node.cache, node.handle()
    running = asyncio.create_task(node.run_async())
    while sender.left or any(sender.waiting.values()) or not sender.waiting:
        await asyncio.sleep(0.02)
        if running.done():
            break
    say(event="held", positions={
        str(p.instrument_id): (str(p.side), str(p.quantity)) for p in cache.positions_open()
    })  # fmt: skip
    handle.stop()
    await running


if __name__ == "__main__":
    asyncio.run(main())
