"""Order books for the replayed market: recorded ones, or seeded around the replayed price.

The books over time belong here, the wire format belongs in venue.py. A seeded book's mid between
two scans is the *next* scan's price: with this scan's price, a fill could earn the bid-ask bounce
in the price that the decision used. Both kinds are simulated and labelled as such.
"""

import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.market.order_book import LEVELS, Level
from dolphin_realtime.model.market.scan import Scan

Sides = tuple[list[Level], list[Level]]
"""(bids, asks), best first."""
HALF_SPREAD_BPS: Final = (1.0, 3.0)
STEP_BPS: Final = 0.8
LEVEL_USD: Final = 20_000.0


class ReplayClock:
    """The replayed market's instant and prices, between one scan and the next."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._lock = threading.Lock()
        self._at_us, self._gap_us, self._since = 0, 0, time.monotonic()
        self._mids: dict[str, float] = {}

    def show(self, scan: Scan, following: Scan) -> None:
        """Set the scan just written and the one that will follow it."""
        with self._lock:
            self._at_us = scan.timestamp_us
            self._gap_us = max(0, following.timestamp_us - scan.timestamp_us)
            self._since = time.monotonic()
            self._mids = {
                a: p
                for a, p in zip(following.assets, following.prices, strict=True)
                if p is not None and p > 0.0
            }

    def now_us(self) -> int:
        """Return the market time: it runs at the replay's speed, up to the next scan."""
        with self._lock:
            passed_us = round((time.monotonic() - self._since) * self._speed * 1e6)
            return self._at_us + min(passed_us, max(0, self._gap_us - 1000))

    def mid(self, asset: str) -> float | None:
        """Return an asset's mid, None where it has no price."""
        with self._lock:
            return self._mids.get(asset)


class BookSource(Protocol):
    """Gives the book of an asset at each tick."""

    def book(self, asset: str, tick: int) -> Sides | None:
        """Return (bids, asks), None where there is no book."""


class SeededBooks:
    """Books drawn at each tick around the replayed price, reproducible by seed."""

    def __init__(self, clock: ReplayClock, seed: int) -> None:
        self._clock, self._seed = clock, seed

    def book(self, asset: str, tick: int) -> Sides | None:
        """Return a book of 20 levels a side."""
        mid = self._clock.mid(asset)
        if mid is None:
            return None
        rng = np.random.default_rng((self._seed, *asset.encode(), tick))
        half = rng.uniform(*HALF_SPREAD_BPS) * 1e-4
        away = (half + np.arange(LEVELS) * STEP_BPS * 1e-4).tolist()
        usd = (LEVEL_USD * rng.exponential(1.0, (2, LEVELS)) + 100.0).tolist()
        digits = price_digits(mid)
        bids = [
            (round(mid * (1.0 - d), digits), _size(u / mid))
            for d, u in zip(away, usd[0], strict=True)
        ]
        asks = [
            (round(mid * (1.0 + d), digits), _size(u / mid))
            for d, u in zip(away, usd[1], strict=True)
        ]
        return merged(bids), merged(asks)


class OnTick:
    """Another source's books as a venue shows them: prices on its tick, sizes in its steps.

    ``digits`` are the decimal places of each asset's tick and step. Bids are rounded down, asks
    up, sizes to the nearest step; a level of less than a step is left out.
    """

    def __init__(self, source: BookSource, digits: Mapping[str, tuple[int, int]]) -> None:
        self._source, self._digits = source, digits

    def book(self, asset: str, tick: int) -> Sides | None:
        """Return the book of a tick."""
        sides = self._source.book(asset, tick)
        if sides is None:
            return None
        price_digits, size_digits = self._digits[asset]
        unit = 10.0**price_digits
        bids, asks = (
            [
                (price, size)
                for price, q in merged([(way(round(p * unit, 6)) / unit, q) for p, q in side])
                if price > 0.0 and (size := round(q, size_digits)) > 0.0
            ]
            for way, side in ((math.floor, sides[0]), (math.ceil, sides[1]))
        )
        return bids, asks


class RecordedBooks:
    """Books recorded each second; with a clock they are scaled to the replayed price."""

    def __init__(
        self, folder: Path, clock: ReplayClock | None, fallback: BookSource | None
    ) -> None:
        self._clock, self._fallback = clock, fallback
        self._tables: dict[str, NDArray[np.float64]] = {}
        self.times_us: dict[str, NDArray[np.int64]] = {}
        for path in sorted(folder.glob("orderbook_*_usdm_1s_*.parquet")):
            asset = path.name.split("_")[1].upper()
            self._tables[asset], self.times_us[asset] = _read_recorded(path)
        if not self._tables:
            raise SettingsError(f"{folder}: no orderbook_<asset>_usdm_1s_*.parquet in it")

    @property
    def assets(self) -> list[str]:
        """Assets that have a record."""
        return list(self._tables)

    def book(self, asset: str, tick: int) -> Sides | None:
        """Return the recorded book of a tick, repeating the record; else the fallback's."""
        table = self._tables.get(asset)
        if table is None:
            return None if self._fallback is None else self._fallback.book(asset, tick)
        row = table[tick % len(table)].reshape(2, LEVELS, 2)
        factor = self._factor(asset, (row[0, 0, 0] + row[1, 0, 0]) / 2.0)
        bids, asks = ([(float(p * factor), float(q)) for p, q in side] for side in row)
        return bids, asks

    def _factor(self, asset: str, mid: float) -> float:
        wanted = None if self._clock is None else self._clock.mid(asset)
        return 1.0 if wanted is None else wanted / mid


def _read_recorded(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    columns = [
        f"{side}_{what}_{n}"
        for side in ("bid", "ask")
        for n in range(LEVELS)
        for what in ("px", "qty")
    ]
    try:
        frame = pd.read_parquet(path)
        times = pd.to_datetime(frame["ts"], utc=True).astype("datetime64[us, UTC]").astype("int64")
        return frame[columns].to_numpy(dtype=np.float64), times.to_numpy()
    except (OSError, ValueError, KeyError) as e:
        raise SettingsError(f"{path}: {e}") from e


def price_digits(price: float) -> int:
    """Return the number of decimals for a price tick of about a hundredth of a basis point."""
    return max(0, 6 - int(np.floor(np.log10(price))))


def _size(units: float) -> float:
    return float(f"{units:.6g}")


def merged(levels: list[Level]) -> list[Level]:
    """Return levels with equal prices added up, order kept."""
    found: dict[float, float] = {}
    for price, quantity in levels:
        found[price] = found.get(price, 0.0) + quantity
    return list(found.items())
