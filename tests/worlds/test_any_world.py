"""No profit and no peak is made of an unsound price, in worlds of random events.

``WORLDS`` says how many: a hundred in CI, 1,000 and more in ``make prove-worlds``.
"""

import asyncio
import math
import os

import msgspec
import pytest

from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.model.errors import ScanOutOfOrder
from dolphin_realtime.model.portfolio.decision import TargetParams
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.replay.worlds.seeded import random_events, scans_of, seeded_market
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.booking import Booking
from dolphin_realtime.trading.turn import Turn
from tests.engines import FakeEngine
from tests.traders import Kept
from tests.worlds.oracle import Oracle

N_WORLDS = int(os.environ.get("WORLDS", "100"))
FIRST = int(os.environ.get("WORLDS_FIRST", "0"))
N_SCANS = 260
SIGNAL = SignalParams(s_in=0.3, s_out=0.1, tau_x_s=600, warm_up_returns=30)
TARGET = TargetParams(band=0.02)
BATCH = 25


class Trader:
    """A portfolio whose turns go to a fake engine, with an oracle beside it."""

    def __init__(self):
        self.portfolio = Portfolio("WORLD", SIGNAL, TARGET)
        self.booking, self.kept = Booking(self.portfolio, Rows(self.portfolio)), Kept()
        self.engine = FakeEngine(self.portfolio.venue, self.booking)
        self.turn = Turn(
            self.portfolio, self.booking, self.engine, BookCache(self.portfolio), self.kept
        )
        self.oracle, self.last, self.refused, self.unsound = Oracle(), {}, 0, 0

    async def take(self, scan):
        portfolio = self.portfolio
        held = portfolio.account.held()
        before, funding = portfolio.equity(), portfolio.account.funding
        self.kept.rows.clear()
        try:
            plan = self.turn.begin(
                msgspec.structs.replace(scan, epoch=portfolio.signals.order.epoch or 1),
                TradingPermission(),
            )
        except ScanOutOfOrder:
            self.refused += 1
            return
        await self.turn.finish(plan)
        if not plan.is_new:
            return
        sound = self.oracle.judge(scan)
        if plan.draft.failed is None:
            assert plan.prices == sound
            self.unsound += len(scan.assets) - len(sound)
        moved = sum(
            q * (plan.prices[a] - self.last[a]) for a, q in held.items() if a in plan.prices
        )
        spent = 0.0
        for row in self.kept.all("fills"):
            _, _, _, _, _, asset, side, quantity, price, _, fee, *_ = row
            assert asset in sound, "nothing fills at a price that is not sound"
            signed = quantity if side == "BUY" else -quantity
            spent += fee + signed * (price - sound[asset])
        change = moved - spent - (portfolio.account.funding - funding)
        assert portfolio.equity() - before == pytest.approx(change, abs=1e-6 + 1e-9 * abs(before))
        self.last.update(plan.prices)
        assert portfolio.marks.peak >= portfolio.equity()
        for decision in plan.decisions:
            assert not decision.orders or decision.asset in sound
        for order in plan.orders:
            assert order.order.quantity > 0


async def live_through(seed):
    trader = Trader()
    market = seeded_market(seed, N_SCANS, step_s=60.0 if seed % 3 else 20.0)
    names = next(iter(market.scans_at(40))).assets
    events = random_events(seed, names, N_SCANS)
    for scan in scans_of(market, events, N_SCANS):
        await trader.take(scan)
    assert trader.booking.mismatch is None
    trader.portfolio.account.check()
    assert math.isfinite(trader.portfolio.equity())
    return trader


@pytest.mark.timeout(60 + N_WORLDS)
@pytest.mark.parametrize("first", range(FIRST, FIRST + N_WORLDS, BATCH))
def test_equity_moves_by_what_sound_prices_explain_and_by_nothing_else(first):
    for seed in range(first, first + BATCH):
        try:
            asyncio.run(live_through(seed))
        except AssertionError as e:
            raise AssertionError(f"world {seed}: {e}") from e


def test_such_worlds_trade_and_have_unsound_prices():
    traders = [asyncio.run(live_through(seed)) for seed in range(12)]
    assert sum(t.booking.n_fills for t in traders) > 500
    assert sum(t.unsound for t in traders) > 100
    assert sum(t.portfolio.equity() != 100_000 for t in traders) > 6
