"""The contract of an engine: what is misuse, what the core does by itself, and that it is told."""

import threading

import pytest

from dolphin_realtime.model.errors import EngineError
from dolphin_realtime.model.orders import Acked, Ended, Traded, Unknown
from tests.engines import Heard, met, order, running
from tests.unit.realtime.test_engine import (
    SOON_S,
    VENUE,
    each_engine,
    ends,
    faulty,
    nautilus_alone,
    sent,
)


@each_engine
async def test_an_id_is_used_once_and_nothing_is_sent_where_it_is_not(name):
    heard, one = Heard(), order("I")
    async with running(name, VENUE, heard) as engine:
        await sent(engine, one)
        for orders in ([order("I")], [order("J"), order("J")]):
            with pytest.raises(EngineError, match="is in use"):
                engine.send(orders)
        assert {e.order_id for e in heard.events} == {"I"}
        engine.execute(met(one))
        await ends(engine, heard, one)
        with pytest.raises(EngineError, match="is in use"):
            engine.send([order("I")])


@each_engine
async def test_a_call_from_another_thread_is_refused_before_the_core_aborts(name):
    heard, raised = Heard(), []

    def call(step):
        try:
            step()
        except EngineError as e:
            raised.append(str(e))

    async with running(name, VENUE, heard) as engine:
        one = order("T")
        await sent(engine, one)
        for step in (
            lambda: engine.send([order("T2")]),
            lambda: engine.resume([order("T3")]),
            lambda: engine.execute(met(one)),
            lambda: engine.cancel("T", "x"),
        ):
            thread = threading.Thread(target=call, args=(step,))
            thread.start()
            thread.join()
        engine.execute(met(one))
        assert await ends(engine, heard, one) == ["FILLED"]
    assert len(raised) == 4
    assert "on the thread that made it" in raised[0]


@nautilus_alone
async def test_a_second_engine_in_the_process_is_refused_and_the_first_goes_on(name):
    heard, one = Heard(), order("A")
    async with running(name, VENUE, heard) as engine:
        for other in ("paper", "backtest"):
            with pytest.raises(EngineError, match="a process has one trading engine"):
                async with running(other, VENUE, Heard()):
                    pass
        await sent(engine, one)
        engine.execute(met(one))
        assert await ends(engine, heard, one) == ["FILLED"]
    async with running(name, VENUE, Heard()):
        pass


@pytest.mark.parametrize("event", [Acked, Unknown, Traded, Ended])
async def test_an_exception_in_a_callback_is_told_and_never_silent(event):
    heard, one = Heard(raises=event), order("E")
    venue = faulty(unknown_filled_share=1.0) if event is Unknown else VENUE
    async with running("paper", venue, heard) as engine:
        engine.send([one])
        engine.execute(met(one))
        assert await engine.until(lambda: heard.failures, SOON_S)
    assert "ValueError" in heard.failures[0]
    assert "no room for it" in heard.failures[0]


async def test_a_node_that_ends_by_itself_is_told():
    heard = Heard()
    async with running("paper", VENUE, heard) as engine:
        engine._handle.stop()
        assert await engine.until(lambda: heard.failures, SOON_S)
    assert heard.failures == ["the node ended by itself: it was stopped"]
