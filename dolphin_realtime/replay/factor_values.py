"""Factors of the replayed market: recorded daily values if there are any, else seeded waves.

A factor's value at an instant belongs here; a source's wire format belongs in factor_sources.py.
Both kinds are labelled as simulated. Values are equal for equal seed and instant.
"""

import math
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.instant import DAY_US, HOUR_US, day_of

PERIODS_H: Final = (211.0, 31.0, 4.3)
WEIGHTS: Final = (0.25, 0.15, 0.1)
"""Weights of the waves; they sum to a half, so that a value stays in its range."""
_COLUMNS: Final = {
    "dvol_btc": ("dvol_btc_close", 1.0),
    "dvol_eth": ("dvol_eth_close", 1.0),
    "fear_greed": ("fear_greed", 1.0),
    "vix": ("vix_close", 1.0),
    "btc_dominance": ("btc_dominance_pct", 1.0),
    "usdt_supply": ("usdt_supply", 1.0),
    "btc_hash_rate": ("btc_hashrate", 1e12),
}
"""Column of the record, and its unit in units of the source."""
KNOWN_AT_ONCE: Final = ("fear_greed",)
"""Factors published at the start of their day; others are closes, known after the day."""


class FactorValues:
    """Any factor at any instant.

    Args:
        seed: Seed of the waves.
        record: Parquet of daily values (`ts` and the columns above); None: all values are seeded.

    Raises:
        SettingsError: If the record cannot be read.
    """

    def __init__(self, seed: int, record: Path | None = None) -> None:
        self._seed = seed
        self._days = {} if record is None else _read(record)
        kind = f"recorded daily factors of {record.name}, else " if record else ""
        self.note = f"{kind}seeded factors, seed {seed}"

    def at(self, name: str, at_us: int, low: float, high: float) -> float:
        """Return the recorded value that was known at an instant, else a wave in [low, high]."""
        known_us = at_us if name in KNOWN_AT_ONCE else at_us - DAY_US
        recorded = self._days.get(name, {}).get(day_of(known_us))
        return self.wave(name, at_us, low, high) if recorded is None else recorded

    def of_day(self, name: str, day: str, at_us: int, low: float, high: float) -> float | None:
        """Return a day's recorded value, None if it is blank; without any record, a wave."""
        days = self._days.get(name)
        if days is None:
            return self.wave(name, at_us, low, high)
        return days.get(day)

    def wave(self, name: str, at_us: int, low: float, high: float) -> float:
        """Return the seeded value of an instant."""
        rng = np.random.default_rng((self._seed, zlib.crc32(name.encode())))
        phases = rng.uniform(0.0, 2.0 * math.pi, len(PERIODS_H)).tolist()
        hours = at_us / HOUR_US
        swing = math.fsum(
            w * math.sin(2.0 * math.pi * hours / period + phase)
            for w, period, phase in zip(WEIGHTS, PERIODS_H, phases, strict=True)
        )
        return low + (high - low) * (0.5 + swing)


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        frame = pd.read_parquet(path)
        stamps = pd.to_datetime(frame["ts"], utc=True)
    except (OSError, ValueError, KeyError) as e:
        raise SettingsError(f"{path}: {e}; expected a parquet of daily factors") from e
    days = stamps.dt.strftime("%Y-%m-%d").tolist()
    found: dict[str, dict[str, float]] = {}
    for name, (column, factor) in _COLUMNS.items():
        if column in frame.columns:
            known = frame[column].notna()
            values = zip(days, frame[column].tolist(), known.tolist(), strict=True)
            found[name] = {day: value * factor for day, value, is_known in values if is_known}
    return found
