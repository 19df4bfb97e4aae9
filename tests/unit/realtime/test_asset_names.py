"""Names of assets from outside: what is not a name keeps its place, gets another name and no price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.market.asset_names import LONGEST, UNNAMED, named
from dolphin_realtime.scans.files import parse_scan, to_bytes
from tests.scans import walk

HOSTILE = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "../../etc/passwd", "/etc/passwd",
    "=cmd|' /C calc'!A0", "$(touch /tmp/x)", "`id`", "; rm -rf /", "'; DROP TABLE orders;--", "a b", "",
    "A\nB", "A\r", "\x1b[2J", "\x00", "[bold]x[/bold]", "{{7*7}}", "%s%n", "A\u202eB", "A\u2028B",
    "X" * (LONGEST + 1), "A/B", "A\\B", "A|B", "@import", "#x", "A\tB",
)  # fmt: skip
GOOD = (
    "BTCUSDT",
    "1000PEPEUSDT",
    "币安人生USDT",
    "BTC-PERP",
    "BTCUSDT_261225",
    "X.Y:Z",
    "X" * LONGEST,
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_replaced_and_has_no_price(name):
    names, prices = named(["A", name, "B"], [1.0, 2.0, 3.0])
    assert (names[0], names[2]) == ("A", "B")
    assert names[1].startswith(UNNAMED)
    assert len(names[1]) == len(UNNAMED) + 8
    assert prices == [1.0, None, 3.0]


def test_names_of_venues_are_left_alone():
    names, prices = list(GOOD), [1.0] * len(GOOD)
    assert named(names, prices) == (names, prices)
    assert named(names, prices)[0] is names, "nothing is copied on the way of a scan"


@given(st.lists(st.text(max_size=50), max_size=20))
def test_whatever_comes_out_is_a_name_and_comes_out_the_same_again(names):
    prices = [1.0] * len(names)
    first, priced = named(list(names), prices)
    assert all(one.isprintable() and not set(one) & set("<>&\"'/\\`$|;= \n") for one in first)
    assert named(first, priced) == (first, priced)
    assert [a == b for a, b in zip(first, names, strict=True)] == [p is not None for p in priced]


def test_a_scan_file_with_a_hostile_name_is_a_scan_in_which_it_is_not_traded():
    (scan,) = walk(1)
    scan.assets[2] = HOSTILE[0]
    read = parse_scan(to_bytes(scan), "x")
    assert read.assets[2].startswith(UNNAMED)
    assert read.prices[2] is None
    assert read.assets[:2] == scan.assets[:2]
    assert read.prices[3:] == scan.prices[3:]
