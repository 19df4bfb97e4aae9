"""What a person opens in the UI: a report by its link, the one light, why nothing ran, a trial."""

import re
import time

import pytest
from playwright.sync_api import expect

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.ops import dagster_api
from tests.e2e.conftest import SHOTS
from tests.e2e.pages import wait_for_all
from tests.e2e.test_clicks import made

OBSERVED = """query($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode {
  assetObservations(limit: 5) { timestamp partition metadataEntries { label ... on UrlMetadataEntry { url } } } } } }"""
LAUNCH = """mutation($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on RunConfigValidationInvalid { errors { message } } } }"""


def backtested(stack):
    """Return the first archived day, backtested."""
    day = min((stack.home / "archive").glob("*.parquet")).stem
    page = stack.home / "reports" / "backtest" / "BLUE" / day / "report.html"
    wait_for(page.is_file, 240, f"the backtest of {day}, by its condition")
    return day


@pytest.mark.timeout(400)
def test_a_report_is_opened_by_its_link(page, stack):
    day = backtested(stack)
    page.goto(f"/assets/daily_backtest?view=partitions&partition={day}%7CBLUE")
    link = page.locator(f"a[href='/reports/backtest/BLUE/{day}/report.html']").first
    expect(link).to_be_visible()
    faults = []
    with page.expect_popup() as opened:
        link.click()
    report = opened.value
    report.wait_for_load_state()
    report.on("pageerror", lambda e: faults.append(str(e)))
    report.goto(page.url.split("/assets")[0] + f"/reports/backtest/BLUE/{day}/report.html")
    for plot in ("equity", "exposure", "per-asset"):
        report.locator(f"#plot-{plot} .main-svg").first.wait_for()
    expect(report.get_by_role("heading", name="Round trips")).to_be_visible()
    assert faults == []
    assert report.evaluate("window.origin") == "null", "a page of a report has no origin"
    report.screenshot(path=SHOTS / "report-opened.png", full_page=True)
    report.goto(page.url.split("/assets")[0] + "/reports/")
    report.screenshot(path=SHOTS / "report-index.png")
    expect(report.get_by_role("link", name="backtest").or_(report.locator(f"a[href='backtest/BLUE/{day}/report.html']")).first).to_be_visible()  # fmt: skip


@pytest.mark.timeout(300)
def test_why_nothing_ran_is_in_the_automation_history(page, stack):
    backtested(stack)
    page.goto("/assets/daily_backtest?view=automation")
    results = page.get_by_text(re.compile(r"^(Not|\d+) requested$"))
    results.first.wait_for()
    at = next(n for n, text in enumerate(results.all_inner_texts()) if not text.startswith("Not"))
    page.get_by_text(re.compile(r"^\w{3} \d+, \d+:\d+:\d+ [AP]M$")).nth(at).click()
    expect(page.get_by_text("it was never made").first).to_be_visible()
    expect(page.get_by_text("neither it nor an input is being made").first).to_be_visible()
    page.screenshot(path=SHOTS / "automation-evaluation.png")


@pytest.mark.timeout(300)
def test_a_days_check_shows_each_days_result(page, stack):
    backtested(stack)
    page.goto("/assets/scan_archive?view=checks&checkDetail=has_its_scans")
    expect(page.get_by_text("has_its_scans").first).to_be_visible()
    page.wait_for_timeout(2000)
    page.screenshot(path=SHOTS / "check-of-days.png")


@pytest.mark.timeout(300)
def test_a_trial_from_the_launchpad_is_kept_apart(page, stack):
    """The Launchpad shows the config; what it launches is an observation, not a materialization."""
    day = backtested(stack)
    began = time.time()
    page.goto("/locations/dolphin/jobs/daily_backtest_job/playground")
    expect(page.get_by_text("All defaults expanded")).to_be_visible()
    page.locator(".CodeMirror").first.wait_for()
    page.screenshot(path=SHOTS / "launchpad.png")
    config = {"ops": {"daily_backtest": {"config": {"parameters": {"s_in": "1.9"}}}}}
    parameters = {
        "mode": "default", "runConfigData": config,
        "selector": {"repositoryLocationName": "dolphin", "repositoryName": "__repository__",
                     "pipelineName": "daily_backtest_job"},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": f"{day}|BLUE"}]},
    }  # fmt: skip
    done = dagster_api.query(stack.ui_port, LAUNCH, {"p": parameters})["launchPipelineExecution"]
    assert done["__typename"] == "LaunchRunSuccess", done

    def trial():
        node = dagster_api.query(stack.ui_port, OBSERVED, {"k": {"path": ["daily_backtest"]}})
        return node["assetNodeOrError"]["assetObservations"]

    wait_for(lambda: bool(trial()), 120, "the trial")
    (link,) = [e["url"] for e in trial()[0]["metadataEntries"] if e["label"] == "open"]
    assert link.startswith(f"/reports/trials/BLUE/{day}/daily_backtest-")
    assert f"{day}|BLUE" not in made(stack, "daily_backtest", began), "others go their way"
    page.goto(link)
    expect(page.get_by_text("A trial with other parameters, not what was traded")).to_be_visible()
    page.screenshot(path=SHOTS / "trial.png")


@pytest.mark.timeout(300)
def test_the_light_is_green_and_red_and_says_what_to_do(page, stack):
    def shows(word, within_s):
        wait_for_all(page, ["stack_health"], "nothing_is_red", word, within_s)

    def names_the_bridge():
        shows("Failed", 120)
        page.get_by_text("Show Markdown").first.click()
        page.wait_for_timeout(1000)
        return page.get_by_text("docs/runbook.md#bridge-is_alive").count() > 0

    shows("Succeeded", 120)
    page.screenshot(path=SHOTS / "light-green.png")
    stack.request(do="stop", name="bridge")
    try:
        wait_for(names_the_bridge, 120, "the bridge in the light: the posture may be first")
        page.screenshot(path=SHOTS / "light-red.png")
    finally:
        stack.request(do="start", name="bridge")
    shows("Succeeded", 240)
