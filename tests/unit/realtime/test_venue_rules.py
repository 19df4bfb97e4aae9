"""The venue's rules of its instruments, as `exchangeInfo` tells them."""

import msgspec
import pytest

from dolphin_realtime.model.errors import VenueError
from dolphin_realtime.replay.exchange.symbols import exchange_info, symbols_of
from dolphin_realtime.venues.binance.rules import tradable, venue_of

INFO = exchange_info(symbols_of(["BTCUSDT", "XRPUSDT"]).values(), 1)


def venue(**changes):
    info = msgspec.json.decode(msgspec.json.encode(INFO))
    first = info["symbols"][0]
    for name, value in changes.items():
        if name == "status":
            first["status"] = value
        else:
            kind, field = name.split("__")
            next(f for f in first["filters"] if f["filterType"] == kind)[field] = value
    return venue_of(msgspec.json.encode(info), "abcd", 5.0)


def test_steps_are_the_venues_and_prices_finer_for_the_model():
    found = venue().listed
    assert msgspec.structs.astuple(found["BTCUSDT"]) == (4, 3, 5.0)
    assert msgspec.structs.astuple(found["XRPUSDT"]) == (7, 0, 5.0)
    assert venue().is_real


@pytest.mark.parametrize("change", [
    {"status": "SETTLING"}, {"LOT_SIZE__stepSize": "0.005"}, {"LOT_SIZE__stepSize": "10"},
    {"PRICE_FILTER__tickSize": "0"}, {"MIN_NOTIONAL__notional": "none"},
])  # fmt: skip
def test_a_name_that_does_not_trade_or_has_odd_rules_is_left_out(change):
    found = venue(**change)
    assert list(found.listed) == ["XRPUSDT"]
    with pytest.raises(VenueError, match="not listed as trading: BTCUSDT"):
        tradable(found, ["XRPUSDT", "BTCUSDT"])


def test_the_coarser_step_of_market_orders_holds():
    assert venue(MARKET_LOT_SIZE__stepSize="0.01").listed["BTCUSDT"].size_precision == 2
