"""A day's beginning, warmed up once for all trials of a process that begin from the same one.

Trials of a day differ mostly in sizing and costs; their signals have then seen the same scans. Kept
by what it was made of: the scans' identity on disk, the days, and every parameter of the signal.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.model.signal.state import SignalState
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.trading.warm_up import warm_up_from

KEPT: Final = 8
"""States kept by a process: some 200 bytes an asset each."""


class WarmState(msgspec.Struct, frozen=True):
    """What a warm-up leaves in a portfolio: the saved signal, the last prices, the last scan."""

    signal: bytes
    prices: dict[str, float]
    last_key: tuple[int, int] | None
    last_us: int


def begin_warm(portfolio: Portfolio, path: Path, scans: ScanDays, n_days: int, day: str) -> None:
    """Warm up a new portfolio with the ``n_days`` before a day, from the kept state if there is one.

    Raises:
        ScanError: If an archive cannot be read.
    """
    of_path = [path.stat().st_size, path.stat().st_mtime_ns]  # a single file is its days
    of_days = [scans.identity(d) for d in scans.before(day, n_days)]
    identity = msgspec.json.encode([of_path, of_days])
    state = _warm_state(path, n_days, day, identity, portfolio.signals.params)
    portfolio.signals = SignalState.load(state.signal)
    portfolio.add_instruments(list(state.prices))
    portfolio.prices = dict(state.prices)
    portfolio.last_key, portfolio.last_us = state.last_key, state.last_us


@lru_cache(maxsize=KEPT)
def _warm_state(
    path: Path, n_days: int, day: str, identity: bytes, params: SignalParams  # noqa: ARG001
) -> WarmState:  # fmt: skip
    made = Portfolio("WARM-UP", params)
    warm_up_from(made, ScanDays.of(path), n_days, day)
    return WarmState(made.signals.save(), made.prices, made.last_key, made.last_us)
