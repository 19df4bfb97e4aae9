"""The market of a benchmark: the sample's assets, and seeded ones beyond them."""

from typing import Final

import numpy as np

from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.replay.market import Market, PriceTable, ReplayParams, load_prices

SEED: Final = 7
BETA_SPREAD: Final = 0.5
NOISE_SHARE: Final = 1.0


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


def make_market(n_assets: int) -> Market:
    """Return the market of a benchmark at the record's own cadence."""
    return Market(make_table(n_assets), ReplayParams())


def first_scan(market: Market) -> Scan:
    """Return a market's first scan."""
    return next(iter(market.scans_at(market.rows_of(0, 2**62).start)))


def label(n_assets: int) -> str:
    """Return the label that says which prices of a result are simulated."""
    n_recorded = len(load_prices().assets)
    if n_assets <= n_recorded:
        return "recorded prices"
    return f"{n_recorded} recorded assets, {n_assets - n_recorded} simulated (seed {SEED})"
