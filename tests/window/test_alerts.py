"""An alert of each kind at the receiver: once when it comes, once when it is over."""

import itertools
import re
from datetime import UTC, datetime

import pytest

from dolphin_realtime import dagster_api, grid
from dolphin_realtime.alerts import Alert, write_alert
from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.meta_health.healer import RUNBOOK

WITHIN_S = 100


def received(folder):
    path = folder / "received"
    text = path.read_text() if path.exists() else ""
    return re.findall(r"^(RED|recovered): (.+?), 2", text, re.MULTILINE)


def wait_for_words(folder, what, *words):
    def are_there():
        return [word for word, said in received(folder) if said == what] == list(words)

    wait_for(are_there, WITHIN_S, f"{what} {words}; there is {received(folder)}")


DAYS = """{ assetNodeOrError(assetKey: {path: ["orderbook_archive"]}) {
  ... on AssetNode { partitionKeys } } }"""


@pytest.mark.timeout(400)
def test_a_check_a_posture_a_run_and_a_sensor_go_wrong_and_are_well_again(stack, folder):
    """All at once: the bridge is stopped, a scan cannot be read, a day has no books."""
    day = dagster_api.query(stack.ui_port, DAYS)["assetNodeOrError"]["partitionKeys"][0]
    kinds = (
        "bridge is_alive",
        "safety posture",
        f"orderbook_archive {day} run",
        "factors_due tick",
    )
    stack.request(do="stop", name="bridge")
    put_malformed_scan(stack)
    dagster_api.materialize(stack.ui_port, ["orderbook_archive"], day)
    for what in kinds:
        wait_for_words(folder, what, "RED")
    stack.request(do="start", name="bridge")
    books = stack.home / "books"
    (books / f"{day}.jsonl").write_bytes(max(books.glob("*.jsonl")).read_bytes())
    dagster_api.materialize(stack.ui_port, ["orderbook_archive"], day)
    for what in kinds:
        wait_for_words(folder, what, "RED", "recovered")


def put_malformed_scan(stack):
    """Write a scan document without its assets: no sensor of the factors can read it."""
    client = grid.connect_blocking("dolphin", stack.port, "test")
    client.get_map(grid.FEATURES).blocking().set(grid.LATEST_SCAN, '{"no": "assets"}')
    client.shutdown()


@pytest.mark.timeout(300)
def test_dagsters_own_daemon(stack, folder):
    stack.request(do="stop", name="dagster-daemon")
    wait_for_words(folder, "dagster-daemon service", "RED")
    stack.request(do="start", name="dagster-daemon")
    wait_for_words(folder, "dagster-daemon service", "RED", "recovered")


def test_an_open_circuit(stack, folder):
    """Delivery alone: that meta health writes it is tests/unit/realtime/test_recovery.py's."""
    for state in ("red", "recovered"):
        write_alert(
            stack.home,
            Alert(
                ts=datetime.now(UTC), asset="meta_health", check="circuit", state=state,
                facts={"target": "bridge"}, runbook=RUNBOOK["circuit"],
            ),
        )  # fmt: skip
    wait_for_words(folder, "meta_health circuit", "RED", "recovered")


def test_nothing_was_delivered_twice_running(folder):
    found = received(folder)
    for what in {what for _, what in found}:
        words = [word for word, said in found if said == what]
        turns = list(itertools.pairwise(words))
        lowered = what == "safety posture"
        assert all(a != b or lowered for a, b in turns), (what, words)
