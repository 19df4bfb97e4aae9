"""What an operator sees and clicks in the Dagster UI."""

import pytest
from playwright.sync_api import expect

from dolphin_dagster.instance import pools
from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.grid import connection, maps, wire
from dolphin_realtime.grid.cluster import cluster_here
from dolphin_realtime.ops import dagster_api
from tests.e2e.pages import schedule_state, toggle


def red_checks_of(stack, asset):
    return [c for c in dagster_api.red_checks(stack.ui_port) if c.startswith(f"{asset}:")]


@pytest.mark.timeout(300)
def test_calendar_factors_are_materialized_by_clicking(page, stack):
    client = connection.connect_blocking(cluster_here("dolphin", stack.port), "e2e")
    features = client.get_map(maps.FEATURES).blocking()
    before = wire.decode(features.get(maps.LATEST_CALENDAR))["_pushed_at"]
    page.goto("/assets/calendar_factors")
    page.locator("button", has_text="Materialize").first.click()

    def is_pushed():
        return wire.decode(features.get(maps.LATEST_CALENDAR))["_pushed_at"] != before

    wait_for(is_pushed, 120, "a new esof_latest")
    client.shutdown()
    wait_for(lambda: not red_checks_of(stack, "calendar_factors"), 60, "its checks green")
    page.goto("/assets/calendar_factors")
    expect(page.get_by_text("minutes_to_funding").first).to_be_visible()


def test_its_schedule_can_be_toggled(page, stack):
    name = "calendar_factors_schedule"

    def status():
        return schedule_state(stack, name)["status"]

    for wanted in ("STOPPED", "RUNNING"):
        assert status() != wanted
        page.goto("/automation")
        toggle(page, name, wanted, status)


def test_the_pools_page_shows_every_limit(page):
    page.goto("/deployment/concurrency")
    for pool, limit in pools.LIMITS.items():
        link = page.get_by_role("link", name=pool, exact=True)
        beside = f"xpath=ancestor::*[following-sibling::*[normalize-space(.)='{limit}']]"
        expect(link.locator(beside).first).to_be_visible()
