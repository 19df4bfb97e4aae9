"""An external factor as data: its name, its bounds, how its source is asked.

Each file of indicators/ defines one; assets.py makes its asset. Values are checked twice:
outside `possible` the answer is refused, outside `usual` a check is red.
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
        possible: Lowest and highest value that is plausible at all.
        usual: Lowest and highest value that is normal.
        jump: Largest change from the reading before that is normal.
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
    """What a source offers of the past.

    Attributes:
        fetch: Readings whose event lies in [first, last), each with the instant it was known.
        lifetime: How long after that a backfilled reading may be used: its step and some more.
        means: Text for the asset's description.
        tells: Names of the whole-market factors that should have a reading each day.
        is_due: Whether a day should have readings.
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
        path: Path on the host, for messages and the reading's source.
        means: What it is and how the signal uses it, for the asset's description.
        quantities: What it publishes.
        event_age_max: A reading of an older instant is refused.
        cron: When its schedule asks.
        cadence: How often that is.
        fetch: Asks the source and reads its answer.
        history: What the source offers of the past, None if nothing.
        is_per_symbol: Whether it asks for the symbols of the settings, not for the scan's assets.
        is_weighed: Whether a gate of the signal reads it; then its checks are errors.
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
        """Return one of its quantities, also by the name of its hourly history rows."""
        return next(q for q in self.quantities if q.name == name.removesuffix(HOURLY))

    def expected(
        self, scanned: Collection[str] | None, symbols: Collection[str]
    ) -> Collection[str] | None:
        """Return the assets expected to have readings; None if the scan's assets are unknown."""
        return symbols if self.is_per_symbol else scanned

    @property
    def names(self) -> Sequence[str]:
        """Names of what it publishes."""
        return [q.name for q in self.quantities]
