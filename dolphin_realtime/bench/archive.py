"""`dolphin bench archive`: time to write, check and read a day of the scan archive, and its size.

It generates ten days by default; a year is extrapolated and labelled so.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from dolphin_realtime.bench.memory import alone, peak_mb
from dolphin_realtime.model.instant import DAY_US, day_of
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.scans.archive import read_archive, write_archive
from dolphin_realtime.scans.day_facts import read_facts

FIRST_US: Final = 20_000 * DAY_US
SEED: Final = 7
DAYS_A_YEAR: Final = 365


def measure(n_days: int, scans_a_day: int, n_assets: int) -> dict[str, Any]:
    """Return sizes and times of ``n_days`` generated days, and a year by extrapolation."""
    with tempfile.TemporaryDirectory(prefix="dolphin-bench-") as scratch:
        folder = Path(scratch)
        rows = [_day(folder, n, scans_a_day, n_assets) for n in range(n_days)]
        read_mb, read_s = alone(_read_one, folder)
    bytes_a_day = median(row["bytes"] for row in rows)
    return {
        "days": n_days,
        "scans_a_day": scans_a_day,
        "assets": n_assets,
        "mb_a_day": round(bytes_a_day / 1e6, 1),
        "write_s_a_day": round(median(row["write_s"] for row in rows), 1),
        "judge_s_a_day": round(median(row["facts_s"] for row in rows), 2),
        "read_s_one_day_of_all": round(read_s, 2),
        "read_peak_mb": round(read_mb),
        "year_extrapolated": {
            "scans": scans_a_day * DAYS_A_YEAR,
            "gb": round(bytes_a_day * DAYS_A_YEAR / 1e9, 1),
            "read_minutes": round(read_s * DAYS_A_YEAR / 60, 1),
        },
        "prices": f"simulated: seeded walks (seed {SEED}), incompressible as real ones",
    }


def _day(folder: Path, n: int, n_scans: int, n_assets: int) -> dict[str, float]:
    path = folder / f"{day_of(FIRST_US + n * DAY_US)}.parquet"
    scans = list(_scans(n, n_scans, n_assets))
    began = time.perf_counter()
    write_archive(path, ((scan, "bench") for scan in scans))
    written = time.perf_counter()
    read_facts(path)
    judged = time.perf_counter()
    return {"write_s": written - began, "facts_s": judged - written, "bytes": path.stat().st_size}


def _scans(day: int, n_scans: int, n_assets: int) -> Any:
    rng = np.random.default_rng((SEED, day))
    prices = np.exp(rng.uniform(-2, 4, n_assets))
    names = [f"S{i:03d}USDT" for i in range(n_assets)]
    for n in range(n_scans):
        prices = prices * np.exp(1e-4 * rng.standard_normal(n_assets))
        values = rng.exponential(1.0, n_assets)
        yield Scan(
            scan_number=n + 1,
            timestamp_us=FIRST_US + day * DAY_US + n * DAY_US // n_scans,
            assets=names,
            prices=prices.tolist(),
            eigenvalues=(values * n_assets / values.sum()).tolist(),
        )


def _read_one(folder: Path) -> tuple[float, float]:
    """Return the peak memory and the time of reading one day in the middle."""
    paths = sorted(folder.glob("*.parquet"))
    began = time.perf_counter()
    for _ in read_archive(paths[len(paths) // 2]):
        pass
    took = time.perf_counter() - began
    return peak_mb(), took
