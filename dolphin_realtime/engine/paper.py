"""The paper engine: a NautilusTrader node in the trader's own loop, with a venue that holds orders.

All relevant options of the node are set here explicitly. The venue does no matching: an order
waits until the fill rule has found its quote, and fills at that price with the fee we computed.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from nautilus_trader.common import CacheConfig, Environment
from nautilus_trader.live import (
    DataClientConfig,
    ExecutionClientConfig,
    LiveExecutionEngineConfig,
    LiveNode,
    LiveRiskEngineConfig,
)
from nautilus_trader.live.clients import DataClientFactory, ExecutionClientFactory
from nautilus_trader.model import Money, Price, Quantity, TraderId

from dolphin_realtime.engine.nautilus import SILENT, USDT, OrderStrategy, alone, instrument_id
from dolphin_realtime.engine.node_life import Changes, running
from dolphin_realtime.engine.paper_clients import Feed, HoldingVenue
from dolphin_realtime.engine.restoring import restoring
from dolphin_realtime.engine.simulated import SimulatedEngine
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.market.venue import Venue as VenueRules
from dolphin_realtime.model.orders import EndKind, InFlight, OrderEvent, Traded
from dolphin_realtime.trading.execution import Outcomes, Start

INSTRUMENT_TIMEOUT_S: Final = 5.0
NO_RATE_LIMIT: Final = "1000000/00:00:01"
FEED: Final = "EIGEN"
"""Name of the data client that supplies instruments; scans never pass through the node."""


class PaperEngine(SimulatedEngine):
    """One instance's node; call it only from the event loop that runs it."""

    def __init__(self, venue: VenueRules, outcomes: Outcomes) -> None:
        super().__init__(venue, outcomes)
        self._changes = Changes()
        self._ends: dict[str, tuple[EndKind, str]] = {}
        self._known: set[str] = set()
        self.core_orders: dict[str, Any] = {}
        self._restored: dict[str, float] = {}
        self._n_restored = 0

    @asynccontextmanager
    async def running(self, start: Start) -> AsyncIterator[None]:
        """Run the node around a block of work, and stop it afterwards.

        Raises:
            EngineError: If it does not start in time, or another engine runs in this process.
        """
        with alone(f"the paper engine of {start.owner}"):
            self.specs.update(start.specs)
            self._begin(start)
            node = self._build(start)
            self._cache, self._portfolio = node.cache, node.portfolio
            try:
                async with running(node, self._strategy, self._failed) as self._handle:
                    yield
            finally:
                del self._strategy, self._client, self._feed, self._cache, self._portfolio
                self.core_orders.clear()

    def _build(self, start: Start) -> LiveNode:
        builder = (
            LiveNode.builder("DOLPHIN", TraderId(f"DOLPHIN-{start.owner}"), Environment.SANDBOX)
            .with_logging(SILENT)
            .with_cache_config(
                CacheConfig(tick_capacity=2, bar_capacity=1, persist_account_events=False)
            )
            .with_risk_engine_config(
                LiveRiskEngineConfig(
                    bypass=True,
                    max_order_submit_rate=NO_RATE_LIMIT,
                    max_order_modify_rate=NO_RATE_LIMIT,
                )
            )
            .with_exec_engine_config(
                LiveExecutionEngineConfig(
                    reconciliation=True,
                    reconciliation_startup_delay_secs=0.0,
                    inflight_check_interval_ms=0,
                    open_check_interval_secs=None,
                    position_check_interval_secs=None,
                )
            )
            .with_reconciliation(True)
            .with_timeout_connection(10)
            .with_timeout_portfolio(5)
            .with_delay_post_stop_secs(0)
            .with_timeout_disconnection_secs(2)
            .add_data_client(
                FEED,
                _factory(DataClientFactory, partial(self._make_feed, start)),
                DataClientConfig(),
            )
            .add_exec_client(
                self.venue.name,
                _factory(ExecutionClientFactory, partial(self._make_client, start)),
                ExecutionClientConfig(),
            )
        )
        node = builder.build()
        self._strategy = OrderStrategy.of(start.owner, self.venue.name)
        self._strategy.traded, self._strategy.closed = self._traded, self._closed
        self._strategy.failed, self._strategy.known = self._failed, self._learnt
        self._strategy.restored = self._changes.note
        node.add_strategy(self._strategy)
        self._strategy.set_external_order_instrument_ids(
            [instrument_id(self.venue.name, asset) for asset in start.positions]
        )
        return node

    def _make_feed(self, start: Start, **kwargs: Any) -> Feed:
        self._feed = Feed(self.venue, start, **kwargs)
        return self._feed

    def _make_client(self, start: Start, **kwargs: Any) -> HoldingVenue:
        self._client = HoldingVenue(self.venue, start, self.arrived, **kwargs)
        return self._client

    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds, checked after each event; return False on timeout."""
        return await self._changes.until(is_so, timeout_s)

    async def add_instruments(self, specs: Mapping[str, InstrumentSpec]) -> None:
        """Add instruments and wait until the node has them: else it would lose their orders."""
        new = [asset for asset in specs if asset not in self.specs]
        for asset in new:
            self._feed.show(asset, specs[asset])
        await self.until(lambda: self._known.issuperset(new), INSTRUMENT_TIMEOUT_S)
        self.specs.update({asset: specs[asset] for asset in new if asset in self._known})

    def _learnt(self, asset: str) -> None:
        self._known.add(asset)
        self._changes.note()

    def position(self, asset: str) -> float:
        """Return the node's net position."""
        return float(self._portfolio.net_position(instrument_id(self.venue.name, asset)))

    def adjust(self, asset: str, quantity: float, price: float) -> None:
        """Bring the node's position to ``quantity``; see `Engine.adjust`."""
        spec = self.specs[asset]
        signed = round(quantity - self.position(asset), spec.size_precision)
        self._net[asset] = quantity
        if signed:
            self._n_restored += 1
            order = restoring(asset, signed, self._n_restored)
            self._restored[order.client_order_id] = price
            self._strategy.submit(order, Quantity(abs(signed), spec.size_precision))

    def _restore(self, order_id: str, core_order: Any) -> None:
        """Fill an order of `adjust` when it reaches the venue."""
        spec = self.specs[core_order.instrument_id.symbol.value]
        price = Price(self._restored.pop(order_id), spec.price_precision)
        size = Quantity(core_order.quantity.as_double(), spec.size_precision)
        self._client.fill(core_order, order_id, size, price, Money(0, USDT))

    def purge(self) -> None:
        """Drop closed orders, positions and account events from the node's memory."""
        now_ns = self._client.clock.timestamp_ns()
        self._cache.purge_closed_positions(now_ns, 0)
        self._cache.purge_closed_orders(now_ns, 0)
        self._cache.purge_account_events(now_ns, 0)

    def arrived(self, core_order: Any) -> None:
        """Note that an order reached the venue; called by the venue, never raises into the core."""
        order_id = core_order.client_order_id.value
        if order_id in self._restored:
            self._restore(order_id, core_order)
            return
        self.core_orders[order_id] = core_order
        try:
            self._arrived(order_id)
        except Exception as e:  # noqa: BLE001 - the core would swallow it
            self._failed(f"{type(e).__name__} when {order_id} came to the venue: {e}")

    def _hand_over(self, order: InFlight) -> None:
        spec = self.specs[order.order.asset]
        self._strategy.submit(order, Quantity(order.order.quantity, spec.size_precision))

    def _fill(self, order: InFlight, fill: Traded) -> None:
        spec = self.specs[order.order.asset]
        self._client.fill(
            self.core_orders[order.client_order_id],
            fill.fill_id,
            Quantity(fill.quantity, spec.size_precision),
            Price(fill.price, spec.price_precision),
            Money(fill.fee, USDT),
        )

    def _close(self, order: InFlight, kind: EndKind, reason: str) -> None:
        self._ends[order.client_order_id] = (kind, reason)
        self._client.close(self.core_orders[order.client_order_id], kind, reason)

    def _closed(self, order_id: str, kind: EndKind, reason: str) -> None:
        self._ended(order_id, *self._ends.pop(order_id, (kind, reason)))

    def _tell(self, event: OrderEvent) -> None:
        super()._tell(event)
        if event.order_id not in self._orders:
            self.core_orders.pop(event.order_id, None)
        self._changes.note()

    def _failed(self, why: str) -> None:
        super()._failed(why)
        self._changes.note()


def _factory(base: Any, make: Callable[..., Any]) -> Any:
    """Return a subclass of the node's factory class ``base`` that calls ``make``."""
    return type("Factory", (base,), {"create": staticmethod(make)})
