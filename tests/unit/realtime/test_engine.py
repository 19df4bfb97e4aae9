"""The contract of a trading engine, kept alike by a fake, the paper node and the backtest core."""

import msgspec
import pytest

from dolphin_realtime.model.market.instrument import OTHER
from dolphin_realtime.model.market.paper_faults import PaperFaults
from dolphin_realtime.model.market.venue import paper_venue
from dolphin_realtime.model.orders import EndKind, Traded
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.trading.execution import Start
from tests.engines import ENGINES, Heard, met, order, running

SOON_S = 5.0
VENUE = paper_venue(CostParams())

each_engine = pytest.mark.parametrize("name", ENGINES)
nautilus_alone = pytest.mark.parametrize("name", ["paper", "backtest"])


def faulty(**shares):
    return paper_venue(CostParams(), PaperFaults(**shares))


async def ends(engine, heard, *orders):
    """Wait until each order has its end, and return their kinds."""
    ids = [o.client_order_id for o in orders]
    assert await engine.until(lambda: all(heard.end(i) for i in ids), SOON_S), heard.events
    return [heard.end(i).kind.value for i in ids]


async def sent(engine, *orders):
    """Send orders and wait until each was answered."""
    first_ns, last_ns = engine.send(orders)
    assert first_ns <= last_ns
    assert await engine.until(lambda: not engine.unanswered, SOON_S)


@each_engine
async def test_an_order_is_acknowledged_and_fills_at_the_quote_it_is_given(name):
    heard, buy, sell = Heard(), order("B"), order("S", "ETHUSDT", "SELL", 2.0)
    async with running(name, VENUE, heard) as engine:
        await sent(engine, buy, sell)
        assert heard.of("B") == heard.of("S") == ["Acked"]
        engine.execute(met(buy))
        engine.execute(met(sell))
        assert await ends(engine, heard, buy, sell) == ["FILLED", "FILLED"]
        assert (engine.position("BTCUSDT"), engine.position("ETHUSDT")) == (1.0, -2.0)
        engine.purge()
    assert heard.fills("B") == [Traded("B", "B-1", 1.0, 101.0, VENUE.fee(1.0, 101.0))]
    assert heard.fills("S") == [Traded("S", "S-1", 2.0, 99.0, VENUE.fee(2.0, 99.0))]
    assert heard.of("B") == ["Acked", "Traded", "FILLED"]
    assert heard.failures == []


@each_engine
async def test_the_first_order_of_a_name_fills_however_long_nothing_happened(name):
    heard, one = Heard(), order("L", at_us=1)
    late = met(one)
    late = msgspec.structs.replace(
        late, quote=msgspec.structs.replace(late.quote, at_us=1_723_010_580_000_000)
    )
    async with running(name, VENUE, heard) as engine:
        await sent(engine, one)
        engine.execute(late)
        assert await ends(engine, heard, one) == ["FILLED"]


@each_engine
async def test_part_of_an_order_fills_and_the_rest_expires(name):
    heard, one = Heard(), order("P", quantity=3.0)
    async with running(name, faulty(partial_share=1.0), heard) as engine:
        await sent(engine, one)
        engine.execute(met(one))
        assert await ends(engine, heard, one) == ["EXPIRED"]
        assert engine.position("BTCUSDT") == 1.5
    assert [f.quantity for f in heard.fills("P")] == [1.5]


@each_engine
async def test_what_only_reduces_never_opens(name):
    heard, more = Heard(), order("M", side="SELL", quantity=3.0, leg="A")
    nothing = order("N", "ETHUSDT", "SELL", leg="C")
    start = Start("TEST", 100_000.0, {"BTCUSDT": (2.0, 90.0)}, dict(VENUE.listed))
    async with running(name, VENUE, heard, start) as engine:
        await sent(engine, more, nothing)
        for one in (more, nothing):
            engine.execute(met(one))
        assert await ends(engine, heard, more, nothing) == ["EXPIRED", "EXPIRED"]
        assert (engine.position("BTCUSDT"), engine.position("ETHUSDT")) == (0.0, 0.0)
    assert [f.quantity for f in heard.fills("M")] == [2.0]
    assert heard.end("N").code == "REDUCE_ONLY"


@each_engine
async def test_a_cancel_ends_an_order_for_the_reason_given(name):
    heard, one = Heard(), order("C")
    async with running(name, VENUE, heard) as engine:
        await sent(engine, one)
        engine.cancel("C", "UNFILLED: no quote in time")
        assert await ends(engine, heard, one) == ["CANCELED"]
        engine.cancel("C", "again")
        engine.execute(met(one))
    assert heard.of("C") == ["Acked", "CANCELED"]
    assert (heard.end("C").reason, heard.end("C").code) == (
        "UNFILLED: no quote in time",
        "UNFILLED",
    )
    assert heard.failures == []


@each_engine
async def test_what_is_decided_before_an_order_has_arrived_happens_when_it_has(name):
    heard, fill, cancel = Heard(), order("F"), order("X", "ETHUSDT")
    async with running(name, VENUE, heard) as engine:
        engine.send([fill, cancel])
        engine.execute(met(fill))
        engine.cancel("X", "HALTED: nothing may fill")
        assert await ends(engine, heard, fill, cancel) == ["FILLED", "CANCELED"]


@each_engine
async def test_a_refusal_of_the_venue_is_an_end_with_its_code(name):
    heard, one = Heard(), order("R")
    async with running(name, faulty(reject_share=1.0), heard) as engine:
        await sent(engine, one)
        assert await ends(engine, heard, one) == ["REJECTED"]
    assert heard.of("R") == ["REJECTED"]
    assert heard.end("R").code == "REJECTED"


@each_engine
async def test_an_order_may_be_unknown_and_fill_or_never_have_been_there(name):
    for share, end in (("unknown_filled_share", "FILLED"), ("unknown_never_share", "NEVER_THERE")):
        heard, one = Heard(), order("U")
        async with running(name, faulty(**{share: 1.0}), heard) as engine:
            await sent(engine, one)
            assert heard.of("U") == ["Unknown"]
            engine.execute(met(one))
            assert await ends(engine, heard, one) == [end]
            assert engine.position("BTCUSDT") == (1.0 if end == "FILLED" else 0.0)


@each_engine
async def test_the_open_leg_of_a_chain_leaves_when_the_close_has_filled(name):
    heard, close = Heard(), order("C", side="SELL", leg="C")
    opened, other = order("O", side="SELL", quantity=2.0), order("E", "ETHUSDT")
    start = Start("TEST", 100_000.0, {"BTCUSDT": (1.0, 90.0)}, dict(VENUE.listed))
    async with running(name, VENUE, heard, start) as engine:
        assert engine.position("BTCUSDT") == 1.0
        await sent(engine, close, opened, other)
        assert heard.of("O") == []
        for one in (close, opened, other):
            engine.execute(met(one))
        assert await ends(engine, heard, close, opened, other) == ["FILLED"] * 3
        assert engine.position("BTCUSDT") == -2.0
    kinds = [(type(e).__name__, e.order_id) for e in heard.events]
    assert kinds.index(("Ended", "C")) < kinds.index(("Acked", "O"))


@each_engine
async def test_the_open_leg_is_dropped_where_the_close_did_not_fill(name):
    heard, close, opened = Heard(), order("C", side="SELL", leg="C"), order("O", side="SELL")
    async with running(name, faulty(reject_share=1.0), heard) as engine:
        await sent(engine, close, opened)
        assert await ends(engine, heard, close, opened) == ["REJECTED", "DROPPED"]
    heard = Heard()
    async with running(name, VENUE, heard) as engine:
        await sent(engine, close, opened)
        engine.cancel("O", "UNFILLED: no quote in time")
        engine.cancel("C", "UNFILLED: no quote in time")
        assert await ends(engine, heard, close, opened) == ["CANCELED", "CANCELED"]
    assert heard.failures == []


@each_engine
async def test_an_order_that_cannot_be_built_ends_alone_and_the_others_go(name):
    heard, good = Heard(), order("G", "ETHUSDT")
    bad = [order("N", "NOBODYUSDT"), order("Z", quantity=0.0), order("D", quantity=1e-9)]
    async with running(name, VENUE, heard) as engine:
        await sent(engine, *bad, good)
        assert await ends(engine, heard, *bad) == ["REJECTED"] * 3
        assert heard.of("G") == ["Acked"]
    assert {heard.end(o.client_order_id).code for o in bad} == {"CANNOT_SEND"}
    assert "SIM has no instrument NOBODYUSDT" in heard.end("N").reason
    assert "no whole step" in heard.end("Z").reason
    assert heard.failures == []


@nautilus_alone
async def test_what_the_core_does_not_take_is_a_refusal_of_that_order(name, monkeypatch):
    heard, bad, good = Heard(), order("B"), order("G", "ETHUSDT")
    async with running(name, VENUE, heard) as engine:
        submit = type(engine._strategy).submit

        def refusing(self, one, size):
            if one.client_order_id == "B":
                raise OverflowError("too many digits")
            submit(self, one, size)

        monkeypatch.setattr(type(engine._strategy), "submit", refusing)
        engine.send([bad, good])
        for one in (bad, good):
            engine.execute(met(one))
        assert await ends(engine, heard, bad, good) == ["REJECTED", "FILLED"]
    assert heard.end("B").reason == "CANNOT_SEND: OverflowError: too many digits"
    assert heard.failures == []


@nautilus_alone
@pytest.mark.parametrize(
    ("callback", "kind", "code"),
    [
        ("on_order_denied", EndKind.REJECTED, "DENIED"),
        ("on_order_rejected", EndKind.REJECTED, "REJECTED"),
        ("on_order_canceled", EndKind.CANCELED, "CANCELED"),
        ("on_order_expired", EndKind.EXPIRED, "EXPIRED"),
    ],
)
async def test_an_end_that_the_core_chose_is_an_end_with_its_code(name, callback, kind, code):
    class Event:
        client_order_id = type("Id", (), {"value": "K"})
        reason = "by itself"

    heard, one = Heard(), order("K")
    async with running(name, VENUE, heard) as engine:
        await sent(engine, one)
        getattr(engine._strategy, callback)(Event)
        if name == "backtest":  # what the core says is taken when its run is over
            engine.execute(met(one))
    assert (heard.end("K").kind, heard.end("K").code) == (kind, code)


@each_engine
async def test_a_posture_keeps_orders_from_leaving(name):
    heard, opens, closes = Heard(), order("O"), order("C", "ETHUSDT", "SELL", leg="A")
    async with running(name, VENUE, heard) as engine:
        for posture, expected in (
            (Posture.CLOSE_ONLY, ["O"]),
            (None, ["O"]),
            (Posture.HALTED, ["O", "C"]),
            (Posture.REDUCED, []),
        ):
            engine.set_posture(posture)
            named = [
                msgspec.structs.replace(o, client_order_id=f"{o.client_order_id}-{posture}")
                for o in (opens, closes)
            ]
            await sent(engine, *named)
            fenced = [o.client_order_id for o in named if heard.end(o.client_order_id)]
            assert fenced == [f"{letter}-{posture}" for letter in expected]
            assert {heard.end(i).code for i in fenced} <= {"FENCED"}
        engine.set_posture(Posture.HALTED)
        engine.resume([opens])
        assert await engine.until(lambda: not engine.unanswered, SOON_S)
        assert heard.of("O") == ["Acked"]


@each_engine
async def test_a_new_name_is_traded_while_running(name):
    heard, one = Heard(), order("N", "NEWUSDT", quantity=0.000001)
    async with running(name, VENUE, heard) as engine:
        await engine.add_instruments({"NEWUSDT": OTHER})
        await sent(engine, one)
        engine.execute(met(one, 1e-5, 1.1e-5))
        assert await ends(engine, heard, one) == ["FILLED"]
        assert engine.position("NEWUSDT") == 0.000001


@each_engine
async def test_positions_and_orders_of_a_process_before_are_taken_over(name):
    heard, old = Heard(), order("OLD-1-17-ETHUSDT-O", "ETHUSDT", quantity=0.5)
    positions = {"BTCUSDT": (5.0, 101.2345), "XRPUSDT": (-300.0, 0.51234567)}
    start = Start("TEST", 100_000.0, positions, dict(VENUE.listed))
    async with running(name, VENUE, heard, start) as engine:
        assert engine.position("BTCUSDT") == 5.0
        assert engine.position("XRPUSDT") == -300.0
        engine.resume([old])
        assert await engine.until(lambda: not engine.unanswered, SOON_S)
        close = order("C", side="SELL", quantity=5.0, leg="C")
        await sent(engine, close)
        for one in (old, close):
            engine.execute(met(one))
        assert await ends(engine, heard, old, close) == ["FILLED", "FILLED"]
        assert engine.position("BTCUSDT") == 0.0
    assert heard.failures == []
