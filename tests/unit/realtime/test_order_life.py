"""The life of an order at the venue: whatever comes in whatever order, one end, and the right one."""

from decimal import Decimal
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.orders import (
    Acked,
    Ended,
    EndKind,
    InFlight,
    OrderIntent,
    Traded,
    Unknown,
)
from dolphin_realtime.venues.binance.documents import FoundOrder, OrderUpdate, Trade
from dolphin_realtime.venues.binance.order_life import (
    OPEN_S,
    PAUSES_S,
    PREFIX,
    RECV_WINDOW_MS,
    SILENT_S,
    SLACK_MS,
    OrderLives,
)

ID, WIRE = "Babcd0100001-BTC-O", f"{PREFIX}Babcd0100001-BTC-O"


def order(quantity=1.0):
    intent = OrderIntent(
        asset="BTCUSDT", side="BUY", quantity=quantity, leg="O", is_reduce_only=False
    )
    return InFlight(client_order_id=ID, order=intent, epoch=1, scan_number=1, decided_us=1)


def lives(quantity=1.0, *, is_sure=True):
    found = OrderLives()
    found.add(order(quantity), sent_ms=1000, now=10.0, is_sure=is_sure)
    return found


def trade(n, quantity, client_id=WIRE):
    return Trade(
        symbol="BTCUSDT", id=n, order_id=7, is_buy=True, quantity=Decimal(quantity),
        price=Decimal(100), fee=Decimal("0.1"), fee_asset="USDT", realised=Decimal(0), at_ms=5,
        client_id=client_id,
    )  # fmt: skip


def update(status, filled, ordered="1"):
    return OrderUpdate(
        symbol="BTCUSDT", client_id=WIRE, side="BUY", execution="NEW", status=status, order_id=7,
        ordered=Decimal(ordered), quantity=Decimal(0), filled=Decimal(filled), price=Decimal(0),
        trade_id=0, at_ms=5,
    )  # fmt: skip


def found(status, filled):
    return FoundOrder(symbol="BTCUSDT", order_id=7, client_id=WIRE, status=status,
                      ordered=Decimal(1), filled=Decimal(filled))  # fmt: skip


def take(all_lives, *what):
    """Let things happen, and return the kinds of what is told."""
    told = []
    for one in what:
        if isinstance(one, Trade):
            told += all_lives.traded(all_lives.of(one), one)
        elif isinstance(one, OrderUpdate):
            told += all_lives.heard(one, 11.0)
        else:
            told += all_lives.found(ID, one, 11.0)
        if told and isinstance(told[-1], Ended):
            all_lives.drop(ID)
            break
    return told


def test_updates_and_trades_in_any_order_give_one_end():
    events = [update("NEW", "0"), trade(1, "0.4"), trade(2, "0.6"), update("FILLED", "1")]
    for some in permutations(events):
        told = take(lives(), *some)
        assert [e.quantity for e in told if isinstance(e, Traded)] == pytest.approx(
            [float(t.quantity) for t in some if isinstance(t, Trade)]
        )
        assert sum(isinstance(e, Acked) for e in told) == 1
        (end,) = [e for e in told if isinstance(e, Ended)]
        assert (end.kind, end) == (EndKind.FILLED, told[-1])


@given(st.sampled_from(["EXPIRED", "CANCELED", "EXPIRED_IN_MATCH"]), st.permutations([0, 1, 2]))
def test_a_part_and_an_end_wait_for_each_other(status, way):
    events = [trade(1, "0.3"), trade(2, "0.2"), update(status, "0.5")]
    told = take(lives(), *(events[n] for n in way))
    assert told[-1].kind in (EndKind.EXPIRED, EndKind.CANCELED)
    assert sum(e.quantity for e in told if isinstance(e, Traded)) == pytest.approx(0.5)


def test_an_order_that_the_venue_lowered_ends_expired():
    told = take(lives(), trade(1, "0.7"), update("FILLED", "0.7", ordered="0.7"))
    assert (told[-1].kind, told[-1].code) == (EndKind.EXPIRED, "LOWERED")


def test_what_rest_tells_without_a_client_id_belongs_by_the_venues_number():
    some = lives()
    assert some.of(trade(1, "1", client_id=None)) is None
    some.found(ID, found("NEW", "0"), 11.0)
    assert some.of(trade(1, "1", client_id=None)) == ID
    some.drop(ID)
    assert some.of(trade(2, "1", client_id=None)) is None
    assert some.of(trade(2, "1")) is None


def test_silence_makes_unknown_and_a_word_known_again():
    some = lives()
    assert some.silent(10.0 + SILENT_S - 0.01) == []
    (unknown,) = some.silent(10.0 + SILENT_S)
    assert isinstance(unknown, Unknown)
    assert some.silent(30.0) == []
    assert [type(e) for e in some.found(ID, found("NEW", "0"), 12.0)] == [Acked]
    assert not some.by_id[ID].is_unknown


def test_an_order_of_a_dead_process_is_asked_about_at_once():
    some = lives(is_sure=False)
    assert [life.order.client_order_id for life in some.due(10.0)] == [ID]
    assert isinstance(some.silent(10.0)[0], Unknown)


def test_questions_come_at_the_pauses():
    some, now = lives(), 10.0 + SILENT_S
    times = []
    for _ in range(len(PAUSES_S) + 1):
        (life,) = some.due(now)
        times.append(now)
        some.asked(life, now)
        assert some.due(now) == []
        now = life.ask_at
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == [*PAUSES_S[1:], PAUSES_S[-1]]


def test_an_order_that_is_there_and_does_not_end_is_asked_about():
    some = lives()
    some.heard(update("NEW", "0"), 11.0)
    assert some.due(11.0 + OPEN_S - 0.01) == []
    assert len(some.due(11.0 + OPEN_S)) == 1


def test_it_was_never_there_only_when_it_cannot_come_any_more():
    some, last_ms = lives(), 1000 + RECV_WINDOW_MS + SLACK_MS
    assert some.absent(ID, last_ms) == []
    assert some.absent(ID, last_ms + 1)[0].kind is EndKind.NEVER_THERE
    some.heard(update("NEW", "0"), 11.0)
    assert some.absent(ID, last_ms + 9999) == [], "it was heard of"
    assert some.absent("another", last_ms + 9999) == []


def test_a_doubtful_answer_is_no_end():
    some = lives()
    assert isinstance(some.doubted(ID, "-1007", 10.5)[0], Unknown)
    assert some.due(10.5)
    assert some.doubted(ID, "-1007", 10.6) == []
    assert some.heard(update("NEW", "0"), 11.0)
    assert some.doubted(ID, "late", 11.0) == []


def test_the_prefix_is_the_adapters():
    from nautilus_trader.adapters.binance import decode_binance_futures_client_order_id as decode

    assert decode(WIRE) == ID
