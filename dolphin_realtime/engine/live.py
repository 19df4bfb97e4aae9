"""The live engine: NautilusTrader sends, and what the venue itself says is the outcome.

Of NautilusTrader only a definite refusal is an outcome; its fills are compared with the reader's
and counted. An order without a word is unknown, is asked about by its client id until the venue
has answered for good, and is never sent again.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from nautilus_trader.model import ClientId, Quantity

from dolphin_realtime.engine.live_node import NodeSettings, build
from dolphin_realtime.engine.nautilus import BINANCE, OrderStrategy, alone, instrument_id
from dolphin_realtime.engine.node_life import Changes, free_node, running
from dolphin_realtime.engine.sending import SendingEngine
from dolphin_realtime.engine.venue_watch import VenueWatch
from dolphin_realtime.infra import log
from dolphin_realtime.model.errors import EngineError
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.market.venue import Venue
from dolphin_realtime.model.orders import Acked, Ended, EndKind, InFlight, OrderEvent, Traded
from dolphin_realtime.model.portfolio.fill_rule import Execution
from dolphin_realtime.model.risk.live_findings import KEY_CODES
from dolphin_realtime.model.risk.posture import forbidden
from dolphin_realtime.trading.execution import Outcomes, Start
from dolphin_realtime.venues.binance.order_life import UNSURE_CODES
from dolphin_realtime.venues.binance.reader import Heard, Reader
from dolphin_realtime.venues.binance.rest import Rest

ORDERS_IN_10_S: Final = 250
"""Of the 300 that the venue allows."""
LATER_LEG_S: Final = 5.0
"""A later leg of a chain does not leave after this: the scan that decided it is old."""
USER_STREAM: Final = "binance-futures-user-streams"
TRADING_SOCKET: Final = "binance-futures-trading"
"""A connection that must not be: orders would leave by it."""
CODE: Final = re.compile(r"-\d{4,5}\b")


class LiveEngine(SendingEngine):
    """One account's node, and the outcomes of its orders; call it from the loop that runs it.

    Attributes:
        watch: What is heard and asked about orders.
        node_stream_lost_at: When the node's own stream went, monotonic; None while it is there.
        node_away: Why there is no node to send with, None while there is one.
        entry_block: Returns why nothing may be opened now, or None.
        key_refused: Code with which the venue refused the trading key, 0 if it never did.
    """

    def __init__(
        self, venue: Venue, outcomes: Outcomes, reader: Reader, rest: Rest, settings: NodeSettings
    ) -> None:
        super().__init__(venue, outcomes)
        self._settings, self._reader, self._rest = settings, reader, rest
        self._changes = Changes()
        self._sent_at: deque[float] = deque(maxlen=ORDERS_IN_10_S)
        self._cache: Any = None
        self._portfolio: Any = None
        self._strategy: Any = None
        self._node: AsyncExitStack | None = None
        self.watch = VenueWatch(settings.owner, reader, rest, self._apply, self._tell_outside)
        self.node_stream_lost_at: float | None = None
        self.node_away: str | None = "not started"
        self.key_refused = 0
        self.entry_block: Callable[[], str | None] = lambda: None
        self._taken_at: dict[str, float] = {}
        self._kept: list[Heard] | None = []

    @asynccontextmanager
    async def running(self, start: Start) -> AsyncIterator[None]:
        """Run the node around a block of work, and stop it afterwards.

        Raises:
            EngineError: If it does not start in time, its configuration is not safe, or another
                engine runs in this process.
        """
        with alone(f"the live engine of {start.owner}"):
            self.specs.update(start.specs)
            watching = asyncio.create_task(self._watch())
            try:
                await self._start_node()
                yield
            finally:
                await self._stop_node()
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _start_node(self) -> None:
        free_node()
        strategy = self._make_strategy(self._settings.owner)
        node = build(self._settings, self.specs, strategy)
        cache, portfolio, stack = node.cache, node.portfolio, AsyncExitStack()
        await stack.enter_async_context(running(node, strategy, self._node_over))
        self._node, self._cache, self._portfolio = stack, cache, portfolio
        self._strategy, self.node_stream_lost_at, self.node_away = strategy, None, None

    async def _stop_node(self) -> None:
        stack, self._node = self._node, None
        self._cache = self._portfolio = self._strategy = None
        if stack is not None:
            await stack.aclose()

    async def restart_node(self) -> None:
        """Build the node anew: it ended, or what it holds is wrong; orders meanwhile end REJECTED."""
        self.node_away = "it is being built anew"
        try:
            await self._stop_node()
            await self._start_node()
        except Exception as e:  # noqa: BLE001 - the core raises what it likes; it is tried again
            self._node_over(f"it could not be built anew: {type(e).__name__}: {e}")

    def _node_over(self, why: str) -> None:
        self.node_away = why
        log.get().warning("trader.node_away", why=why)

    def _make_strategy(self, owner: str) -> OrderStrategy:
        strategy = OrderStrategy.of(owner, BINANCE)
        strategy.traded, strategy.closed = self._node_traded, self._node_closed
        strategy.failed, strategy.socket = self._failed, self._socket
        return strategy

    def take(self, row: Heard) -> None:
        """Take what the reader heard, or keep it until `release`; never raises into it."""
        if self._kept is not None:
            self._kept.append(row)
            return
        try:
            self.watch.take(row)
        except Exception as e:  # noqa: BLE001 - one row must not end the reader
            self._failed(
                f"{type(e).__name__} while the venue's {type(row).__name__} was taken: {e}"
            )

    def release(self) -> None:
        """Take what was kept: the orders that it may belong to are known now."""
        kept, self._kept = self._kept or [], None
        for row in kept:
            self.take(row)

    def resume(self, orders: Sequence[InFlight]) -> None:
        """Follow the orders that an earlier process may have sent; none is sent again."""
        self._check(orders)
        for order in orders:
            self._orders[order.client_order_id] = order
            self.watch.lives.add(order, self._rest.now_ms(), time.monotonic(), is_sure=False)

    def execute(self, execution: Execution) -> None:
        """Do nothing: the venue fills orders."""

    def cancel(self, order_id: str, reason: str) -> None:
        """Cancel a leg that was not sent yet; a market order that left cannot be called back."""
        self._check(())
        if order_id in self._orders and order_id not in self.watch.lives.by_id:
            self._cancel_later(order_id, reason)

    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds, checked after each event; return False on timeout."""
        return await self._changes.until(is_so, timeout_s)

    async def add_instruments(self, specs: Mapping[str, InstrumentSpec]) -> None:
        """Do nothing: the instruments are those of the start."""

    def position(self, asset: str) -> float:
        """Return the ledger's position."""
        return float(self._reader.ledger.positions().get(asset, 0))

    def adjust(self, asset: str, quantity: float, price: float) -> None:
        """Refuse: a live position is what the venue says.

        Raises:
            EngineError: Always.
        """
        raise EngineError(f"{asset}: a live position cannot be set to {quantity} at {price}")

    def purge(self) -> None:
        """Drop closed orders, positions and account events from the node's memory."""
        if self._cache is None:
            return
        now_ns = time.time_ns()
        self._cache.purge_closed_positions(now_ns, 0)
        self._cache.purge_closed_orders(now_ns, 0)
        self._cache.purge_account_events(now_ns, 0)

    def node_positions(self) -> dict[str, float]:
        """Return the node's own positions by asset: they are compared, and never booked."""
        if self._portfolio is None:
            return {}
        ids = {asset: instrument_id(BINANCE, asset) for asset in self.specs}
        held = {a: float(self._portfolio.net_position(i)) for a, i in ids.items()}
        return {asset: quantity for asset, quantity in held.items() if quantity}

    def reconnect_node(self) -> None:
        """Have the node open its user stream anew."""
        if self._strategy is not None:
            self._strategy.reconnect_socket(ClientId(BINANCE), USER_STREAM)

    async def _watch(self) -> None:
        try:
            await self.watch.run()
        except Exception as e:  # noqa: BLE001 - it must not end without a word
            self._failed(f"orders are not watched any more: {type(e).__name__}: {e}")

    def _leave(self, order: InFlight) -> None:
        """Hand one order over, if the posture as it is now allows it."""
        is_exit = order.order.is_reduce_only
        refusal = forbidden(self._posture, is_reduce_only=is_exit)
        if refusal is None and not is_exit:
            refusal = self.entry_block() or self._too_late(order)
        if refusal is not None:
            self._ended(order.client_order_id, EndKind.REJECTED, f"FENCED: {refusal}")
            return
        super()._leave(order)

    def _take_on(self, chain: list[InFlight]) -> None:
        super()._take_on(chain)
        self._taken_at.update({o.client_order_id: time.monotonic() for o in chain[1:]})

    def _too_late(self, order: InFlight) -> str | None:
        """Return why a later leg does not leave any more: what decided it is old."""
        since = self._taken_at.get(order.client_order_id)
        waited_s = 0.0 if since is None else time.monotonic() - since
        return f"the leg before it took {waited_s:.1f} s" if waited_s > LATER_LEG_S else None

    def _unsendable(self, order: InFlight) -> str | None:
        why = super()._unsendable(order)
        if why is not None:
            return why
        now, first = time.monotonic(), self._sent_at[0] if self._sent_at else 0.0
        if len(self._sent_at) == ORDERS_IN_10_S and now - first < 10.0:
            return f"{ORDERS_IN_10_S} orders were sent in 10 s"
        if self._strategy is None or self.node_away is not None:
            return f"there is no node: {self.node_away}"
        self._sent_at.append(now)
        return None

    def _hand_over(self, order: InFlight) -> None:
        spec = self.specs[order.order.asset]
        self.watch.lives.add(order, self._rest.now_ms(), time.monotonic(), is_sure=True)
        self._strategy.submit(order, Quantity(order.order.quantity, spec.size_precision))

    def _apply(self, events: list[OrderEvent]) -> None:
        """Report what became of orders."""
        for event in events:
            if isinstance(event, Ended):
                self._ended(event.order_id, event.kind, event.reason)
                continue
            if isinstance(event, Acked | Traded):
                self._unanswered.discard(event.order_id)
            self._tell(event)

    def _tell_outside(self, event: Any, why: str | None) -> None:
        """Report what is not of an order of ours, and why nothing may be opened any more, if so."""
        self._tell(event)
        if why is not None:
            self._failed(why)

    def _forget(self, order_id: str) -> None:
        self.watch.lives.drop(order_id)
        self._taken_at.pop(order_id, None)

    def _node_traded(self, fill: Traded) -> None:
        self.watch.node_saw(fill.order_id, fill.fill_id)

    def _node_closed(self, order_id: str, kind: EndKind, reason: str) -> None:
        """Take a refusal that is one; what the code does not say for sure is asked about."""
        life = self.watch.lives.by_id.get(order_id)
        if kind is not EndKind.REJECTED or life is None or life.is_heard:
            return
        found = CODE.search(reason)
        code = int(found.group()) if found else None
        if code in KEY_CODES:
            self.key_refused = code
        if reason.startswith("DENIED") or (code is not None and code not in UNSURE_CODES):
            self._apply([Ended(order_id, EndKind.REJECTED, f"{code or 'DENIED'}: {reason}")])
        else:
            self._apply(self.watch.lives.doubted(order_id, reason, time.monotonic()))

    def _socket(self, endpoint: str, is_up: bool) -> None:
        if endpoint == TRADING_SOCKET and is_up:
            self._failed(f"a connection {endpoint} is open: orders must leave by HTTP alone")
        if endpoint == USER_STREAM:
            lost_at = self.node_stream_lost_at
            self.node_stream_lost_at = None if is_up else lost_at or time.monotonic()

    def _tell(self, event: Any) -> None:
        super()._tell(event)
        self._changes.note()

    def _failed(self, why: str) -> None:
        super()._failed(why)
        self._changes.note()
