"""An alert of each kind at the receiver: once when it comes, once when it is over."""

import itertools
import os
import re
import signal
import time
from datetime import UTC, datetime

import pytest
from dagster import DagsterInstance
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._utils.error import SerializableErrorInfo

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.ops.runner.services import ROOT
from dolphin_realtime.runtime.alert_log import Alert, write_alert
from dolphin_realtime.services.meta_health.recovery_runner import RUNBOOK

WITHIN_S = 180
TICKING = "days_over"
"""A sensor that is evaluated once a minute."""


def received(folder):
    path = folder / "received"
    text = path.read_text() if path.exists() else ""
    return re.findall(r"^(RED|recovered): (.+?), 2", text, re.MULTILINE)


def is_told(folder, what):
    time.sleep(2)
    return any(said == what for _, said in received(folder))


def wait_for_words(folder, what, *words):
    """Return once what was told of something begins with these words: more may have come since."""

    def are_there():
        found = [word for word, said in received(folder) if said == what]
        return found[: len(words)] == list(words)

    wait_for(are_there, WITHIN_S, f"{what} {words}; there is {received(folder)}")


DAYS = """{ assetNodeOrError(assetKey: {path: ["orderbook_archive"]}) {
  ... on AssetNode { partitionKeys } } }"""


@pytest.mark.timeout(400)
def test_a_check_a_posture_a_run_and_a_sensor_go_wrong_and_are_well_again(
    stack, folder, monkeypatch
):
    """All at once: the bridge is stopped, a day has no books, a sensor's ticks fail."""
    day = dagster_api.query(stack.ui_port, DAYS)["assetNodeOrError"]["partitionKeys"][0]
    kinds = (
        "bridge is_alive",
        f"orderbook_archive {day} run",
        f"{TICKING} tick",
    )
    monkeypatch.setenv("DOLPHIN_DAGSTER_VAR", str(stack.home / "dagster"))
    stack.request(do="stop", name="bridge")
    dagster_api.materialize(stack.ui_port, ["orderbook_archive"], day)
    wait_for(
        lambda: fail_a_tick(stack) or is_told(folder, kinds[2]), WITHIN_S, "a failing tick told"
    )
    for what in kinds:
        wait_for_words(folder, what, "RED")
    assert "safety posture" in explained_by(folder, "bridge is_alive")
    stack.request(do="start", name="bridge")
    books = stack.home / "books"
    (books / f"{day}.jsonl").write_bytes(max(books.glob("*.jsonl")).read_bytes())
    dagster_api.materialize(stack.ui_port, ["orderbook_archive"], day)
    for what in kinds:
        wait_for_words(folder, what, "RED", "recovered")


def explained_by(folder, what):
    """Return what the receiver was told of the consequences of an alert."""
    paragraphs = (folder / "received").read_text().split("\n\n")
    of_it = [
        p for p in paragraphs if re.search(f"^(RED|recovered): {re.escape(what)},", p, re.MULTILINE)
    ]
    return "\n".join(
        line
        for p in of_it
        for line in p.splitlines()
        if line.startswith(("It explains", "And with it"))
    )


@pytest.mark.timeout(900)
def test_a_killed_member_is_one_message_and_one_recovery(stack, folder):
    """Whatever read through it goes red; the receiver reads of one cause, and of one recovery."""
    before = len(received(folder))
    os.kill(stack.service("hazelcast").pid, signal.SIGKILL)
    stack.request(do="stop", name="hazelcast")
    cause = "hazelcast service"
    wait_for(lambda: ("RED", cause) in received(folder)[before:], WITHIN_S, "the message")
    time.sleep(40)  # so long the others turn red
    stack.request(do="start", name="hazelcast")
    wait_for(lambda: ("recovered", cause) in received(folder)[before:], 700, f"the recovery; {received(folder)[before:]}")  # fmt: skip
    said = [one for one in received(folder)[before:] if one[1] != "safety posture"]  # of the market
    assert said == [("RED", cause), ("recovered", cause)]
    told = explained_by(folder, cause)
    assert "bridge is_alive" in told
    print(told)


def fail_a_tick(stack):
    """Store a failed tick of a sensor, as the daemon would: its next one is well by itself."""
    with DagsterInstance.from_config(str(ROOT)) as instance:
        (state,) = [s for s in instance.all_instigator_state() if s.instigator_name == TICKING]
        instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id, instigator_name=TICKING,
                instigator_type=InstigatorType.SENSOR, status=TickStatus.FAILURE,
                timestamp=time.time(), selector_id=state.selector_id, run_ids=[], end_timestamp=time.time(),
                error=SerializableErrorInfo("it could not be evaluated", [], "Exception"),
            )
        )  # fmt: skip


@pytest.mark.timeout(300)
def test_dagsters_own_daemon(stack, folder):
    stack.request(do="stop", name="dagster-daemon")
    wait_for_words(folder, "dagster-daemon service", "RED")
    stack.request(do="start", name="dagster-daemon")
    wait_for_words(folder, "dagster-daemon service", "RED", "recovered")


@pytest.mark.timeout(400)
def test_a_daemon_that_hangs(stack, folder):
    words = "RED", "recovered", "RED"
    pid = stack.service("dagster-daemon").pid
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for_words(folder, "dagster-daemon service", *words)
        assert stack.service("dagster-daemon").state == "running"
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for_words(folder, "dagster-daemon service", *words, "recovered")


def test_an_open_circuit(stack, folder):
    """Delivery alone: that meta health writes it is tests/unit/realtime/test_notifiers.py's."""
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
