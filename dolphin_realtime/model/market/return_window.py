"""The window of returns behind a scan's eigenvalues: closes of whole minutes, of many assets. Pure.

A scan has the spectrum of the correlation matrix of its assets' last returns (signal.md). An asset that
lacks part of the window is not in the scan: its correlations would be made up.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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

    def add(self, asset: str, minute: int, close: float) -> None:
        """Note an asset's close of a minute (since the epoch); a price that is none is left out."""
        if 0.0 < close < float("inf"):
            self._closes.setdefault(asset, {})[minute] = close

    def carry(self, assets: list[str], minute: int) -> None:
        """Give assets without a close of a minute that of the one before: they did not move."""
        for asset in assets:
            closes = self._closes.get(asset, {})
            if minute not in closes and minute - 1 in closes:
                closes[minute] = closes[minute - 1]

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

    def close(self, asset: str, minute: int) -> float:
        """Return an asset's close of a minute that is known."""
        return self._closes[asset][minute]

    def ready(self, minute: int, wanted: list[str]) -> list[str]:
        """Return the assets with enough closes in a row up to a minute, in the order that is wanted."""
        least = range(minute - self._least, minute + 1)
        return [a for a in wanted if all(m in self._closes.get(a, {}) for m in least)]

    def spectrum(self, minute: int, assets: list[str]) -> list[float]:
        """Return the eigenvalues of assets that are ready, over the longest window that all have."""
        first = minute
        while first > minute - self._n and all(first - 1 in self._closes[a] for a in assets):
            first -= 1
        rows = range(first, minute + 1)
        closes = np.array([[self._closes[a][m] for a in assets] for m in rows])
        return eigenvalues(np.diff(np.log(closes), axis=0))
