"""The replayed sources for tests: served on loopback at a fixed instant, asked as in a run."""

from contextlib import contextmanager
from datetime import UTC, datetime

from dolphin_dagster.factors.ask import Ask
from dolphin_dagster.factors.publish import Moment, readings, vet
from dolphin_dagster.sources.http import Http
from dolphin_realtime.factors.source_memory import SourceMemory
from dolphin_realtime.model.instant import to_us
from dolphin_realtime.replay.factor_server import FactorServer, serve_factors
from dolphin_realtime.replay.factor_sources import FactorSources
from dolphin_realtime.replay.factor_values import FactorValues

NOW = datetime(2025, 5, 14, 12, 34, 56, tzinfo=UTC)
ASSETS = ["BTCUSDT", "ETHUSDT", "ENAUSDT"]
PRICES = {"BTCUSDT": 103_000.0, "ETHUSDT": 2_600.0, "ENAUSDT": 0.4}
TIMEOUT_S = 5.0
PAUSE_S = 0.01


class Replayed:
    """The sources, their server, and a way to ask them."""

    def __init__(self, folder, sources=None, record=None):
        self.folder, self.now = folder, NOW
        self.sources = sources or FactorSources(FactorValues(1, record), ASSETS, PRICES.get)
        self.server = FactorServer(self.sources, lambda: to_us(self.now))
        self.memory = SourceMemory(folder / "sources")
        self.port, self.timeout_s = 0, TIMEOUT_S

    @contextmanager
    def serving(self):
        with serve_factors(self.server, 0) as self.port:
            yield self

    def ask(self, indicator, assets=ASSETS):
        base = f"http://127.0.0.1:{self.port}"
        http = Http(indicator.host, base, self.memory, self.timeout_s, PAUSE_S)
        return Ask(http, self.now, lambda: list(assets), ASSETS[:2], self.folder / "factors")

    def read(self, indicator):
        """Ask as a run does, up to the readings."""
        ask = self.ask(indicator)
        found = indicator.fetch(ask)
        kept, _ = vet(indicator, found, ask.now, self.now)
        return readings(indicator, kept, Moment(self.now, None, "wall"), ask.simulated, {})

    def forget(self):
        """Forget what hosts asked for, as after their pause."""
        for path in self.memory._folder.glob("host-*.json"):
            path.unlink()
