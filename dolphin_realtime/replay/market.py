"""Scans from recorded prices: correlation eigenvalues, and a bridge below one minute.

A candle stamped t closes at t + step: its price is the scan's price at t + step. If scans are
closer together than the record, prices between two closes follow a seeded Brownian bridge, and
every such scan says that it is simulated. Prices are quote per unit of base.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.market.return_window import eigenvalues
from dolphin_realtime.model.market.scan import Scan

Floats = NDArray[np.float64]

SAMPLE: Final = Path(__file__).with_name("sample_1m.parquet")
MIN_RETURNS: Final = 32
"""Fewest returns for an eigenvalue spectrum."""
VOL_MINUTES: Final = 30
US: Final = 1_000_000


class ReplayParams(msgspec.Struct, frozen=True, kw_only=True):
    """How prices become scans.

    Attributes:
        cadence_s: Market time between scans.
        window: Number of returns in the correlation matrix, at the record's step.
        seed: Seed of the Brownian bridge.
    """

    cadence_s: float = 60.0
    window: int = 240
    seed: int = 1


class PriceTable(msgspec.Struct):
    """Recorded closes, one column per asset; ``times_us`` is when each row became known."""

    assets: list[str]
    times_us: NDArray[np.int64]
    prices: Floats

    @property
    def step_us(self) -> int:
        """The record's step."""
        return int(np.median(np.diff(self.times_us)))


def load_prices(path: Path = SAMPLE) -> PriceTable:
    """Return the prices of a wide parquet of ``ts`` and one column per asset.

    Raises:
        SettingsError: If the file is not such a table.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: no such file; give a wide parquet of ts and prices")
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as e:
        raise SettingsError(f"{path}: {e}") from e
    if "ts" not in frame.columns or len(frame) < MIN_RETURNS + 2 or frame.shape[1] < 3:
        raise SettingsError(
            f"{path}: expected a column 'ts', two assets and {MIN_RETURNS + 2} rows"
        )
    stamps = pd.to_datetime(frame["ts"], utc=True).astype("datetime64[us, UTC]")
    opened = stamps.astype("int64").to_numpy()
    prices = frame.drop(columns="ts")
    step = int(np.median(np.diff(opened)))
    return PriceTable(list(prices.columns), opened + step, prices.to_numpy(dtype=np.float64))


class Market:
    """A price record as an endless sequence of scans.

    After its end the record is repeated as a new epoch: numbers restart, instants shift by whole
    days, and prices are chained so that no asset jumps.
    """

    def __init__(self, table: PriceTable, params: ReplayParams) -> None:
        self._table, self.params = table, params
        self._log = np.log(table.prices)
        self._returns = np.diff(self._log, axis=0)
        step_s = table.step_us / US
        self._per_row = max(1, round(step_s / params.cadence_s))
        self._rows_per_scan = max(1, round(params.cadence_s / step_s))
        self.is_bridged = self._per_row > 1

    def rows_of(self, first_us: int, last_us: int) -> range:
        """Return the rows known in [first, last) with enough history for a spectrum."""
        times = self._table.times_us
        first = max(MIN_RETURNS, int(np.searchsorted(times, first_us)))
        return range(first, int(np.searchsorted(times, last_us)), self._rows_per_scan)

    @property
    def n_rows(self) -> int:
        """Rows of the record."""
        return len(self._table.times_us)

    @property
    def span_us(self) -> int:
        """The time shift of each repetition of the record: whole days."""
        length = int(self._table.times_us[-1] - self._table.times_us[0])
        return -(-(length + self._table.step_us) // DAY_US) * DAY_US

    def note(self, lap: int) -> str | None:
        """Return the note on how a round's scans are simulated, None if they are as recorded."""
        notes = []
        if self.is_bridged:
            notes.append(f"Brownian bridge between recorded closes, seed {self.params.seed}")
        if lap:
            notes.append(
                f"record replayed again, round {lap + 1}, shifted by whole days, prices chained"
            )
        return "; ".join(notes) or None

    def scans_at(self, row: int, lap: int = 0) -> Iterator[Scan]:
        """Yield the scans up to the close of ``row``, with scan number 0."""
        values = self._spectrum(row)
        factor = self._chain(lap)
        shift = lap * self.span_us
        for part in range(1, self._per_row + 1):
            prices = self._between(row, part) if self.is_bridged else self._table.prices[row]
            back_us = (self._per_row - part) * self._table.step_us // self._per_row
            yield Scan(
                scan_number=0,
                timestamp_us=int(self._table.times_us[row]) + shift - back_us,
                assets=list(self._table.assets),
                prices=(prices * factor).tolist(),
                eigenvalues=list(values),
                epoch=lap + 1,
                simulated=self.note(lap),
            )

    def _spectrum(self, row: int) -> list[float]:
        first = max(0, row - self.params.window)
        return eigenvalues(self._returns[first:row])

    def _chain(self, lap: int) -> Floats:
        """Return the price factors that make a round begin where the last one ended."""
        total = self._log[-1] - self._log[MIN_RETURNS]
        factors: Floats = np.exp(lap * total)
        return factors

    def _between(self, row: int, part: int) -> Floats:
        """Return the bridge's prices after ``part`` of the parts before a close."""
        n = self._per_row
        if part == n or row == 0:
            closes: Floats = self._table.prices[row]
            return closes
        recent = self._returns[max(0, row - VOL_MINUTES) : row]
        sigma = recent.std(axis=0) if len(recent) > 1 else np.zeros(len(self._table.assets))
        rng = np.random.default_rng((self.params.seed, row))
        steps = rng.standard_normal((n, len(self._table.assets))) / np.sqrt(n)
        walk = steps.cumsum(axis=0)
        t = part / n
        pinned = walk[part - 1] - t * walk[-1]
        line = self._log[row - 1] + t * (self._log[row] - self._log[row - 1])
        prices: Floats = np.exp(line + sigma * pinned)
        return prices
