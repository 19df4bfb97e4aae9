"""The stored result of comparing a paper day with its backtest.

The record and its place belong here; making one belongs in backtest/versus_paper.py.
"""

from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.config.settings import Settings

JSON: Final = "versus.json"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference; ``cause`` is None if nothing on record explains it."""

    timestamp_us: int
    asset: str
    what: str
    paper: str
    backtest: str
    cause: str | None


class Versus(msgspec.Struct, kw_only=True):
    """A paper day against its backtest; drift is paper net minus backtest net, in USDT."""

    day: str
    instance: str
    scans: int
    same: int
    by_cause: dict[str, int]
    unexplained: int
    examples: list[Difference]
    net_paper: float
    net_backtest: float

    @property
    def drift(self) -> float:
        """Net of the paper day minus net of its backtest."""
        return self.net_paper - self.net_backtest


def folder_of(settings: Settings, instance: str, day: str) -> Path:
    """Return the folder of a day's comparison."""
    return settings.reports / "versus" / instance / day


def read_versus(settings: Settings, instance: str, day: str) -> Versus | None:
    """Return a day's comparison, None if it has not been made."""
    path = folder_of(settings, instance, day) / JSON
    return msgspec.json.decode(path.read_bytes(), type=Versus) if path.is_file() else None
