"""Reading the UI's pages until they show what they should."""

import re
import time

from playwright.sync_api import expect

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.ops import dagster_api

SCHEDULE = """
query($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s) { ... on Schedule {
  scheduleState { status ticks(limit: 1) { timestamp status } } } } }"""
ALIVE = re.compile("^(Succeeded|Failed|Not evaluated)$")


def wait_for_all(page, assets, check, word, within_s):
    """Reload check pages until each asset's shows ``word``; return how long each took."""
    began, took = time.monotonic(), {}
    while len(took) < len(assets):
        for asset in assets:
            if asset in took:
                continue
            page.goto(f"/assets/{asset}?view=checks&checkDetail={check}")
            status = page.get_by_text(ALIVE).last
            expect(status).to_be_visible()
            if status.inner_text() == word:
                took[asset] = time.monotonic() - began
            else:
                assert time.monotonic() - began < within_s, f"{asset}: not {word}; {took}"
    return took


def schedule_state(stack, name):
    """Return a schedule's status and newest tick."""
    selector = {
        "repositoryLocationName": "dolphin", "repositoryName": "__repository__", "scheduleName": name,
    }  # fmt: skip
    data = dagster_api.query(stack.ui_port, SCHEDULE, {"s": selector})
    return data["scheduleOrError"]["scheduleState"]


def toggle(page, name, wanted, status):
    """Click a switch on the page of automation; return once ``status`` returns what is wanted.

    The page first shows what it kept of an earlier visit, and a click then would ask for that again.
    """
    only = page.get_by_role("textbox", name="Search and filter automations")
    only.press("Control+a")
    page.keyboard.insert_text(f'name:"{name}"')
    only.press("Enter")
    row = page.locator("[data-index]", has=page.get_by_text(name, exact=True))
    switch = row.locator("label[class*=formatSwitch]")
    expect(switch.locator("input")).to_be_checked(checked=wanted == "STOPPED")
    switch.click()
    wait_for(lambda: status() == wanted, 20, f"{name} {wanted}")
