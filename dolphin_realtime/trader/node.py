"""Building the Nautilus node of one instance: paper venue, scan data client, positions.

Every Nautilus switch that matters is set here, explicitly. What the node trades is the
strategy's business (strategy.py).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.cache.config import CacheConfig
from nautilus_trader.common import Environment
from nautilus_trader.common.config import InstrumentProviderConfig, LoggingConfig
from nautilus_trader.config import LiveDataClientConfig
from nautilus_trader.data.engine import DataEngine
from nautilus_trader.live.config import (
    LiveDataEngineConfig,
    LiveExecEngineConfig,
    LiveRiskEngineConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.data_client import LiveDataClient
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.identifiers import TraderId

from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.fill_rule import Quote
from dolphin_realtime.model.posture import Posture
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.restored import restore_positions
from dolphin_realtime.strategy import (
    EIGEN,
    VENUE,
    ScanStrategy,
    instrument_id,
    make_instrument,
    make_quote,
    tame_nautilus,
)
from dolphin_realtime.trader.venue import PaperVenue, SandboxLiveExecClientFactory

START_TIMEOUT_S = 30.0
PURGE_EVERY_FILLS = 50
"""Closed positions are unpickled again at each fill until they are purged: purge by count."""
FENCE = {
    Posture.NORMAL: TradingState.ACTIVE,
    Posture.REDUCED: TradingState.ACTIVE,
    Posture.CLOSE_ONLY: TradingState.REDUCING,
    Posture.HALTED: TradingState.HALTED,
}
LEVERAGE = Decimal(20)
"""High enough that Nautilus' margin never decides: Dolphin's own caps do."""
NO_RATE_LIMIT = "1000000/00:00:01"


class _ScanDataClient(LiveDataClient):
    """Stands for the scan feed: scans come by publish, nothing is subscribed at a venue."""

    async def _connect(self) -> None:
        pass

    async def _disconnect(self) -> None:
        pass

    async def _subscribe(self, command: Any) -> None:
        pass

    async def _unsubscribe(self, command: Any) -> None:
        pass


class _ScanDataClientFactory(LiveDataClientFactory):
    @staticmethod
    def create(loop: Any, name: str, config: Any, msgbus: Any, cache: Any, clock: Any) -> Any:  # noqa: ARG004
        return _ScanDataClient(
            loop=loop, client_id=EIGEN, venue=None, msgbus=msgbus, cache=cache, clock=clock
        )


def _config(desk: Desk) -> TradingNodeConfig:
    balance = f"{desk.account.cash:.8f} USDT"
    return TradingNodeConfig(
        environment=Environment.SANDBOX,
        trader_id=TraderId(f"DOLPHIN-{desk.instance}"),
        logging=LoggingConfig(log_level="ERROR", log_colors=False, print_config=False),
        cache=CacheConfig(tick_capacity=2, bar_capacity=1),
        data_engine=LiveDataEngineConfig(graceful_shutdown_on_exception=True),
        risk_engine=LiveRiskEngineConfig(
            max_order_submit_rate=NO_RATE_LIMIT,
            max_order_modify_rate=NO_RATE_LIMIT,
            graceful_shutdown_on_exception=True,
        ),
        exec_engine=LiveExecEngineConfig(
            reconciliation=False,
            inflight_check_interval_ms=0,
            open_check_interval_secs=None,
            purge_closed_orders_interval_mins=1,
            purge_closed_orders_buffer_mins=0,
            purge_closed_positions_interval_mins=1,
            purge_closed_positions_buffer_mins=0,
            purge_account_events_interval_mins=1,
            purge_account_events_lookback_mins=0,
            graceful_shutdown_on_exception=True,
        ),
        data_clients={EIGEN.value: LiveDataClientConfig()},
        exec_clients={
            VENUE.value: SandboxExecutionClientConfig(
                venue=VENUE.value,
                starting_balances=[balance],
                base_currency="USDT",
                account_type="MARGIN",
                oms_type="NETTING",
                default_leverage=LEVERAGE,
                instrument_provider=InstrumentProviderConfig(),
            )
        },
        timeout_connection=10.0,
        timeout_reconciliation=1.0,
        timeout_portfolio=5.0,
        timeout_disconnection=2.0,
        timeout_post_stop=0.2,
    )


@asynccontextmanager
async def started(node: "Node") -> AsyncIterator[None]:
    """Run a node around a block of work, and stop it in order.

    Raises:
        ServiceError: If it is not running within START_TIMEOUT_S.
    """
    running = asyncio.create_task(node.node.run_async())
    deadline = time.monotonic() + START_TIMEOUT_S
    while not node.node.trader.is_running:
        if running.done() or time.monotonic() > deadline:
            raise ServiceError("the Nautilus node did not start; its log lines are above")
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        await node.node.stop_async()
        await asyncio.wait([running], timeout=5)


class Node:
    """A running node of one instance.

    Attributes:
        venue: The paper venue, once built.
    """

    def __init__(self, desk: Desk, strategy: ScanStrategy, loop: asyncio.AbstractEventLoop) -> None:
        tame_nautilus()
        self.desk, self.strategy = desk, strategy
        self.node = TradingNode(config=_config(desk), loop=loop)
        self.node.add_data_client_factory(EIGEN.value, _ScanDataClientFactory)
        self.node.add_exec_client_factory(VENUE.value, SandboxLiveExecClientFactory)
        for asset in desk.instruments:
            self._cache_instrument(asset)
        self.node.trader.add_strategy(strategy)
        self.node.build()
        restore_positions(self.kernel.cache, strategy, desk)
        venue = SandboxLiveExecClientFactory.venue
        if venue is None:
            raise AssertionError("the node was built without its venue")
        self.venue: PaperVenue = venue
        self._purged_at = 0

    @property
    def kernel(self) -> Any:
        """Nautilus' kernel: engines, cache, bus."""
        return self.node.kernel

    def _cache_instrument(self, asset: str) -> Any:
        instrument = make_instrument(asset, self.desk.instruments[asset], self.desk.costs)
        self.kernel.cache.add_instrument(instrument)
        return instrument

    def add_new_instruments(self, scan: Scan) -> None:
        """Make names known to Nautilus that the desk has learnt at a scan."""
        for asset in scan.assets:
            if asset not in self.desk.instruments:
                continue
            if self.kernel.cache.instrument(instrument_id(asset)) is None:
                self.venue.exchange.add_instrument(self._cache_instrument(asset))

    def publish_quote(self, quote: Quote) -> None:
        """Show a quote to Nautilus' cache and to the paper venue, at once."""
        tick = make_quote(quote, self.desk.instruments[quote.asset])
        DataEngine.process(self.kernel.data_engine, tick)

    def set_fence(self, posture: Posture | None) -> None:
        """Let Nautilus' trading state follow the posture: the second fence, never the first.

        REDUCING still lets a flat account open, HALTED refuses even closes: the desk decides.
        """
        state = FENCE[posture or Posture.CLOSE_ONLY]
        if state != self.kernel.risk_engine.trading_state:
            self.kernel.risk_engine.set_trading_state(state)

    def purge(self, n_fills: int) -> None:
        """Drop closed orders, positions and account events from memory, every so many fills."""
        if n_fills - self._purged_at < PURGE_EVERY_FILLS:
            return
        self._purged_at = n_fills
        cache, now_ns = self.kernel.cache, self.kernel.clock.timestamp_ns()
        cache.purge_closed_positions(now_ns, 0)
        cache.purge_closed_orders(now_ns, 0)
        cache.purge_account_events(now_ns, 0)

    def position(self, asset: str) -> float:
        """Return Nautilus' own view of an asset's position in units."""
        return float(self.kernel.portfolio.net_position(instrument_id(asset)))
