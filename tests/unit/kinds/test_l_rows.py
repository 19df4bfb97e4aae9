"""Kind L, one row refuses all: an answer of many rows is read row by row, judged for what was asked."""

import json

import msgspec
import pytest

from dolphin_dagster.sources.answers import rows
from dolphin_realtime.model.errors import SourceFormatChanged


class Row(msgspec.Struct):
    symbol: str
    rate: str


GOOD = [{"symbol": f"A{n}", "rate": "0.1"} for n in range(20)]
WANTED = {row["symbol"] for row in GOOD}


def read(found, wanted=frozenset(WANTED)):
    return rows("host/path", json.dumps(found, ensure_ascii=False).encode(), Row, wanted)


@pytest.mark.parametrize(
    "odd",
    [
        {"symbol": "BTC_260327", "rate": None}, {"symbol": "币安人生USDT"}, {"rate": "0.1"},
        {"symbol": 7, "rate": "0.1"}, {}, [], None, "text", 5, {"symbol": None, "rate": "0.1"},
        {"symbol": "NEW", "rate": {"of": "another kind"}},
    ],
)  # fmt: skip
def test_a_row_that_nobody_asked_for_is_counted_and_nothing_else(odd):
    found, refused, n_others = read([*GOOD[:7], odd, *GOOD[7:]])
    assert found.keys() == WANTED
    assert (refused, n_others) == ({}, 1)


@pytest.mark.parametrize("rate", [None, 0.1, [], {}])
def test_a_row_that_was_asked_for_and_is_odd_is_refused_alone(rate):
    found, refused, _ = read([*GOOD[:-1], {"symbol": "A19", "rate": rate}])
    assert found.keys() == WANTED - {"A19"}
    assert "A19" in str(refused["A19"])
    assert "rate" in str(refused["A19"])


@pytest.mark.parametrize("body", [{"code": -1}, "x", 5, None])
def test_an_answer_that_is_no_list_is_another_format(body):
    with pytest.raises(SourceFormatChanged):
        read(body)


def test_a_list_of_nothing_asked_for_is_empty_and_counted():
    assert read(GOOD, frozenset({"Z"})) == ({}, {}, 20)


@pytest.mark.parametrize(
    "raw", [b'{"symbol":"A3","x":"\xff"}', b'{"symbol":"Z","x":' + b"[" * 5000 + b"]" * 5000 + b"}"]
)
def test_a_row_of_bad_bytes_or_of_endless_depth_costs_itself_at_most(raw):
    body = (
        b"["
        + b",".join([json.dumps(row).encode() for row in GOOD if row["symbol"] != "A3"] + [raw])
        + b"]"
    )
    try:
        found, _, _ = rows("host/path", body, Row, frozenset(WANTED))
    except SourceFormatChanged:
        return
    assert found.keys() == WANTED - {"A3"}


def test_a_symbol_that_comes_twice_is_read_where_it_can_be():
    found, refused, _ = read([*GOOD, {"symbol": "A5", "rate": None}])
    assert (found.keys(), refused) == (WANTED, {})
    found, refused, _ = read([{"symbol": "A5", "rate": None}, *GOOD])
    assert (found.keys(), refused) == (WANTED, {})
