"""An external factor as data: what it is called, what it may be, how it is asked for.

Each file of indicators/ fills one of these in; the assets are made of it by assets.py. Values
are judged twice: outside `possible` the answer is refused, outside `usual` a check is red.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_realtime.factors.store import HOURLY

Bounds = tuple[float, float]
RATIO: Final = "ratio"
DIFFERENCE: Final = "difference"


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """One number that an indicator publishes, of the whole market or of each asset.

    Attributes:
        name: Its key in `exf_latest`.
        unit: Of the value.
        lifetime: How long after the fetch the signal may use it.
        possible: Lowest and highest value that the source can mean.
        usual: Lowest and highest value that needs no look.
        jump: Largest change from the reading before that needs no look.
        jump_kind: ratio (of the larger to the smaller value) or difference.
    """

    name: str
    unit: str
    lifetime: timedelta
    possible: Bounds
    usual: Bounds
    jump: float
    jump_kind: str = RATIO


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What a source tells of the past.

    Attributes:
        fetch: Readings whose event lies in [first, last), each with the instant it was known.
        lifetime: How long after that a backfilled reading may be used: its step and some more.
        means: For the asset's description.
        tells: Names of whole-market factors that there should be something of, each day.
        is_due: Whether there should be something of a day.
    """

    fetch: Callable[[Ask, datetime, datetime], list[Observation]]
    lifetime: timedelta
    means: str
    tells: tuple[str, ...] = ()
    is_due: Callable[[date], bool] = lambda _: True


class Indicator(msgspec.Struct, frozen=True, kw_only=True):
    """One external factor.

    Attributes:
        name: Key of its asset.
        host: Which source it asks, by the name of its setting.
        path: For messages and the reading's source.
        means: What it is and what the signal makes of it, for the asset's description.
        quantities: What it publishes.
        event_age_max: An answer about an instant longer ago is no answer.
        cron: When its schedule asks.
        cadence: How often that is.
        fetch: Asks the source and reads its answer.
        history: What the source tells of the past, None for nothing.
        is_per_symbol: Whether it asks for the symbols of the settings, not for the scan's assets.
        is_weighed: Whether a gate of the signal reads it: its checks are errors then.
        percentiles: Returns the 90th percentile of each quantity's own history, by its name,
            and readings of the past that the history lacked; asked for after the fetch.
    """

    name: str
    host: str
    path: str
    means: str
    quantities: tuple[Quantity, ...]
    event_age_max: timedelta
    cron: str
    cadence: timedelta
    fetch: Callable[[Ask], list[Observation]]
    history: History | None = None
    is_per_symbol: bool = False
    is_weighed: bool = False
    percentiles: Callable[[Ask], tuple[dict[str, float], list[Observation]]] | None = None

    def quantity(self, name: str) -> Quantity:
        """Return one of its quantities, also for the hours that are kept of it."""
        return next(q for q in self.quantities if q.name == name.removesuffix(HOURLY))

    def expected(
        self, scanned: Collection[str] | None, symbols: Collection[str]
    ) -> Collection[str] | None:
        """Return the assets that readings are expected of; None where the scan's are not known."""
        return symbols if self.is_per_symbol else scanned

    @property
    def names(self) -> Sequence[str]:
        """Names of what it publishes."""
        return [q.name for q in self.quantities]
