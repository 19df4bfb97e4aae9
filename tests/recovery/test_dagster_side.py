"""What meta health does to Dagster: a run for a source that Dagster makes, a restart of its UI."""

import os
import signal

import pytest

from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.config.loading import load
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.services.meta_health.files import ledger_path, read_ledger
from tests.integration.conftest import eventually
from tests.recovery.contract import comes_back

pytestmark = pytest.mark.timeout(240)
RUNS = """{ runsOrError { ... on Runs { results { jobName status tags { key value } } } } }"""
SETTINGS = {
    "mhs_sources": "esof=20/40",
    "mhs_turn_s": 1,
    "mhs_grace_s": 10,
    "start_limit_burst": 20,
}


class Side:
    """A stack with Dagster and no scans: as much of a `Host` as is asked of it here."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def pid(self, service: str) -> int:
        return self.stack.service(service).pid or 0

    def state(self, service: str) -> str:
        return self.stack.service(service).state

    def ledger(self) -> list[tuple[str, str, str]]:
        lines, _ = read_ledger(ledger_path(load(self.stack.env)))
        return [(x.event, str(x.action.kind), x.action.target) for x in lines]

    def launched(self) -> list[str]:
        found = dagster_api.query(self.stack.ui_port, RUNS)["runsOrError"]["results"]
        keys = [t["value"] for r in found for t in r["tags"] if t["key"] == dagster_api.RUN_KEY_TAG]
        assert len(set(keys)) == len(keys), f"a run key twice: {keys}"
        return keys


@pytest.fixture(scope="module")
def side(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("side") / "home", **SETTINGS) as stack:
        yield Side(stack)


def test_a_source_that_dagster_makes_is_made_by_one_run_of_its_job(side):
    cured = [("acts", "launch", "esof"), ("cured", "launch", "esof")]
    eventually(lambda: side.ledger()[:2] == cured, 120, side.ledger)
    keys = side.launched()
    assert keys[-1].startswith("meta-health-esof-"), (
        "absent, or made once by its own schedule before"
    )
    launches = [x for x in side.ledger() if x[0] == "acts" and x[1] == "launch"]
    assert len(keys) == len(launches)


def test_a_run_key_launches_once(side):
    job = "calendar_factors_job"
    first = dagster_api.launch_job(side.stack.ui_port, job, "a-key")
    assert dagster_api.launch_job(side.stack.ui_port, job, "a-key") == first
    assert side.launched().count("a-key") == 1


def test_a_webserver_that_hangs_is_restarted_and_nothing_else(side):
    before = {s.name: s.pid for s in side.stack.services()}
    pid = side.pid("dagster-webserver")
    os.kill(pid, signal.SIGSTOP)
    comes_back(side, "dagster-webserver", pid, timeout_s=120)
    done = ("cured", "restart", "dagster-webserver")
    eventually(lambda: done in side.ledger(), 60, side.ledger)
    assert side.ledger().count(("acts", "restart", "dagster-webserver")) == 1
    after = {s.name: s.pid for s in side.stack.services()}
    assert {k for k in after if after[k] != before[k]} == {"dagster-webserver"}
