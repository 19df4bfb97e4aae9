"""The turn with a fake engine: what goes wrong with one order stays with that order."""

import msgspec
import pytest

from dolphin_realtime.backtest.loop import run_backtest
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.model.market.paper_faults import PaperFaults
from dolphin_realtime.model.market.venue import paper_venue
from dolphin_realtime.model.orders import Ended, EndKind, OrderState, Traded
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.trading.execution import Start
from dolphin_realtime.trading.turn import ANSWER_TIMEOUT_S
from tests.engines import ENGINES, FakeEngine
from tests.traders import SCANS, SIGNAL, TARGET, Trader


async def test_every_order_has_one_end_and_the_books_hold():
    trader = Trader()
    plans = await trader.trade(SCANS)
    sent = [o.client_order_id for plan in plans for o in plan.orders]
    ended = [row[0] for row in trader.journal.all("order_events")]
    assert len(sent) > 200
    assert sorted(ended + list(trader.portfolio.in_flight)) == sorted(sent)
    assert trader.journal.intents == sent
    assert trader.booking.mismatch is None
    trader.portfolio.account.check()


TABLES = ("decisions", "orders", "fills", "order_events", "refusals", "equity")


async def lists_of(name):
    """Return what a day with every fault comes to through one engine, rows in their order."""
    shares = {f"{f}_share": 0.05 for f in ("reject", "partial", "unknown_filled", "unknown_never")}
    trader = Trader(paper_venue(CostParams(), PaperFaults(**shares)), ENGINES[name])
    running = trader.engine.running(Start.of(trader.portfolio))
    if name == "backtest":
        with running:
            await trader.trade(SCANS)
    else:
        async with running:
            await trader.trade(SCANS)
    assert trader.booking.mismatch is None
    lists = {table: trader.journal.all(table) for table in TABLES}
    lists["order_events"].sort(
        key=lambda row: (row[2], row[0], row[3])
    )  # within a scan as they come
    return lists


async def test_a_day_comes_to_the_same_through_each_engine():
    """Names are learnt while running, scans come without a pause, orders meet every fault."""
    fake = await lists_of("fake")
    assert len(fake["fills"]) > 200
    for name in ("paper", "backtest"):
        found = await lists_of(name)
        for table in TABLES:
            assert found[table] == fake[table], (name, table)


def waits_of(engine):
    """Return a list that grows with every wait for an engine."""
    waits, until = [], engine.until

    async def counted(is_so, timeout_s):
        waits.append(timeout_s)
        return await until(is_so, timeout_s)

    engine.until = counted
    return waits


class Deaf(FakeEngine):
    """Loses every third order, as a core that does not know a name does."""

    def _hand_over(self, order):
        if int(order.client_order_id[7:12], 36) % 3:
            super()._hand_over(order)


async def test_an_order_that_is_never_answered_blocks_entries_and_is_not_waited_for_again():
    trader = Trader(kind=Deaf)
    asked = waits_of(trader.engine)
    plans = await trader.trade(SCANS)
    lost = set(trader.engine.unanswered)
    assert lost
    assert "no word of" in trader.booking.mismatch
    assert len(asked) <= sum(1 for plan in plans if plan.orders)
    assert set(asked) == {ANSWER_TIMEOUT_S}
    assert lost <= trader.portfolio.in_flight.keys()
    assert trader.booking.n_fills > 50


class Stuck(FakeEngine):
    """Acknowledges everything and never fills the first order it is asked to."""

    stuck = None

    def _fill(self, order, fill):
        self.stuck = self.stuck or order.client_order_id
        if order.client_order_id != self.stuck:
            super()._fill(order, fill)

    def _close(self, order, kind, reason):
        if order.client_order_id != self.stuck:
            super()._close(order, kind, reason)


async def test_an_order_that_never_ends_is_waited_for_once_and_the_others_are_booked():
    trader = Trader(kind=Stuck)
    waited = waits_of(trader.engine)
    await trader.trade(SCANS)
    assert len(waited) == 1
    assert trader.engine.stuck in trader.portfolio.in_flight
    assert trader.booking.n_fills > 100


async def test_an_intent_that_cannot_be_written_keeps_every_order_back():
    trader = Trader()
    trader.journal.is_writable = False
    plans = await trader.trade(SCANS)
    assert trader.journal.intents
    assert not any(plan.orders for plan in plans)
    assert {d.reason for plan in plans for d in plan.decisions} >= {"JOURNAL_FAILED"}
    assert trader.journal.all("orders") == []
    assert trader.portfolio.in_flight == {}


@pytest.mark.parametrize("seed", range(3))
async def test_faults_of_the_venue_end_orders_and_never_the_trader(seed):
    faults = PaperFaults(
        reject_share=0.1, partial_share=0.2, unknown_filled_share=0.1, unknown_never_share=0.1,
        fault_seed=seed,
    )  # fmt: skip
    trader = Trader(paper_venue(CostParams(), faults))
    plans = await trader.trade(SCANS)
    assert set(trader.ends()) == {*EndKind, "UNKNOWN"} - {"CANCELED"}
    assert trader.booking.mismatch is None
    refused = {r.code for plan in plans for r in plan.refusals}
    assert "ORDER_UNKNOWN" in refused
    for asset, position in trader.portfolio.account.positions.items():
        digits = trader.portfolio.digits(asset)
        assert position.quantity == round(position.quantity, digits)
        assert trader.engine.position(asset) == pytest.approx(position.quantity, abs=1e-12)
    trader.portfolio.account.check()


async def test_while_an_order_is_unknown_its_asset_opens_nothing_and_others_do():
    trader = Trader(paper_venue(CostParams(), PaperFaults(unknown_filled_share=0.3)))
    for scan in SCANS:
        unknown = {
            o.order.asset
            for o in trader.portfolio.in_flight.values()
            if o.state is OrderState.UNKNOWN
        }
        (plan,) = await trader.trade([scan])
        opening = {o.order.asset for o in plan.orders if not o.order.is_reduce_only}
        assert not opening & unknown
    assert trader.booking.n_fills > 100


async def test_a_fill_that_nothing_called_for_blocks_entries_and_is_not_booked():
    trader = Trader()
    plans = await trader.trade(SCANS)
    while not trader.portfolio.in_flight:
        plans += await trader.trade([msgspec.structs.replace(
            SCANS[-1], timestamp_us=SCANS[-1].timestamp_us + 60_000_000 * len(plans),
            scan_number=len(plans) + 1)])  # fmt: skip
    order_id = next(iter(trader.portfolio.in_flight))
    cash = trader.portfolio.account.cash
    trader.booking.book(Traded(order_id, "F", 1.0, 100.0, 0.1))
    assert "nothing called for" in trader.booking.mismatch
    assert trader.portfolio.account.cash == cash
    trader.booking.book(Ended("X-UNKNOWN", EndKind.CANCELED, "CANCELED"))
    assert "nothing called for" in trader.booking.mismatch


@pytest.mark.parametrize("price", [8.1e-6, 5e-5, 5e-4])
def test_a_coin_of_little_worth_leaves_no_dust(price):
    """A close of the last step leaves exactly nothing; no order of no step is ever made."""
    scans = [
        msgspec.structs.replace(scan, prices=[scan.prices[0] * price / 100.0, *scan.prices[1:]])
        for scan in SCANS
    ]
    portfolio, rows = Portfolio("TEST", SIGNAL, TARGET), []
    result = run_backtest(
        portfolio, iter(scans), lambda _, found: rows.append(found), BookFeed([]), FactorHistory([])
    )
    assert result.scans == len(scans)
    orders = [o for found in rows for o in found["orders"] if o[4] == "A00"]
    assert len(orders) > 20
    assert all(o[6] > 0.0 for o in orders)
    flat = [d for found in rows for d in found["decisions"] if d[3] == "A00" and d[6] == 0.0]
    assert flat
    position = portfolio.account.positions["A00"]
    assert position.quantity == round(position.quantity, 6)
