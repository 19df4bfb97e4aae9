"""The life of an order, chains, and client order ids."""

import re
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.errors import NoOrderId, OrderMismatch
from dolphin_realtime.model.orders import (
    ID_LENGTH,
    SCANS,
    Acked,
    Ended,
    EndKind,
    InFlight,
    OrderIntent,
    OrderState,
    Traded,
    Unknown,
    advanced,
    chains,
    order_id,
    owner_of,
    short_name,
)

DIGITS = 3


def order(quantity=1.0, side="BUY", **changes):
    intent = OrderIntent(asset="A", side=side, quantity=quantity, leg="O", is_reduce_only=False)
    one = InFlight(client_order_id="I", order=intent, epoch=1, scan_number=1, decided_us=1)
    return msgspec.structs.replace(one, **changes)


def traded(quantity):
    return Traded("I", "I-1", quantity, 100.0, 0.1)


def test_an_order_goes_from_intended_to_its_end():
    one = order()
    assert one.state is OrderState.INTENDED
    one = advanced(one, Acked("I"), DIGITS)
    assert (one.state, one.left) == (OrderState.ACKNOWLEDGED, 1.0)
    one = advanced(one, traded(0.4), DIGITS)
    assert (one.state, one.filled, one.left) == (OrderState.PARTLY_FILLED, 0.4, 0.6)
    assert advanced(one, Acked("I"), DIGITS) is one
    one = advanced(one, traded(0.6), DIGITS)
    assert advanced(one, Ended("I", EndKind.FILLED), DIGITS) is None


def test_an_unknown_order_counts_in_full():
    one = advanced(order(2.0, "SELL"), Unknown("I", "no word"), DIGITS)
    assert (one.state, one.left) == (OrderState.UNKNOWN, -2.0)


@pytest.mark.parametrize(
    ("filled", "event"),
    [
        (0.0, traded(1.001)),
        (0.6, traded(0.401)),
        (0.0, traded(0.0)),
        (0.0, traded(-1.0)),
        (0.0, traded(float("nan"))),
        (0.4, Ended("I", EndKind.FILLED)),
        (1.0, Ended("I", EndKind.CANCELED)),
        (1.0, Ended("I", EndKind.NEVER_THERE)),
    ],
)
def test_an_outcome_that_an_order_cannot_have_is_a_mismatch(filled, event):
    with pytest.raises(OrderMismatch):
        advanced(order(filled=filled), event, DIGITS)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_parts_add_up_to_whole_steps_however_many(steps):
    whole = round(sum(steps) / 1000, DIGITS)
    one = order(whole)
    for part in steps:
        one = advanced(one, traded(part / 1000), DIGITS)
    assert one.filled == whole
    assert advanced(one, Ended("I", EndKind.FILLED), DIGITS) is None


def test_an_open_follows_the_close_of_its_asset_and_nothing_else():
    def leg(asset, letter, scan=1):
        intent = OrderIntent(
            asset=asset, side="BUY", quantity=1.0, leg=letter, is_reduce_only=letter == "C"
        )
        name = f"{asset}{letter}{scan}"
        return InFlight(
            client_order_id=name, order=intent, epoch=1, scan_number=scan, decided_us=scan
        )

    orders = [leg("A", "C"), leg("A", "O"), leg("B", "A"), leg("C", "O"), leg("D", "C"),
              leg("A", "C", 2), leg("A", "F1", 3), leg("B", "F1", 3)]  # fmt: skip
    found = [[o.client_order_id for o in chain] for chain in chains(orders)]
    assert found == [["AC1", "AO1"], ["BA1"], ["CO1"], ["DC1"], ["AC2"], ["AF13"], ["BF13"]]


names = st.one_of(
    st.sampled_from(
        ["BTCUSDT", "BTC", "1000PEPEUSDT", "kPEPE", "LAYERUSDT", "USDT", "A_B:C-1USDT"]
    ),
    st.text(string.ascii_letters + string.digits + "_:-", min_size=1, max_size=32),
)
legs = st.sampled_from(["C", "O", "A", "F1", "Fz", "F10"])
places = st.tuples(st.integers(0, 1295), st.integers(0, SCANS - 1), names, legs)


def id_of(place, owner="B7x0q"):
    epoch, scan, asset, leg = place
    intent = OrderIntent(asset=asset, side="BUY", quantity=1.0, leg=leg, is_reduce_only=False)
    return order_id(owner, epoch, scan, intent)


@given(places, places)
def test_ids_are_short_of_a_venue_s_letters_and_tell_orders_apart(one, other):
    text = id_of(one)
    assert len(text) <= ID_LENGTH == 24
    assert re.fullmatch(r"[A-Za-z0-9-]+", text)
    assert text.startswith("B7x0q")
    assert (text == id_of(other)) == (one == other)


def test_a_name_keeps_its_letters_where_they_fit():
    assert short_name("BTCUSDT") == "BTC"
    assert short_name("LAYERUSDT") == "LAYER"
    for name in ("BTC", "1000PEPEUSDT", "kPEPEUSDT", "USDT"):
        assert re.fullmatch(r"[a-z2-7]{7}", short_name(name)), name


def test_a_life_that_is_used_up_gives_no_id():
    for place in ((1296, 1, "A", "O"), (1, SCANS, "A", "O"), (1, 1, "BTCUSDT", "F1000")):
        with pytest.raises(NoOrderId):
            id_of((*place[:2], "LONGISHUSDT" if place[3] == "F1000" else place[2], place[3]))


def test_what_ids_begin_with_is_the_instance_and_the_life():
    assert owner_of("BLUE", "7x0q") == "B7x0q"
    assert owner_of("2nd", "7x0q") == "X7x0q"
