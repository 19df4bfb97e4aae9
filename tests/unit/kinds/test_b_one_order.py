"""Kind B, one order decides the portfolio: whatever is wrong with one order ends that order alone."""

import msgspec

from dolphin_realtime.model.market.instrument import SHIPPED
from dolphin_realtime.model.market.venue import paper_venue
from dolphin_realtime.model.orders import InFlight, OrderIntent
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.risk.permission import TradingPermission
from tests.traders import SCANS, Trader


async def test_an_order_of_no_step_in_an_old_intent_is_refused_and_the_others_go_on():
    trader = Trader()
    await trader.trade(SCANS[:300])
    first, second, *_ = trader.portfolio.instruments
    for asset, leg, quantity in ((first, "C", 0.0), (second, "A", 1.0)):
        intent = OrderIntent(
            asset=asset, side="BUY", quantity=quantity, leg=leg, is_reduce_only=leg == "C"
        )
        one = InFlight(
            client_order_id=f"OLD-1-301-{leg}", order=intent, epoch=1, scan_number=301,
            decided_us=SCANS[300].timestamp_us,
        )  # fmt: skip
        trader.journal.intents.append(one)
    orders = trader.journal.intents[-2:]
    plan = trader.turn.catch_up(msgspec.structs.replace(SCANS[300]), orders, TradingPermission())
    await trader.turn.finish(plan)
    await trader.trade(SCANS[301:303])
    told = {row[0]: (row[3], row[4]) for row in trader.journal.all("order_events")}
    assert told["OLD-1-301-C"] == ("REJECTED", "CANNOT_SEND: a quantity of 0.0 is no whole step")
    assert told["OLD-1-301-A"] == ("FILLED", "")
    assert trader.booking.refused["CANNOT_SEND"] == 1
    assert trader.booking.mismatch is None


async def test_a_name_that_the_venue_does_not_list_is_not_traded_and_says_so():
    listed = {asset: spec for asset, spec in SHIPPED.items() if asset != "BTCUSDT"}
    venue = msgspec.structs.replace(paper_venue(CostParams()), listed=listed, other=None)
    names = list(SHIPPED)[:12]
    scans = [msgspec.structs.replace(scan, assets=names) for scan in SCANS]
    trader = Trader(venue)
    plans = await trader.trade(scans)
    assert any(plan.orders for plan in plans)
    decided = [d for plan in plans for d in plan.decisions if d.asset == "BTCUSDT" and d.signal]
    assert decided
    assert {d.reason for d in decided} == {"NO_INSTRUMENT"}
