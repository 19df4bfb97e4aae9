"""Each realtime service in the UI: green, red when it is stopped, green when it is started."""

import os
import re
import signal
import time

import pytest
from playwright.sync_api import expect

from dolphin_dagster.realtime.rules import SENSORS
from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.ops import dagster_api
from tests.e2e.conftest import SHOTS
from tests.e2e.pages import schedule_state, wait_for_all
from tests.window.conftest import SCHEDULE

REALTIME = "/locations/__repository__@dolphin/asset-groups/realtime/lineage"


def note(name, **seconds):
    """Keep a measured time beside the screenshots."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    with (SHOTS / "times.txt").open("a") as f:
        f.write(f"{name} {', '.join(f'{k} {v:.0f}' for k, v in seconds.items())}\n")


SERVICES = {
    "bridge": "bridge",
    "safety": "safety",
    "orderbook": "orderbook",
    "trader@BLUE": "trader_BLUE",
    "meta-health": "meta_health",
}
"""By name, the asset whose check is_alive shows it."""


def test_the_realtime_group_is_green(page):
    page.set_viewport_size({"width": 2600, "height": 1400})  # nearer, nodes show their checks
    page.goto(REALTIME)
    for name in ("hazelcast", "scan_feed", "bridge", "trader_BLUE", "safety", "meta_health"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    for passed in ("1 / 1 Passed", "2 / 2 Passed", "7 / 7 Passed"):
        expect(page.get_by_text(passed).first).to_be_visible()
    assert page.get_by_text(re.compile(r"Failed|Not evaluated|Never")).count() == 0


def test_stopped_services_are_red_within_45_s_and_green_within_45_s_of_their_start(page, stack):
    assets = list(SERVICES.values())
    wait_for_all(page, assets, "is_alive", "Succeeded", 60)
    for name in SERVICES:
        stack.request(do="stop", name=name)
    red_s = wait_for_all(page, assets, "is_alive", "Failed", 45)
    for name in SERVICES:
        stack.request(do="start", name=name)
    green_s = wait_for_all(page, assets, "is_alive", "Succeeded", 45)
    for asset in assets:
        note(asset, red_s=red_s[asset], green_s=green_s[asset])


OWN = {
    "bridge:is_alive", "scan_feed:is_fresh", "safety:is_alive", "safety:may_trade",
    "orderbook:is_alive", "orderbook:has_books", "trader_BLUE:is_alive", "trader_BLUE:state_holds",
    "meta_health:is_alive", "meta_health:is_green", *(f"meta_health:{name}" for name in SENSORS),
}  # fmt: skip
"""Every check that one of the services keeps green."""


def reach(stack, word):
    """Return after how many seconds each check of OWN is in a state."""
    began, took = time.monotonic(), {}
    while len(took) < len(OWN):
        states = dagster_api.check_states(stack.ui_port)
        now_s = time.monotonic() - began
        took |= {name: now_s for name in OWN - took.keys() if states.get(name) == word}
        missing = {name: states.get(name) for name in OWN - took.keys()}
        assert now_s < 45 or not missing, f"not {word}: {missing}; {took}"
        time.sleep(0.5)
    return took


def test_every_check_is_red_within_45_s_of_the_stop_of_its_service_and_green_again(stack):
    reach(stack, "SUCCEEDED")
    for name in SERVICES:
        stack.request(do="stop", name=name)
    red_s = reach(stack, "FAILED")
    for name in SERVICES:
        stack.request(do="start", name=name)
    green_s = reach(stack, "SUCCEEDED")
    for name in sorted(OWN):
        note(name, red_s=red_s[name], green_s=green_s[name])


def test_a_stopped_hazelcast_is_red_within_45_s_and_green_within_45_s_of_its_start(page, stack):
    wait_for_all(page, ["hazelcast"], "answers", "Succeeded", 60)
    stack.request(do="stop", name="hazelcast")
    red_s = wait_for_all(page, ["hazelcast"], "answers", "Failed", 45)
    stack.request(do="start", name="hazelcast")
    green_s = wait_for_all(page, ["hazelcast"], "answers", "Succeeded", 45)
    note("hazelcast", red_s=red_s["hazelcast"], green_s=green_s["hazelcast"])


def test_a_hanging_trader_comes_back_by_its_watchdog_and_is_green(page, stack):
    pid = stack.service("trader@BLUE").pid
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: stack.service("trader@BLUE").pid not in (pid, None), 90, "the watchdog")
    wait_for_all(page, ["trader_BLUE"], "is_alive", "Succeeded", 90)


@pytest.mark.timeout(400)
def test_a_schedule_that_was_switched_on_acts(stack, switched):
    def acted():
        return [
            tick for tick in schedule_state(stack, SCHEDULE)["ticks"]
            if tick["timestamp"] > switched and tick["status"] in ("SUCCESS", "SKIPPED")
        ]  # fmt: skip

    wait_for(acted, 310, "a tick after it was switched on")
