"""What a turn does between scans, and with orders of an earlier process: a fake engine, no grid."""

from datetime import UTC, datetime

import msgspec
import pytest

from dolphin_realtime.books.documents import BookView
from dolphin_realtime.journal.rows import RECOVERED
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import Act
from dolphin_realtime.model.portfolio.position_orders import PositionOrder
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.signal.gates import Book, Factors, Reading
from dolphin_realtime.scans.archive import write_archive
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.trading.turn import CHANGED, FLATTENED, HALTED
from dolphin_realtime.trading.warm_up import make_portfolio, warm_up, warm_up_from
from tests.engines import FakeEngine
from tests.scans import walk
from tests.traders import SCANS, SIGNAL, TARGET, Trader

AT = datetime(2025, 1, 1, tzinfo=UTC)


async def with_orders_in_flight(kind=FakeEngine):
    """Return a trader whose last scan sent orders, and the scans that are left."""
    trader = Trader(kind=kind)
    for n, scan in enumerate(SCANS):
        await trader.trade([scan])
        if trader.portfolio.in_flight and len(trader.portfolio.account.held()) > 2:
            trader.journal.rows.clear()
            trader.journal.intents.clear()
            return trader, SCANS[n + 1 :]
    raise AssertionError("no order was ever sent")


def events_of(trader):
    """Return (order id, instant, kind, reason) of what was journalled of orders."""
    rows = trader.journal.all("order_events")
    return [(r.client_order_id, r.timestamp_us, r.state, r.reason) for r in rows]


async def test_a_scan_is_committed_under_its_key_and_its_intent_with_its_limits():
    trader = Trader()
    limits = TradingPermission(posture=Posture.REDUCED)
    plans = await trader.trade(SCANS, limits)
    assert trader.journal.keys == [plan.key for plan in plans] == [s.key for s in SCANS]
    assert trader.journal.plans == plans
    sent = [plan for plan in plans if plan.orders]
    assert sent
    assert trader.journal.limits == [(*plan.key, plan.limits) for plan in sent]
    assert all(plan.sent_ns is not None for plan in sent)
    assert {row.is_acted_on for row in trader.journal.all("equity")} == {True}


async def test_a_scan_that_is_repeated_leaves_no_row_and_one_not_acted_on_says_so():
    trader, scans = await with_orders_in_flight()
    await trader.trade([msgspec.structs.replace(SCANS[trader.portfolio.last_key[1] - 1])])
    assert trader.journal.rows == []
    plan = trader.turn.catch_up(scans[0], [], TradingPermission())
    await trader.turn.finish(plan, is_acted_on=False)
    assert [row.is_acted_on for row in trader.journal.all("equity")] == [False]
    assert {row.reason for row in trader.journal.all("decisions")} <= {"CATCH_UP"}


async def test_a_halted_scan_cancels_instead_of_filling():
    trader, scans = await with_orders_in_flight()
    flying, n_fills = list(trader.portfolio.in_flight), trader.booking.n_fills
    await trader.trade(scans[:1], TradingPermission(posture=Posture.HALTED))
    assert trader.booking.n_fills == n_fills
    assert {e[0] for e in events_of(trader)} == set(flying)
    assert {e[2:] for e in events_of(trader)} == {("CANCELED", HALTED)}


async def test_a_halt_cancels_what_is_in_flight_once_and_journals_it():
    trader, _ = await with_orders_in_flight()
    sent, at_us = list(trader.portfolio.in_flight), trader.portfolio.last_us
    await trader.turn.halt()
    assert trader.portfolio.in_flight == {}
    ended = sorted(events_of(trader))
    assert ended == sorted((i, at_us, "CANCELED", HALTED) for i in sent)
    await trader.turn.halt()
    assert len(trader.journal.rows) == 1, "nothing to write the second time"


async def test_a_flatten_closes_everything_once_and_writes_its_intent_first():
    trader, scans = await with_orders_in_flight()
    flying, held = list(trader.portfolio.in_flight), trader.portfolio.account.held()
    key, at_us = trader.portfolio.last_key, trader.portfolio.last_us
    assert await trader.turn.flatten("F1") == len(held)
    assert await trader.turn.flatten("F1") is None
    assert [e for e in events_of(trader) if e[2] == "CANCELED"] == [
        (i, at_us, "CANCELED", FLATTENED) for i in reversed(flying)
    ]
    orders = trader.journal.all("orders")
    assert trader.journal.intents == [r.client_order_id for r in orders]
    assert {(r.asset, r.side, r.quantity, r.reduce_only) for r in orders} == {
        (a, "SELL" if q > 0.0 else "BUY", abs(q), True) for a, q in held.items()
    }
    assert {(r.epoch, r.scan_number, r.timestamp_us) for r in orders} == {(*key, at_us)}
    decisions = trader.journal.all("decisions")
    assert {(r.asset, r.held, r.reason) for r in decisions} == {
        (a, q, "FLATTEN") for a, q in held.items()
    }
    assert trader.portfolio.projected().keys() == held.keys()
    assert not any(trader.portfolio.projected().values())
    assert not trader.engine.unanswered
    assert all(o.state == "ACKNOWLEDGED" for o in trader.portfolio.in_flight.values())
    await trader.trade(scans[:1], TradingPermission(entry_block="TEST"))
    assert trader.portfolio.account.held() == {}


async def test_a_flatten_whose_intent_cannot_be_written_sends_nothing_and_is_counted():
    trader, _ = await with_orders_in_flight()
    held, before = trader.portfolio.account.held(), trader.booking.refused["FLATTEN_NOT_WRITTEN"]
    trader.journal.is_writable = False
    assert await trader.turn.flatten("F1") is None
    assert trader.booking.refused["FLATTEN_NOT_WRITTEN"] == before + 1
    assert trader.portfolio.in_flight == {}
    assert trader.portfolio.flattened_id != "F1"
    trader.journal.is_writable = True
    assert await trader.turn.flatten("F1") == len(held), "the same command may be tried again"
    assert trader.portfolio.flattened_id == "F1"


async def test_a_flatten_of_nothing_is_carried_out_and_sends_nothing():
    trader = Trader()
    assert await trader.turn.flatten("F1") == 0
    assert trader.journal.intents == []
    assert trader.journal.keys == [(0, 0)], "before the first scan"
    assert trader.portfolio.flattened_id == "F1"


async def test_orders_of_a_lost_scan_are_in_flight_again_sent_and_journalled():
    trader, scans = await with_orders_in_flight()
    lost = list(trader.portfolio.in_flight.values())
    heir = Trader()
    await heir.trade(SCANS[:30])
    heir.turn.recover(lost)
    assert set(heir.portfolio.in_flight) == {o.client_order_id for o in lost}
    states = {o.order.leg: o.state.value for o in heir.portfolio.in_flight.values()}
    assert states == {"C": "ACKNOWLEDGED", "O": "INTENDED", "A": "ACKNOWLEDGED"}
    await heir.trade(scans[:1], TradingPermission(entry_block="TEST"))
    rows = [r for r in heir.journal.all("decisions") if r.reason == RECOVERED]
    assert [r.asset for r in rows] == [o.order.asset for o in lost]
    assert {o.client_order_id for o in lost} <= {
        r.client_order_id for r in heir.journal.all("orders")
    }


async def test_a_scan_that_is_caught_up_with_decides_nothing_and_knows_books_and_factors():
    trader, scans = await with_orders_in_flight()
    scan = scans[0]
    name = scan.assets[0]
    book = Book(event_us=scan.timestamp_us, imbalance_5=1.0, spread_bps=2.0)
    trader.turn.cache.take_views({name: BookView(book)})
    rate = Reading(value=1e-4, fetch_us=scan.timestamp_us, lifetime_s=60.0, interval_h=8.0)
    factors = Factors(funding={name: rate})
    plan = trader.turn.catch_up(scan, [], TradingPermission(), factors)
    await trader.turn.finish(plan, is_acted_on=False)
    assert plan.orders == []
    missing = trader.portfolio.signals.last.missing
    assert missing["book"] == missing["funding"] == len(scan.assets) - 1
    assert trader.journal.intents == []


async def test_a_position_that_a_person_changes_has_no_order_left_and_the_engine_agrees():
    trader, _ = await with_orders_in_flight()
    asset = next(o.order.asset for o in trader.portfolio.in_flight.values())
    others = {i for i, o in trader.portfolio.in_flight.items() if o.order.asset != asset}
    held, at_us = trader.portfolio.account.held().get(asset, 0.0), trader.portfolio.last_us
    change = await trader.turn.change_position(
        PositionOrder(
            id="X", act=Act.SETTLE, asset=asset, value=50.0, reason="gone", who="me", at=AT
        )
    )
    assert (change.quantity_before, change.quantity) == (held, 0.0)
    assert set(trader.portfolio.in_flight) == others
    assert {e[1:] for e in events_of(trader)} == {(at_us, "CANCELED", CHANGED)}
    assert trader.engine.position(asset) == 0.0
    assert len(trader.journal.all("position_changes")) == 1


def archive_of(folder, days=3, scans_a_day=40):
    """Write an archive of so many days and return each day's scans."""
    found = {}
    for n in range(days):
        scans = [
            msgspec.structs.replace(s, timestamp_us=s.timestamp_us + n * 86_400_000_000)
            for s in walk(scans_a_day, seed=n)
        ]
        day = f"2024-08-{7 + n:02d}"
        write_archive(folder / f"{day}.parquet", [(scan, "test") for scan in scans])
        found[day] = scans
    return found


@pytest.mark.parametrize(("days", "before", "warmed"), [
    (1, "9999", 1), (2, "2024-08-09", 2), (5, "2024-08-08", 1), (0, "9999", 0), (2, "2024-08-07", 0),
])  # fmt: skip
def test_a_signal_is_warmed_up_with_the_newest_days_before_a_day(tmp_path, days, before, warmed):
    archive_of(tmp_path)
    portfolio = Portfolio("TEST", SIGNAL, TARGET)
    assert warm_up(portfolio, tmp_path, days, before) == warmed * 40
    again = Portfolio("TEST", SIGNAL, TARGET)
    assert warm_up_from(again, ScanDays.of(tmp_path), days, before) == warmed * 40
    assert again.prices == portfolio.prices


def test_what_a_warm_up_leaves_is_prices_and_instruments_and_no_epoch(tmp_path):
    days = archive_of(tmp_path)
    portfolio = Portfolio("TEST", SIGNAL, TARGET)
    assert warm_up(portfolio, tmp_path / "none", 3) == 0
    assert warm_up(portfolio, tmp_path, 3) == 120
    last = days["2024-08-09"][-1]
    assert portfolio.prices == pytest.approx(dict(zip(last.assets, last.prices, strict=True)))
    assert portfolio.instruments.keys() == set(last.assets)
    assert (portfolio.last_us, portfolio.signals.order.epoch) == (last.timestamp_us, 0)
    assert portfolio.account.held() == portfolio.in_flight == {}


def test_an_instances_own_parameters_make_its_portfolio(monkeypatch):
    monkeypatch.setenv("DOLPHIN_GREEN__TARGET_BAND", "0.07")
    assert make_portfolio("GREEN").target.band == 0.07
    assert make_portfolio("BLUE").target.band != 0.07
    assert make_portfolio("GREEN").instance == "GREEN"
