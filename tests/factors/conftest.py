"""A stack with its sources replayed at the instant of its newest scan."""

import os
from types import SimpleNamespace

import dagster as dg
import pytest

from dolphin_dagster.definitions import build_definitions
from dolphin_dagster.resources import resources_of
from dolphin_realtime.config.factor_sources import HOSTS
from dolphin_realtime.config.loading import load
from dolphin_realtime.grid import maps
from dolphin_realtime.model import instant
from tests.factors.sources import Replayed
from tests.integration.conftest import make_desk


class Scene(SimpleNamespace):
    """A trading stack, its sources, and runs of its assets in this process.

    Attributes:
        desk: The stack with a hand on its scans.
        replayed: The sources; their clock is the newest scan's.
    """

    def materialize(self, *names):
        """Run assets as their jobs do; return their metadata, or the failure's words, by name."""
        self.replayed.now = self.market()
        definitions = build_definitions(load())
        assets = [
            a for a in definitions.assets
            if isinstance(a, dg.AssetsDefinition) and a.key.to_user_string() in names
        ]  # fmt: skip
        result = dg.materialize(assets, resources=resources_of(load()), raise_on_error=False)
        found = {}
        for name in names:
            events = result.asset_materializations_for_node(name)
            failed = [e for e in result.all_node_events if e.is_step_failure and e.step_key == name]
            said = failed[0].step_failure_data.user_failure_data.description if failed else None
            found[name] = {k: v.value for k, v in events[0].metadata.items()} if events else said
        self.checks = {
            f"{e.asset_key.to_user_string()}:{e.check_name}": e.passed
            for e in result.get_asset_check_evaluations()
        }
        return found

    def market(self):
        scan = self.desk.document(maps.FEATURES, maps.LATEST_SCAN)
        return instant.parse(scan["timestamp"])

    def factors(self):
        return self.desk.document(maps.FEATURES, maps.LATEST_FACTORS)

    def missing(self):
        """What the trader's signal went without at its newest scan."""
        state = self.desk.document(maps.state_map("BLUE"), maps.LATEST_STATE)
        return state["last_signal"]["missing"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    home = tmp_path_factory.mktemp("factors") / "home"
    desk = make_desk(home)
    before = dict(os.environ)
    with Replayed(home).serving() as replayed, desk.stack:
        base = f"http://127.0.0.1:{replayed.port}"
        os.environ.update({k: v for k, v in desk.stack.env.items() if k.startswith("DOLPHIN_")})
        os.environ.update({f"DOLPHIN_SOURCE_{host.upper()}": base for host in HOSTS})
        os.environ["DOLPHIN_SOURCE_PAUSE_S"] = "0.01"
        desk.wait_trading()
        yield Scene(desk=desk, replayed=replayed)
        desk.close()
    os.environ.clear()
    os.environ.update(before)
