"""What a person does about a position: each act, its rows, what it leaves, and taking it back."""

from datetime import UTC, datetime

import msgspec
import pytest

from dolphin_realtime.model.errors import PositionRefused
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.position_change import Act
from dolphin_realtime.model.portfolio.position_orders import PositionOrder
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.trading.execution import Start
from tests.engines import ENGINES
from tests.traders import SCANS, Trader

AT = datetime(2025, 1, 1, tzinfo=UTC)


def order(act, asset, value=None, name="change"):
    return PositionOrder(
        id=name, act=act, asset=asset, value=value, reason="seen", who="someone", at=AT
    )


def holding(kind="fake"):
    """Return a trader that has not begun."""
    return Trader(kind=ENGINES[kind])


async def until_held(trader):
    await trader.trade(SCANS[:-60])
    held = trader.portfolio.account.held()
    return max(held, key=lambda a: abs(held[a]))


def with_price(scan, asset, price):
    prices = list(scan.prices)
    prices[scan.assets.index(asset)] = price
    return msgspec.structs.replace(scan, prices=prices)


async def run(trader, step):
    running = trader.engine.running(Start.of(trader.portfolio))
    if hasattr(running, "__aenter__"):
        async with running:
            return await step()
    with running:
        return await step()


@pytest.mark.parametrize("kind", ["fake", "paper"])
@pytest.mark.parametrize("factor", [1000.0, 0.001, 3.7])
async def test_a_redenomination_is_no_profit_and_the_new_prices_are_sound(kind, factor):
    trader = holding(kind)

    async def step():
        asset = await until_held(trader)
        portfolio, scans = trader.portfolio, iter(SCANS[-60:])
        scan = next(scans)
        old = scan.prices[scan.assets.index(asset)]
        await trader.trade([with_price(scan, asset, old / factor)])
        equity, held = portfolio.equity(), portfolio.account.held()[asset]
        assert asset in portfolio.unpriced
        change = await trader.turn.change_position(order(Act.REDENOMINATE, asset, factor))
        assert portfolio.equity() == pytest.approx(equity, abs=1e-6)
        assert change.quantity == round(held * factor, portfolio.digits(asset))
        assert trader.engine.position(asset) == pytest.approx(change.quantity)
        assert asset not in portfolio.unpriced
        scan = next(scans)
        new = scan.prices[scan.assets.index(asset)] / factor
        (plan,) = await trader.trade([with_price(scan, asset, new)])
        assert asset in plan.prices
        assert trader.booking.mismatch is None
        portfolio.account.check()

    await run(trader, step)


@pytest.mark.parametrize("kind", ["fake", "paper"])
async def test_a_settlement_closes_at_its_price_and_undo_gives_back_what_was(kind):
    trader = holding(kind)

    async def step():
        asset = await until_held(trader)
        portfolio = trader.portfolio
        before = msgspec.structs.replace(portfolio.account.positions[asset])
        cash = portfolio.account.cash
        change = await trader.turn.change_position(order(Act.SETTLE, asset, 0.0))
        assert portfolio.account.held().get(asset) is None
        assert trader.engine.position(asset) == 0.0
        assert change.realised == pytest.approx(-before.quantity * before.average_price)
        assert portfolio.account.cash == pytest.approx(cash + change.realised)
        await trader.turn.change_position(order(Act.UNDO, asset, name="back"))
        assert portfolio.account.positions[asset].quantity == before.quantity
        assert portfolio.account.positions[asset].average_price == before.average_price
        assert portfolio.account.cash == pytest.approx(cash)
        assert trader.engine.position(asset) == pytest.approx(before.quantity)
        with pytest.raises(PositionRefused, match="no change"):
            await trader.turn.change_position(order(Act.UNDO, asset, name="twice"))
        assert [row[3] for row in trader.journal.all("position_changes")] == ["settle", "undo"]

    await run(trader, step)


async def test_an_accepted_level_marks_the_position_from_now_on():
    trader = holding()

    async def step():
        asset = await until_held(trader)
        portfolio, scan = trader.portfolio, SCANS[-60]
        level = scan.prices[scan.assets.index(asset)] * 6.0
        await trader.trade([with_price(scan, asset, level)])
        assert portfolio.unpriced[asset].waits_at == level
        old = portfolio.prices[asset]
        equity, held = portfolio.equity(), portfolio.account.held()[asset]
        await trader.turn.change_position(order(Act.ACCEPT, asset))
        assert portfolio.prices[asset] == level
        assert portfolio.equity() == pytest.approx(equity + held * (level - old))
        (plan,) = await trader.trade([with_price(SCANS[-59], asset, level * 1.01)])
        assert asset in plan.prices
        with pytest.raises(PositionRefused, match="waits to be believed"):
            await trader.turn.change_position(order(Act.ACCEPT, asset, name="again"))

    await run(trader, step)


@pytest.mark.parametrize(
    ("act", "asset", "value", "why"),
    [
        (Act.SETTLE, "NOTHING", 1.0, "not known"),
        (Act.SETTLE, None, -1.0, "no number"),
        (Act.SETTLE, None, float("inf"), "no number"),
        (Act.SETTLE, None, None, "no number"),
        (Act.REDENOMINATE, None, 0.0, "no number"),
        (Act.REDENOMINATE, None, float("nan"), "no number"),
        (Act.ACCEPT, None, None, "waits"),
        (Act.UNDO, None, None, "no change"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_changes_nothing(act, asset, value, why):
    trader = holding()

    async def step():
        held = await until_held(trader)
        before = portfolio_state.save(trader.portfolio)
        trader.portfolio.in_flight.clear()
        saved = msgspec.msgpack.decode(before)
        with pytest.raises(PositionRefused, match=why):
            await trader.turn.change_position(order(act, asset or held, value))
        after = msgspec.msgpack.decode(portfolio_state.save(trader.portfolio))
        assert {**after, "in_flight": []} == {**saved, "in_flight": []}
        assert not trader.journal.all("position_changes")

    await run(trader, step)


async def test_a_command_is_carried_out_once():
    trader = holding()

    async def step():
        asset = await until_held(trader)
        await trader.turn.change_position(order(Act.REDENOMINATE, asset, 10.0))
        held = trader.portfolio.account.positions[asset].quantity
        with pytest.raises(PositionRefused, match="already"):
            await trader.turn.change_position(order(Act.REDENOMINATE, asset, 10.0))
        assert trader.portfolio.account.positions[asset].quantity == held

    await run(trader, step)


async def test_an_accepted_level_of_what_is_not_held_can_be_taken_back():
    trader = holding()

    async def step():
        await trader.trade(SCANS[:100])
        portfolio, asset = trader.portfolio, SCANS[100].assets[0]
        assert not portfolio.account.held().get(asset)
        old = portfolio.prices[asset]
        await trader.trade([with_price(SCANS[100], asset, old * 7)])
        await trader.turn.change_position(order(Act.ACCEPT, asset))
        await trader.turn.change_position(order(Act.UNDO, asset, name="back"))
        assert portfolio.prices[asset] == old
        assert trader.booking.mismatch is None

    await run(trader, step)


async def test_taking_back_a_settlement_leaves_the_price_that_came_since():
    trader = holding()

    async def step():
        asset = await until_held(trader)
        portfolio = trader.portfolio
        await trader.turn.change_position(order(Act.SETTLE, asset, 1.0))
        halted = TradingPermission(entry_block="TEST")
        await trader.trade(SCANS[-60:-40], halted)
        now = portfolio.prices[asset]
        assert now != SCANS[-61].prices[SCANS[-61].assets.index(asset)]
        await trader.turn.change_position(order(Act.UNDO, asset, name="back"))
        assert portfolio.prices[asset] == now
        (plan,) = await trader.trade([SCANS[-40]], halted)
        assert asset in plan.prices

    await run(trader, step)


async def test_taking_back_a_redenomination_is_of_the_price_of_now():
    trader = holding()

    async def step():
        asset = await until_held(trader)
        portfolio, block = trader.portfolio, TradingPermission(entry_block="TEST")
        portfolio.in_flight.clear()
        await trader.turn.change_position(order(Act.REDENOMINATE, asset, 8.0))
        at = SCANS[-60].assets.index(asset)
        await trader.trade([with_price(SCANS[-60], asset, SCANS[-60].prices[at] / 8.0)], block)
        if asset in portfolio.changes:
            await trader.turn.change_position(order(Act.UNDO, asset, name="back"))
            assert portfolio.prices[asset] == pytest.approx(SCANS[-60].prices[at])

    await run(trader, step)


@pytest.mark.parametrize("value", [1e308, 5e-324, 1e-300, 1e-9])
async def test_a_factor_that_leaves_no_numbers_or_no_position_is_refused(value):
    trader = holding()

    async def step():
        asset = await until_held(trader)
        equity = trader.portfolio.equity()
        with pytest.raises(PositionRefused, match="no number"):
            await trader.turn.change_position(order(Act.REDENOMINATE, asset, value))
        assert trader.portfolio.equity() == equity

    await run(trader, step)


async def test_one_that_was_traded_since_cannot_be_taken_back():
    trader = holding()

    async def step():
        asset = await until_held(trader)
        await trader.turn.change_position(order(Act.REDENOMINATE, asset, 2.0))
        await trader.trade(SCANS[-60:])
        assert asset not in trader.portfolio.changes
        with pytest.raises(PositionRefused, match="traded since"):
            await trader.turn.change_position(order(Act.UNDO, asset, name="back"))

    await run(trader, step)


async def test_orders_in_flight_of_the_asset_go_first_and_the_others_stay():
    trader = holding()

    async def step():
        await trader.trade(SCANS[:-60])
        flying = {o.order.asset for o in trader.portfolio.in_flight.values()}
        sent = []
        for scan in SCANS[-60:]:
            await trader.trade([scan])
            flying = {o.order.asset for o in trader.portfolio.in_flight.values()}
            sent = [a for a in flying if a in trader.portfolio.account.held()]
            if sent and len(flying) > 1:
                break
        assert sent
        await trader.turn.change_position(order(Act.SETTLE, sent[0], 1.0))
        assert {o.order.asset for o in trader.portfolio.in_flight.values()} == flying - {sent[0]}
        assert trader.ends()[-1] == "CANCELED"

    await run(trader, step)


async def test_a_person_may_close_what_limits_would_stop():
    trader = holding()

    async def step():
        asset = await until_held(trader)
        await trader.trade([SCANS[-60]], TradingPermission(entry_block="STALE_SCAN"))
        await trader.turn.change_position(order(Act.SETTLE, asset, 1.0))
        assert asset not in trader.portfolio.account.held()

    await run(trader, step)
