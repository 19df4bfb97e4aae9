"""The table of `dolphin factors`: no number is cut, and what is missing has its row."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from dolphin_realtime.cli.factor_table import effect, table_of
from dolphin_realtime.model.factors.document import FactorReading, expiry
from dolphin_realtime.model.instant import span

T = datetime(2025, 5, 14, 12, tzinfo=UTC)


def reading(value, unit="u", lifetime_s=3600.0, event_ago_s=0.0, **more):
    return FactorReading(
        value=value, unit=unit, event_time=T - timedelta(seconds=event_ago_s), fetch_time=T,
        lifetime_s=lifetime_s, expires_at=expiry(T, lifetime_s), source="binance/fapi", **more,
    )  # fmt: skip


HELD = {
    ("stablecoin_supply", None): reading(206_548_123_456.7, "USD"),
    ("btc_fee_fastest", None): reading(12.0, "sat/vB"),
    ("btc_fee_hour", None): reading(3.0, "sat/vB"),
    ("vix", None): reading(46.98, "% a year", 5 * 86_400, event_ago_s=57_600),
    **{("funding", f"A{n}USDT"): reading(n * 1e-4, "fraction per interval") for n in range(8)},
}


def shown(width, **options):
    out = io.StringIO()
    asset = options.pop("asset", None)
    every = options.pop("every", False)
    console = Console(file=out, width=width)
    console.print(table_of(HELD, T + timedelta(minutes=5), asset, width, every=every))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 160])
def test_names_and_numbers_are_whole_at_any_width(width):
    text = shown(width)
    for whole in ("stablecoin_supply", "206.55 bn", "btc_fee_fastest", "btc_fee_hour", "46.98"):
        assert whole in text
    assert "…" not in text


def test_what_the_signal_misses_has_its_row():
    text = shown(160)
    assert "missing: gate 1" in text
    assert "missing: 8 h assumed" in text


def test_a_factor_of_many_assets_is_one_row_unless_asked_for():
    assert "8 assets" in shown(160)
    assert "A7USDT" not in shown(160)
    assert "A7USDT" in shown(160, every=True)
    assert "A6USDT" not in shown(160, asset="A7USDT")


def test_the_age_of_the_value_stands_beside_that_of_its_fetch():
    assert "5 min, of 16 h before" in shown(160)


def test_what_each_reading_does():
    now = T + timedelta(minutes=5)
    assert effect(("vix", None), reading(20.0), now) == "reported"
    assert effect(("funding", "A"), reading(5e-4), now) == "long × 0.566, short × 1"
    high = reading(60.0, percentile_90=55.0)
    assert effect(("dvol_btc", None), high, now) == "× 0.5 (90th percentile 55.00)"
    assert effect(("dvol_btc", None), reading(60.0), now) == "gate 1: fewer than 7 days known"
    assert effect(("dvol_btc", None), high, T + timedelta(hours=2)) == "expired: gate 1"
    assert effect(("funding_interval", "A"), reading(4.0), T + timedelta(hours=2)) == (
        "expired: 8 h assumed"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (-30, "-30 s")],
)
def test_spans_have_two_units_at_the_most(seconds, text):
    assert span(seconds) == text
