"""A trader in memory: a portfolio, its turns and a journal, with an engine of the caller's choice."""

import itertools

import msgspec

from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.model.portfolio.decision import TargetParams
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.booking import Booking
from dolphin_realtime.trading.turn import Turn
from tests.engines import FakeEngine
from tests.scans import walk

SCANS = walk(420, volatility=2e-3)
SIGNAL = SignalParams(s_in=0.5, s_out=0.2, tau_x_s=600)
TARGET = TargetParams(band=0.02)


class Kept:
    """A turn's journal in memory; ``is_writable`` False refuses every intent."""

    def __init__(self):
        self.rows, self.intents, self.is_writable = [], [], True
        self.keys, self.limits, self.plans = [], [], []

    def opening(self):
        return b""

    def intend(self, epoch, scan_number, orders, limits):
        self.intents += [o.client_order_id for o in orders]
        self.limits.append((epoch, scan_number, limits))
        return self.is_writable

    def commit(self, key, rows, plan):
        self.rows.append(rows)
        self.keys.append(key)
        self.plans.append(plan)

    def all(self, table):
        return list(itertools.chain.from_iterable(rows[table] for rows in self.rows))


class Trader:
    """A portfolio whose turns go to a fake engine."""

    def __init__(self, venue=None, kind=FakeEngine):
        self.portfolio = Portfolio("TEST", SIGNAL, TARGET, venue=venue)
        self.booking, self.journal = Booking(self.portfolio, Rows(self.portfolio)), Kept()
        self.engine = kind(self.portfolio.venue, self.booking)
        cache = BookCache(self.portfolio)
        self.turn = Turn(self.portfolio, self.booking, self.engine, cache, self.journal)

    async def trade(self, scans, limits=None):
        plans = []
        for scan in scans:
            plan = self.turn.begin(msgspec.structs.replace(scan), limits or TradingPermission())
            await self.turn.finish(plan)
            plans.append(plan)
        return plans

    def ends(self):
        return [row[3] for row in self.journal.all("order_events")]
