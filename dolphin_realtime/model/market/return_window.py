"""The window of returns behind a scan's eigenvalues: closes of whole minutes, of many assets. Pure.

A scan has the spectrum of the correlation matrix of its assets' last returns (signal.md). An asset that
lacks part of the window is not in the scan: its correlations would be made up.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEARLY: Final = 0.9
"""Share of the longest run of closes that an asset needs."""


def eigenvalues(returns: Floats) -> list[float]:
    """Return the eigenvalues of the correlation matrix of (rows, assets) returns, descending.

    An asset whose returns do not vary is uncorrelated with every other.
    """
    centred = returns - returns.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0))
    is_constant = scale <= 0.0
    unit = centred / np.where(is_constant, 1.0, scale)
    matrix = unit.T @ unit
    np.fill_diagonal(matrix, 1.0)
    values: list[float] = np.linalg.eigvalsh(matrix)[::-1].tolist()
    return values


class ReturnWindow:
    """Closes of the last minutes, by asset.

    Args:
        n_returns: Returns in the correlation matrix.
        least: Fewest returns in a row that an asset needs to be in a scan.
    """

    def __init__(self, n_returns: int, least: int) -> None:
        self._n, self._least = n_returns, least
        self._closes: dict[str, dict[int, float]] = {}
        self.revision = 0
        """Grows with every close that is noted: what was computed before may be of other closes."""

    def add(self, asset: str, minute: int, close: float) -> None:
        """Note an asset's close of a minute (since the epoch); a price that is none is left out."""
        if 0.0 < close < float("inf"):
            self._closes.setdefault(asset, {})[minute] = close
            self.revision += 1

    def carry(self, assets: list[str], minute: int) -> None:
        """Give assets without a close of a minute that of the one before: they did not move."""
        for asset in assets:
            closes = self._closes.get(asset, {})
            if minute not in closes and minute - 1 in closes:
                closes[minute] = closes[minute - 1]
                self.revision += 1

    def forget(self, before: int, assets: set[str]) -> None:
        """Forget minutes that no window reaches, and every asset but these."""
        self._closes = {
            asset: {minute: price for minute, price in closes.items() if minute >= before}
            for asset, closes in self._closes.items()
            if asset in assets
        }

    def has(self, asset: str, minute: int) -> bool:
        """Return whether an asset's close of a minute is known."""
        return minute in self._closes.get(asset, {})

    def lacks(self, asset: str, minute: int) -> bool:
        """Return whether an asset has too few closes up to a minute, or a hole in them."""
        closes = self._closes.get(asset, {})
        first = max(min(closes, default=minute), minute - self._n)
        return self._run(asset, minute) <= max(minute - first, self._least)

    def close(self, asset: str, minute: int) -> float:
        """Return an asset's close of a minute that is known."""
        return self._closes[asset][minute]

    def ready(self, minute: int, wanted: list[str]) -> list[str]:
        """Return the assets with enough closes in a row up to a minute, in the order that is wanted.

        Enough is nearly as many as the asset with the most has, within the window: one that has fewer, being
        new or with a hole, is left out, or the window of all would be as short as its own.
        """
        runs = {asset: self._run(asset, minute) for asset in wanted}
        most = max(runs.values(), default=0)
        return [a for a in wanted if runs[a] > self._least and runs[a] >= NEARLY * most]

    def _run(self, asset: str, minute: int) -> int:
        """Return how many closes in a row an asset has up to a minute, a window at the most."""
        closes = self._closes.get(asset, {})
        first = minute
        while first > minute - self._n and first - 1 in closes:
            first -= 1
        return minute - first + 1 if minute in closes else 0

    def spectrum(self, minute: int, assets: list[str]) -> list[float]:
        """Return the eigenvalues of assets that are ready, over the longest window that all have."""
        first = minute - min(self._run(a, minute) for a in assets) + 1
        rows = range(first, minute + 1)
        closes = np.array([[self._closes[a][m] for a in assets] for m in rows])
        return eigenvalues(np.diff(np.log(closes), axis=0))
