"""A scan's numbers and its way over the wire."""

from datetime import UTC, datetime

import msgspec
import pytest

from dolphin_realtime.model.errors import ScanSchemaError
from dolphin_realtime.model.market.scan import decode_scan, encode_scan, numbered
from tests.scans import make_scan

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_scans_are_numbered_from_one_or_from_where_it_is_said():
    scans = [make_scan(9, [1.0]), make_scan(4, [2.0])]
    assert [(s.scan_number, s.prices) for s in numbered(scans)] == [(1, [1.0]), (2, [2.0])]
    assert [s.scan_number for s in numbered(scans, 7)] == [7, 8]


def test_every_field_of_a_scan_comes_back_over_the_wire():
    scan = msgspec.structs.replace(
        make_scan(7, [1.5, None, 3.0], epoch=3, values=[2.0, 1.0, None]), seq=41, simulated="seed 1"
    )
    back = decode_scan(encode_scan(scan, AT))
    assert back == msgspec.structs.replace(scan, bridge_ts=AT)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_none_on_the_wire(value):
    back = decode_scan(encode_scan(make_scan(1, [value, 2.0], values=[value, 1.0]), AT))
    assert (back.prices, back.eigenvalues) == ([None, 2.0], [None, 1.0])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"scan_number": 1}', "\ud800"])
def test_what_is_no_scan_is_refused_by_name(text):
    with pytest.raises(ScanSchemaError, match="scan document refused"):
        decode_scan(text)
