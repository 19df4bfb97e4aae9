"""`dolphin bench signal`: scans per second of `compute_signal` alone, by number of assets."""

import statistics
import time
from typing import Any, Final

from dolphin_realtime.bench.market import label, make_market
from dolphin_realtime.model.market.scan import Scan, numbered
from dolphin_realtime.model.signal.state import SignalState
from dolphin_realtime.replay.market import Market

ASSETS: Final = (16, 50, 160, 400)
WARM_UP_SCANS: Final = 300
REPEATS: Final = 5


def first_scans(market: Market, n_scans: int) -> list[Scan]:
    """Return the first scans of a market, numbered from 1."""
    scans: list[Scan] = []
    for row in market.rows_of(0, 2**62)[:n_scans]:
        scans += market.scans_at(row)
    return list(numbered(scans))


def measure(n_scans: int) -> dict[str, Any]:
    """Return scans a second by assets: the median of REPEATS runs over the same scans."""
    rows: list[dict[str, Any]] = []
    for n_assets in ASSETS:
        scans = first_scans(make_market(n_assets), WARM_UP_SCANS + n_scans)
        rates = [_rate(scans) for _ in range(REPEATS)]
        median = statistics.median(rates)
        rows.append(
            {
                "assets": n_assets,
                "scans_per_s": round(median),
                "us_per_scan": round(1e6 / median, 1),
                "slowest": round(min(rates)),
                "fastest": round(max(rates)),
                "prices": label(n_assets),
            }
        )
    growth = rows[-1]["us_per_scan"] / rows[0]["us_per_scan"]
    return {
        "scans": n_scans,
        "rows": rows,
        "assets_growth": ASSETS[-1] / ASSETS[0],
        "time_growth": round(growth, 2),
    }


def _rate(scans: list[Scan]) -> float:
    state = SignalState()
    for scan in scans[:WARM_UP_SCANS]:
        state.step(scan)
    began = time.perf_counter()
    for scan in scans[WARM_UP_SCANS:]:
        state.step(scan)
    return (len(scans) - WARM_UP_SCANS) / (time.perf_counter() - began)
