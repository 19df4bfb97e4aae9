"""A live trader on a venue where nothing goes wrong, and where everything does."""

import gc
import sqlite3

import pytest

from dolphin_realtime.backtest.live_decisions import replay_live
from dolphin_realtime.books.documents import BookView
from dolphin_realtime.journal import database
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.signal.gates import Book
from dolphin_realtime.reports.figures import figures
from tests.journals import rows
from tests.live.conftest import Market, checked, ids_at, is_ours, sent_twice


async def test_what_is_journalled_is_what_the_venue_knows(scene):
    n_orders = 0
    for _ in range(15):
        plan = await scene.scan()
        n_orders += len(plan.orders)
        await scene.quiet()
    assert n_orders > 20
    assert len(ids_at(scene.served)) == n_orders
    assert all(map(is_ours, ids_at(scene.served)))
    assert sent_twice(scene.served) == set()
    assert scene.trader.booking.mismatch is None
    assert scene.trader.watch_live.found == []
    assert scene.trader.engine.watch.n_node_apart == 0
    checked(scene.home)


async def test_a_live_day_decides_the_same_again_from_its_journal(scene):
    """With faults, books, a trade from elsewhere, a transfer, a halt, and a start in between."""
    for n in range(14):
        limits = TradingPermission(posture=Posture.HALTED) if n == 9 else None
        if n == 4:
            await scene.ctl(
                "fault", kind="cut_after", path="/fapi/v1/order", method="POST", times=2
            )
        if n == 6:
            await scene.ctl("transfer", account="one", asset="USDT", amount="-750")
            await scene.ctl("order", account="one", symbol="ETHUSDT", side="BUY", type="MARKET",
                            quantity="0.2", newClientOrderId="web_9")  # fmt: skip
        scene.trader.session.cache.take_views(views(scene, n))
        await scene.scan(limits)
        await scene.quiet()
        if n == 7:
            scene.trader.watch_live.adopt("me", "seen")
    await scene.trader.session.flatten("one", "drill")
    await scene.quiet()
    day = from_us(scene.market.first_us).date().isoformat()
    journal = scene.home / "journal" / "BLUE"
    found = replay_live(journal, "BLUE", day, again())
    assert found.first_difference is None
    assert found.scans == 14
    assert found.orders > 50
    assert rows(journal, "SELECT count(*) FROM orders WHERE leg NOT LIKE 'F%'") == [(found.orders,)]
    report = figures(journal)
    assert report.transferred == -750.0
    assert report.net == pytest.approx(report.end_equity - report.start_equity + 750.0, abs=1e-9)
    live = report.live
    s = live.shortfall
    assert s.total == pytest.approx(s.delay + s.spread_and_impact + s.fee, abs=1e-9)
    assert s.trades > 20
    assert live.outside == {"OUTSIDE FOREIGN": 1}
    assert report.max_drawdown < 0.005, "what was moved out is no loss"


@pytest.mark.parametrize("change", [
    "UPDATE equity SET posture = 'HALTED' WHERE timestamp_us = (SELECT max(timestamp_us) FROM orders)",
    "DELETE FROM fills WHERE seq = (SELECT min(seq) FROM fills)",
    "UPDATE fills SET quantity = quantity * 2 WHERE seq = (SELECT min(seq) FROM fills)",
])  # fmt: skip
async def test_a_changed_input_is_a_difference(scene, change):
    for _ in range(8):
        await scene.scan()
        await scene.quiet()
    journal = scene.home / "journal" / "BLUE"
    with sqlite3.connect(database.path_of(journal)) as db:
        db.execute(change)
    db.close()
    day = from_us(scene.market.first_us).date().isoformat()
    assert replay_live(journal, "BLUE", day, again()).first_difference is not None


def again():
    """The scans of the market from its beginning."""
    market = Market()
    for _ in range(100):
        yield market.next()


def views(scene, n):
    """Books of two assets, stamped just before the scan that comes."""
    at_us = scene.market.first_us + n * 60_000_000
    book = lambda lean: Book(event_us=at_us, imbalance_5=lean, spread_bps=1.0)  # noqa: E731
    return {"BTCUSDT": BookView(book(-0.9)), "ETHUSDT": BookView(book(0.1 * (n % 3)))}


async def test_a_node_is_built_anew_in_a_process_that_froze_its_memory(scene):
    await scene.until_traded()
    await scene.quiet()
    gc.freeze()
    gc.disable()
    try:
        for _ in range(2):
            await scene.trader.engine.restart_node()
            await scene.until_traded()
            await scene.quiet()
    finally:
        gc.unfreeze()
        gc.enable()
    assert scene.trader.booking.mismatch is None
    assert scene.trader.engine.node_positions() == scene.trader.portfolio.account.held()
