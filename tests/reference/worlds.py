"""The recorded days that the reference is made of: prices, parameters, books and factors.

Books are drawn around recorded prices and say so; prices and funding rates are as recorded.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.books.documents import BookFeed, books_of
from dolphin_realtime.config.trader_parameters import load_parameters
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.model.instant import DAY_US, from_us
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.signal.gates import Factors, Reading
from dolphin_realtime.replay.market import SAMPLE, Market, ReplayParams, load_prices
from dolphin_realtime.scans.days import ScanDays
from tests.shared_data import SHARED

FIVE_MINUTES = {
    "signal_gap_max_s": 900, "signal_tau_s_s": 3600, "signal_tau_v_s": 14400,
    "signal_tau_x_s": 14400,
}  # fmt: skip
"""For scans five minutes apart: a gap of 180 s would break every return."""
INSTANCES = {
    "BLUE": {},
    "GREEN": {
        "target_band": 0.02, "signal_s_in": 0.3, "signal_s_out": 0.1, "signal_tau_x_s": 600,
        "limit_max_orders_per_minute": 60,
    },
}  # fmt: skip
"""GREEN turns within a scan, changes sizes often, and meets a limit."""


class Record(NamedTuple):
    """One price record: where it lies, how many whole days it is traded, what goes with it."""

    prices: Path
    days: int
    settings: dict
    funding: Path


RECORDS = {
    "sample": Record(SAMPLE, 2, {}, SHARED / "binance_usdm_funding.parquet"),
    "binance": Record(
        SHARED / "binance_usdm_1m_close.parquet", 24, {}, SHARED / "binance_usdm_funding.parquet"
    ),
    "hyperliquid-5m": Record(
        SHARED / "hyperliquid_perp_5m_close.parquet", 17, FIVE_MINUTES,
        SHARED / "hyperliquid_funding_1h.parquet",
    ),
    "hyperliquid-1m": Record(
        SHARED / "hyperliquid_perp_1m_close.parquet", 2, {},
        SHARED / "hyperliquid_funding_1h.parquet",
    ),
}  # fmt: skip


def market_of(record: Record) -> Market:
    """Return a record as a market at its own step."""
    table = load_prices(record.prices)
    return Market(table, ReplayParams(cadence_s=table.step_us / 1e6))


def archive_span(market: Market, n_days: int) -> tuple[int, int]:
    """Return (begin, end) of one day of warm-up and ``n_days`` to trade, microseconds."""
    begin = first_day(market)
    return begin, begin + (n_days + 1) * DAY_US


def portfolio_of(instance: str, record: Record) -> Portfolio:
    """Return the empty portfolio of an instance."""
    settings = {**record.settings, **INSTANCES[instance]}
    env = {f"DOLPHIN_{name.upper()}": str(value) for name, value in settings.items()}
    p = load_parameters(instance, env)
    return Portfolio(instance, p.signal, p.target, p.costs, p.limits)


def factors_of(record: Record) -> FactorHistory:
    """Return the recorded funding, known a minute before its settlement, and daily DVOL."""
    rates = pd.read_parquet(record.funding).set_index("ts")
    hours = 1.0 if "hyperliquid" in record.funding.name else 8.0
    dvol = pd.read_parquet(SHARED / "external_factors_daily.parquet").set_index("ts")
    closes = dvol["dvol_btc_close"].dropna()
    history = []
    for at, row in rates.iterrows():
        known_us = round(at.timestamp() * 1e6) - 60_000_000
        funding = {
            asset: Reading(
                value=float(rate), fetch_us=known_us, lifetime_s=16 * 3600.0, interval_h=hours
            )
            for asset, rate in row.dropna().items()
        }
        history.append((known_us, Factors(funding=funding, dvol_btc=_dvol(closes, known_us))))
    return FactorHistory(history)


def _dvol(closes: pd.Series, now_us: int) -> Reading | None:
    """Return the close of the last whole day, and the 90th percentile of those before it."""
    known = closes[: pd.Timestamp(now_us, unit="us", tz="UTC") - pd.Timedelta(days=1)]
    if len(known) < 30:
        return None
    return Reading(
        value=float(known.iloc[-1]), fetch_us=now_us, lifetime_s=2 * 86_400.0,
        percentile_90=float(known.iloc[-90:].quantile(0.9)),
    )  # fmt: skip


def books_of_days(found: ScanDays, days: list[str]) -> BookFeed:
    """Return a book of every other asset two seconds after each scan, thin enough to be walked."""

    def timed() -> Iterator[tuple]:
        for day in days:
            for scan in found.scans(day):
                at_us = scan.timestamp_us + 2_000_000
                yield at_us, books_of({"assets": dict(_books(scan, at_us))})

    return BookFeed(timed())


def _books(scan, at_us):
    rng = np.random.default_rng(scan.timestamp_us // 1_000_000)
    wide, imbalance = rng.uniform(1.0, 12.0, len(scan.assets)), rng.uniform(-1, 1, len(scan.assets))
    for n in range(0, len(scan.assets), 2):
        price = scan.prices[n]
        if price is None:
            continue
        half = wide[n] * 0.5e-4
        bids = [[price * (1 - half - 1e-4 * k), 700.0 / price] for k in range(20)]
        asks = [[price * (1 + half + 1e-4 * k), 700.0 / price] for k in range(20)]
        yield scan.assets[n], {
            "event_time": from_us(at_us).isoformat(), "imbalance_5": float(imbalance[n]),
            "spread_bps": float(wide[n]), "bids": bids, "asks": asks,
        }  # fmt: skip
