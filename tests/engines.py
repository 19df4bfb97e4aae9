"""Engines for tests: a fake without NautilusTrader, and a place to run any of them."""

from contextlib import asynccontextmanager

from dolphin_realtime.engine.backtest import BacktestEngine
from dolphin_realtime.engine.paper import PaperEngine
from dolphin_realtime.engine.simulated import SimulatedEngine
from dolphin_realtime.model.orders import Ended, InFlight, OrderIntent, Traded
from dolphin_realtime.model.portfolio.fill_rule import Execution, Quote
from dolphin_realtime.trading.execution import Start


class FakeEngine(SimulatedEngine):
    """Keeps the contract without a core: what is handed over has arrived, what is asked is done."""

    def __init__(self, venue, outcomes):
        super().__init__(venue, outcomes)
        self.positions = {}

    @asynccontextmanager
    async def running(self, start):
        self.specs.update(start.specs)
        self._begin(start)
        self.positions = {asset: quantity for asset, (quantity, _) in start.positions.items()}
        yield

    async def until(self, is_so, timeout_s):
        return is_so()

    async def add_instruments(self, specs):
        self.specs.update(specs)

    def position(self, asset):
        return self.positions.get(asset, 0.0)

    def adjust(self, asset, quantity, price):
        self.positions[asset] = self._net[asset] = quantity

    def purge(self):
        pass

    def _hand_over(self, order):
        self._arrived(order.client_order_id)

    def _fill(self, order, fill):
        signed = fill.quantity if order.order.side == "BUY" else -fill.quantity
        asset = order.order.asset
        held = self.position(asset) + signed
        self.positions[asset] = round(held, self.specs[asset].size_precision)
        self._traded(fill)

    def _close(self, order, kind, reason):
        self._ended(order.client_order_id, kind, reason)


ENGINES = {"fake": FakeEngine, "paper": PaperEngine, "backtest": BacktestEngine}


class Heard:
    """The outcomes an engine told, in order; ``raises`` makes taking one kind of event fail."""

    def __init__(self, raises=None):
        self.events, self.failures, self.raises = [], [], raises

    def book(self, event):
        if self.raises is not None and isinstance(event, self.raises):
            raise ValueError("no room for it")
        self.events.append(event)

    def failed(self, why):
        self.failures.append(why)

    def of(self, order_id):
        """Return an order's events in short: kinds of ends, names of others."""
        return [
            e.kind.value if isinstance(e, Ended) else type(e).__name__
            for e in self.events
            if e.order_id == order_id
        ]

    def end(self, order_id):
        ends = [e for e in self.events if isinstance(e, Ended) and e.order_id == order_id]
        assert len(ends) <= 1, ends
        return ends[0] if ends else None

    def fills(self, order_id):
        return [e for e in self.events if isinstance(e, Traded) and e.order_id == order_id]


@asynccontextmanager
async def running(name, venue, heard, start=None):
    """Run an engine of a kind with the shipped instruments."""
    engine = ENGINES[name](venue, heard)
    context = engine.running(start or Start("TEST", 100_000.0, {}, dict(venue.listed)))
    if name == "backtest":
        with context:
            yield engine
    else:
        async with context:
            yield engine


def order(order_id, asset="BTCUSDT", side="BUY", quantity=1.0, leg="O", at_us=1_000_000):
    """Return an order; legs C and O of one asset and instant are a chain."""
    intent = OrderIntent(
        asset=asset, side=side, quantity=quantity, leg=leg, is_reduce_only=leg != "O"
    )
    return InFlight(
        client_order_id=order_id, order=intent, epoch=1, scan_number=1, decided_us=at_us
    )


def met(of, bid=99.0, ask=101.0):
    """Return an order with the quote that it is to meet."""
    quote = Quote(asset=of.order.asset, mid=(bid + ask) / 2, bid=bid, ask=ask, at_us=2_000_000)
    return Execution(of, quote)
