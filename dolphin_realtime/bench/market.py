"""The market of a benchmark: the sample's assets, and seeded ones beyond them."""

from typing import Final

import numpy as np

from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.replay.market import Market, PriceTable, ReplayParams, load_prices

SEED: Final = 7
BETA_SPREAD: Final = 0.5
NOISE_SHARE: Final = 1.0
OWN_SPECTRA: Final = 400
"""Up to so many assets each scan has the spectrum of its own prices."""
SPECTRA: Final = 40


def make_table(n_assets: int) -> PriceTable:
    """Return prices of ``n_assets``: recorded ones first, then seeded ones.

    A seeded asset follows the sample's mean return with a beta of its own and noise of the same
    size: it is simulated and serves only to load the machine.
    """
    table = load_prices()
    n_recorded = len(table.assets)
    if n_assets <= n_recorded:
        return PriceTable(table.assets[:n_assets], table.times_us, table.prices[:, :n_assets])
    rng = np.random.default_rng(SEED)
    returns = np.diff(np.log(table.prices), axis=0)
    market = returns.mean(axis=1)
    n_new = n_assets - n_recorded
    betas = 1.0 + BETA_SPREAD * rng.standard_normal(n_new)
    noise = rng.standard_normal((len(returns), n_new)) * returns.std() * NOISE_SHARE
    paths = np.exp(np.vstack([np.zeros(n_new), market[:, None] * betas + noise]).cumsum(axis=0))
    start = np.exp(rng.uniform(-2.0, 4.0, n_new))
    names = [f"S{i:03d}USDT" for i in range(n_new)]
    prices = np.hstack([table.prices, paths * start])
    return PriceTable([*table.assets, *names], table.times_us, prices)


class FewSpectra(Market):
    """A market that computes SPECTRA spectra and uses them in turn: of 2,000 assets each takes seconds."""

    def __init__(self, table: PriceTable, params: ReplayParams) -> None:
        super().__init__(table, params)
        self._kept: dict[int, list[float]] = {}

    def _spectrum(self, row: int) -> list[float]:
        kept = self._kept.get(row % SPECTRA)
        if kept is None:
            kept = self._kept[row % SPECTRA] = super()._spectrum(row)
        return kept


def make_market(n_assets: int, params: ReplayParams | None = None) -> Market:
    """Return the market of a benchmark, by default at the record's own cadence."""
    kind = FewSpectra if n_assets > OWN_SPECTRA else Market
    return kind(make_table(n_assets), params or ReplayParams())


def first_scan(market: Market) -> Scan:
    """Return a market's first scan."""
    return next(iter(market.scans_at(market.rows_of(0, 2**62).start)))


def label(n_assets: int) -> str:
    """Return the label that says which prices of a result are simulated."""
    n_recorded = len(load_prices().assets)
    if n_assets <= n_recorded:
        return "recorded prices"
    spectra = f", {SPECTRA} spectra in turn" if n_assets > OWN_SPECTRA else ""
    return f"{n_recorded} recorded assets, {n_assets - n_recorded} simulated (seed {SEED}){spectra}"
