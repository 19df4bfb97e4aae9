"""What an operator sees and clicks in the Dagster UI."""

import os
import re
import signal
import time

from playwright.sync_api import expect

from dolphin_realtime import dagster_api, grid
from dolphin_realtime.bench.stack import wait_for
from tests.e2e.conftest import SHOTS

REALTIME = "/locations/__repository__@dolphin/asset-groups/realtime/lineage"
SCHEDULE_STATE = """
query($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s) {
  ... on Schedule { scheduleState { status } } } }"""


def wait_for_check(page, asset, word, within_s):
    """Reload an asset's check page until it shows ``word``; return how long that took.

    A page that came between a materialization and its checks shows "Not evaluated" for long.
    """
    began = time.monotonic()
    while True:
        page.goto(f"/assets/{asset}?view=checks")
        status = page.get_by_text(re.compile("^(Succeeded|Failed|Not evaluated)$")).last
        expect(status).to_be_visible()
        shown, took = status.inner_text(), time.monotonic() - began
        if shown == word:
            return took
        assert took < within_s, f"{asset} shows {shown}, not {word}, after {took:.0f} s"
        page.wait_for_timeout(1000)


def note(name, **seconds):
    """Keep a measured time beside the screenshots."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    with (SHOTS / "times.txt").open("a") as f:
        f.write(f"{name} {', '.join(f'{k} {v:.0f}' for k, v in seconds.items())}\n")


def test_the_realtime_group_is_green(page):
    page.goto(REALTIME)
    for name in ("hazelcast", "scan_feed", "bridge", "trader", "safety", "meta_health"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.get_by_text("1 / 1 Passed").first).to_be_visible()
    expect(page.get_by_text("2 / 2 Passed").first).to_be_visible()
    assert page.get_by_text(re.compile(r"Failed|Not evaluated")).count() == 0


def test_a_stopped_bridge_is_red_within_45_s_and_green_within_45_s_of_its_start(page, stack):
    assert wait_for_check(page, "bridge", "Succeeded", 5) < 5
    stack.request(do="stop", name="bridge")
    red_s = wait_for_check(page, "bridge", "Failed", 45)
    stack.request(do="start", name="bridge")
    green_s = wait_for_check(page, "bridge", "Succeeded", 45)
    note("bridge", red_s=red_s, green_s=green_s)


def test_a_hanging_trader_is_red_within_100_s_and_comes_back(page, stack):
    assert wait_for_check(page, "trader", "Succeeded", 60) < 60
    pid = stack.service("trader@BLUE").pid
    os.kill(pid, signal.SIGSTOP)
    red_s = wait_for_check(page, "trader", "Failed", 100)
    wait_for(lambda: stack.service("trader@BLUE").pid not in (pid, None), 90, "the watchdog")
    wait_for_check(page, "trader", "Succeeded", 90)
    note("trader", red_s=red_s)


def red_checks_of(stack, asset):
    return [c for c in dagster_api.red_checks(stack.ui_port) if c.startswith(f"{asset}:")]


def test_calendar_factors_are_materialized_by_clicking(page, stack):
    client = grid.connect_blocking("dolphin", stack.port, "e2e")
    features = client.get_map(grid.FEATURES).blocking()
    before = grid.decode(features.get(grid.LATEST_CALENDAR))["_pushed_at"]
    page.goto("/assets/calendar_factors")
    page.locator("button", has_text="Materialize").first.click()

    def is_pushed():
        return grid.decode(features.get(grid.LATEST_CALENDAR))["_pushed_at"] != before

    wait_for(is_pushed, 60, "a new esof_latest")
    client.shutdown()
    wait_for(lambda: not red_checks_of(stack, "calendar_factors"), 60, "its checks green")
    page.goto("/assets/calendar_factors")
    expect(page.get_by_text("minutes_to_funding").first).to_be_visible()


def test_its_schedule_can_be_toggled(page, stack):
    selector = {
        "repositoryLocationName": "dolphin",
        "repositoryName": "__repository__",
        "scheduleName": "calendar_factors_schedule",
    }

    def status():
        data = dagster_api.query(stack.ui_port, SCHEDULE_STATE, {"s": selector})
        return data["scheduleOrError"]["scheduleState"]["status"]

    for wanted in ("STOPPED", "RUNNING"):
        assert status() != wanted
        page.goto("/automation")
        row = page.locator("[data-index]", has_text="calendar_factors_schedule")
        row.locator("label[class*=formatSwitch]").click()
        wait_for(lambda wanted=wanted: status() == wanted, 20, f"the schedule {wanted}")


def test_the_pools_page_shows_four_limits(page):
    page.goto("/deployment/concurrency")
    for pool in ("dolphin", "dolphin-scan", "dolphin-obf", "dolphin-extf-indicators"):
        expect(page.get_by_text(pool, exact=True).first).to_be_visible()
