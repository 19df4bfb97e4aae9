"""What a run of an indicator needs of the stack: settings, grid, clock, memory of the sources."""

from datetime import datetime

from dolphin_dagster.factors.ask import Ask
from dolphin_dagster.factors.indicator import Indicator
from dolphin_dagster.factors.market_clock import REPLAY, market_now
from dolphin_dagster.factors.publish import Moment
from dolphin_dagster.resources import Grid, Stack
from dolphin_dagster.sources.http import Http
from dolphin_realtime.config.factor_sources import load_sources
from dolphin_realtime.config.settings import listed
from dolphin_realtime.factors.source_memory import memory_of, wall_now
from dolphin_realtime.grid import maps
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.model.factors.document import Readings, readings_of


class FactorStack:
    """What a factor's run works with; nothing is opened before its use."""

    def __init__(self, stack: Stack, grid: Grid) -> None:
        self.settings, self.sources = stack.settings, load_sources()
        self.grid = grid
        self.memory = memory_of(self.settings.run_dir)

    @property
    def clock(self) -> str:
        """The market's clock: wall or replay."""
        return self.settings.market_clock

    @property
    def symbols(self) -> list[str]:
        """Assets of the per-symbol factors."""
        return listed(self.sources.symbols)

    def now(self) -> datetime:
        """Return the market's time; raises GridError."""
        return market_now(self.grid, self.clock, wall_now())

    def moment(self) -> Moment:
        """Return the market's time, and the wall's beside it in a replay; raises GridError."""
        wall = wall_now()
        market = market_now(self.grid, self.clock, wall)
        return Moment(market, wall if self.clock == REPLAY else None, self.clock)

    def held(self) -> Readings:
        """Return the readings in the grid; raises GridError."""
        return readings_of(self.grid.get(maps.FEATURES, maps.LATEST_FACTORS))

    def assets(self) -> list[str]:
        """Return the assets of the newest scan, empty if there is no scan; raises GridError."""
        scan = self.grid.get(maps.FEATURES, maps.LATEST_SCAN)
        assets = scan.get("assets") if scan else None
        return [a for a in assets if isinstance(a, str)] if isinstance(assets, list) else []

    def scanned(self) -> set[str] | None:
        """Return the assets of the newest scan, None if there is no scan or the grid is away."""
        try:
            return set(self.assets()) or None
        except GridError:
            return None

    def ask(self, indicator: Indicator) -> Ask:
        """Return the `Ask` for an indicator's fetch; raises GridError."""
        sources = self.sources
        base: str = getattr(sources, indicator.host)
        http = Http(indicator.host, base, self.memory, sources.timeout_s, sources.pause_s)
        return Ask(http, self.now(), self.assets, self.symbols, self.settings.factors)
