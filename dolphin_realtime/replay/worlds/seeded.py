"""Markets of any length and worlds of random events, reproducible by seed."""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.replay.market import MIN_RETURNS, Market, PriceTable, ReplayParams
from dolphin_realtime.replay.worlds.events import (
    BadEigenvalues,
    Delisting,
    Event,
    Freeze,
    Halt,
    Hole,
    Leap,
    Level,
    Listing,
    NoPrice,
    Redenomination,
    Restart,
    Wick,
    World,
)

BEGIN_US: Final = 1_741_737_607_000_000
"""Wednesday 2025-03-12 00:00:07 UTC."""
FACTORS: Final = (1e-3, 0.1, 0.5, 0.7, 0.85, 1.15, 1.3, 2.0, 4.9, 5.1, 10.0, 1e3)


def seeded_market(seed: int, n_scans: int, n_assets: int = 14, step_s: float = 60.0) -> Market:
    """Return a market of a common factor plus each asset's own moves, prices from 1e-5 to 1e5."""
    rng = np.random.default_rng(seed)
    rows = n_scans + MIN_RETURNS
    common = rng.standard_normal((rows, 1))
    own = rng.standard_normal((rows, n_assets))
    start = np.exp(rng.uniform(np.log(1e-5), np.log(1e5), n_assets))
    paths = start * np.exp(((common + own) * 1.5e-3 * np.sqrt(step_s / 60.0)).cumsum(axis=0))
    step_us = round(step_s * 1e6)
    times = BEGIN_US + step_us * (np.arange(rows) - MIN_RETURNS)
    names = [f"S{n:02d}USDT" for n in range(n_assets)]
    return Market(PriceTable(names, times, paths), ReplayParams(cadence_s=step_s, window=120))


def random_events(seed: int, names: list[str], n_scans: int) -> list[Event]:
    """Return one to six random events, all in the last two thirds of the scans."""
    rng = np.random.default_rng((seed, 7))
    return [_random_event(rng, names, n_scans) for _ in range(int(rng.integers(1, 7)))]


def _random_event(rng: np.random.Generator, names: list[str], n_scans: int) -> Event:
    at = int(rng.integers(n_scans // 3, n_scans - 5))
    until = at + int(rng.integers(1, 8))
    long = at + int(rng.integers(20, 90))
    asset, factor = str(rng.choice(names)), float(rng.choice(FACTORS))
    kinds: list[Event] = [
        Wick(at=at, until=until, asset=asset, factor=factor),
        Level(at=at, asset=asset, factor=factor),
        Redenomination(at=at, asset=asset, factor=float(rng.choice((1e-3, 1e3, 7.0, 100.0)))),
        NoPrice(at=at, until=long, asset=asset),
        Halt(at=at, until=long, asset=asset),
        Delisting(at=at, asset=asset),
        Listing(at=at, asset="NEWUSDT", price=float(rng.uniform(1e-4, 10.0)), growth=0.02),
        Leap(at=at, factor=float(rng.choice((0.7, 0.78, 1.3, 0.1)))),
        Freeze(at=at, until=until),
        Hole(at=at, until=until),
        Restart(at=at, until=until),
        BadEigenvalues(at=at, until=until),
    ]
    return kinds[int(rng.integers(len(kinds)))]


def scans_of(market: Market, events: list[Event], n_scans: int) -> Iterator[Scan]:
    """Yield a market's scans as NG6 would write them under some events, numbered."""
    world, number = World(events, "a world of events"), 1
    for n, row in enumerate(range(MIN_RETURNS, MIN_RETURNS + n_scans)):
        for scan in market.scans_at(row):
            own = msgspec.structs.replace(scan, scan_number=number)
            told = world.feed(n, world.market(n, own))
            if told is not None:
                number = told.scan_number + 1
                yield told
