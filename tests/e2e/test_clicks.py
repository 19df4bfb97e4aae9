"""What an operator does by clicking: a backtest of a day, a report, a sensor off and on."""

import time

import pytest
from playwright.sync_api import expect

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.grid import connection, maps, wire
from dolphin_realtime.grid.cluster import cluster_here
from dolphin_realtime.ops import dagster_api
from tests.e2e.pages import toggle

MADE = """query($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode {
  assetMaterializations(limit: 9) { timestamp partition metadataEntries { label } } } } }"""
SENSOR = """query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor {
  sensorState { status ticks(limit: 1) { timestamp } } } } }"""


def made(stack, asset, since):
    """Return what was materialized of an asset since then: the metadata's names, by partition."""
    node = dagster_api.query(stack.ui_port, MADE, {"k": {"path": [asset]}})["assetNodeOrError"]
    return {
        one["partition"]: {entry["label"] for entry in one["metadataEntries"]}
        for one in node["assetMaterializations"]
        if float(one["timestamp"]) / 1000 > since
    }


def launch(page, asset, day):
    page.goto(f"/assets/{asset}")
    page.locator("button", has_text="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    confirm = dialog.get_by_role(
        "button", name="Confirm"
    )  # asked where an archive is not there yet
    expect(confirm.or_(dialog.get_by_role("textbox").first).first).to_be_visible()
    if confirm.is_visible():
        confirm.click()
    dialog.get_by_role("textbox").first.fill(day)
    dialog.get_by_role("textbox").first.press("Tab")
    return dialog


@pytest.mark.timeout(300)
def test_a_day_is_backtested_by_clicking(page, stack):
    day = min((stack.home / "archive").glob("*.parquet")).stem
    dialog = launch(page, "daily_backtest", day)
    dialog.get_by_role("button", name="All", exact=True).last.click()
    began, key = time.time(), f"{day}|BLUE"
    dialog.get_by_role("button", name="Launch 1 run").click()
    wait_for(lambda: key in made(stack, "daily_backtest", began), 180, f"the backtest of {key}")
    assert {"net", "fees", "equity", "report"} <= made(stack, "daily_backtest", began)[key]
    page.goto("/assets/daily_backtest")
    expect(page.get_by_text("max_drawdown_pct").first).to_be_visible()


@pytest.mark.timeout(300)
def test_a_day_is_reported_by_clicking(page, stack):
    client = connection.connect_blocking(cluster_here("dolphin", stack.port), "e2e")
    state = wire.decode(client.get_map(maps.state_map("BLUE")).blocking().get(maps.LATEST_STATE))
    client.shutdown()
    dialog = launch(page, "paper_report", state["since"])
    dialog.get_by_role("button", name="All", exact=True).last.click()
    began, key = time.time(), f"{state['since']}|BLUE"
    dialog.get_by_role("button", name="Launch 1 run").click()
    wait_for(lambda: key in made(stack, "paper_report", began), 120, f"the report of {key}")
    page.goto("/assets/paper_report")
    expect(page.get_by_text("start_equity").first).to_be_visible()


@pytest.mark.timeout(200)
def test_a_sensor_that_is_toggled_stops_and_acts_again(page, stack):
    selector = {
        "repositoryLocationName": "dolphin", "repositoryName": "__repository__", "sensorName": "alerts",
    }  # fmt: skip

    def state():
        data = dagster_api.query(stack.ui_port, SENSOR, {"s": selector})
        return data["sensorOrError"]["sensorState"]

    toggled = 0.0
    for wanted in ("STOPPED", "RUNNING"):
        page.goto("/automation")
        toggled = time.time()
        toggle(page, "alerts", wanted, lambda: state()["status"])
    wait_for(lambda: state()["ticks"][0]["timestamp"] > toggled, 60, "a tick after it was on")
