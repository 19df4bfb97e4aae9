"""What nginx lets in: nobody unknown, no foreign page, viewers to look, operators to change."""

import base64
import json
import re
import shutil

import httpx2
import pytest
from playwright.sync_api import sync_playwright
from websockets.sync.client import connect

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.ops import dagster_api
from tests.e2e.conftest import CHROMIUM_FLAGS, SHOTS
from tests.production.door import HOST, PEOPLE, Door

QUERY = {"query": "{ version }"}
MUTATION = {"query": "mutation { setNuxSeen }"}
LAUNCH_DENIED = "UnauthorizedError"


@pytest.fixture
def ask(door):
    return door.ask


@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info", "/assets/bridge"])
def test_nobody_unknown_comes_in(ask, path):
    method = "POST" if path == "/graphql" else "GET"
    body = {"json": QUERY} if path == "/graphql" else {}
    assert ask(method, path, **body).status_code == 401
    assert ask(method, path, "mallory", **body).status_code == 401


@pytest.mark.parametrize("who", PEOPLE)
def test_who_is_known_sees_the_ui(ask, who):
    assert "dagster" in ask("GET", "/", who).text.lower()
    assert ask("POST", "/graphql", who, json=QUERY).json()["data"]["version"]


def test_a_mutation_by_get_is_refused(ask):
    done = ask("GET", "/graphql?query=mutation{setNuxSeen}", "olga")
    assert done.status_code == 405


def test_a_form_is_refused(ask):
    body = json.dumps(MUTATION)
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        done = ask("POST", "/graphql", "olga", content=body, headers={"Content-Type": kind})
        assert done.status_code == 415, kind


def test_a_foreign_page_is_refused(ask, door):
    for origin in ("https://evil.example", "null", f"{door.origin}.evil.example"):
        done = ask("POST", "/graphql", "olga", json=MUTATION, headers={"Origin": origin})
        assert done.status_code == 403, origin
    own = ask("POST", "/graphql", "olga", json=MUTATION, headers={"Origin": door.origin})
    assert own.status_code == 200


def test_another_host_is_refused(ask):
    assert ask("GET", "/", "olga", host="evil.example").status_code == 421


def test_reports_from_outside_are_refused(ask):
    assert ask("POST", "/report_asset_check/bridge", "olga", json={}).status_code == 405


def launched(ask, who):
    selector = {
        "repositoryLocationName": "dolphin", "repositoryName": "__repository__",
        "pipelineName": "calendar_factors_job",
    }  # fmt: skip
    body = {
        "query": dagster_api._LAUNCH,
        "variables": {"p": {"mode": "default", "selector": selector}},
    }
    return ask("POST", "/graphql", who, json=body).json()["data"]["launchPipelineExecution"]


def test_an_operator_launches_a_run_and_a_viewer_does_not(ask):
    for viewer in ("vera", "OLGA"):
        assert launched(ask, viewer)["__typename"] == LAUNCH_DENIED
    assert launched(ask, "olga")["__typename"] == "LaunchRunSuccess"


SUBSCRIPTION = """
subscription($id: ID!) { pipelineRunLogs(runId: $id) {
  ... on PipelineRunLogsSubscriptionSuccess { messages { ... on MessageEvent { runId } } } } }"""


@pytest.mark.parametrize("who", PEOPLE)
def test_a_subscription_goes_through(ask, door, who):
    run_id = launched(ask, "olga")["run"]["runId"]
    word = base64.b64encode(f"{who}:{PEOPLE[who]}".encode()).decode()
    headers = {"Authorization": f"Basic {word}"}
    address = f"ws://{HOST}:{door.port}/graphql"
    with connect(
        address, sock=_socket(door.port), additional_headers=headers, origin=door.origin,
        subprotocols=["graphql-ws"], open_timeout=20,
    ) as socket:  # fmt: skip
        socket.send(json.dumps({"type": "connection_init"}))
        socket.send(
            json.dumps({"type": "start", "id": "1", "payload": {"query": SUBSCRIPTION, "variables": {"id": run_id}}})
        )  # fmt: skip
        while (message := json.loads(socket.recv(timeout=30)))["type"] != "data":
            pass
    logs = message["payload"]["data"]["pipelineRunLogs"]["messages"]
    assert {one["runId"] for one in logs} == {run_id}


def _socket(port):
    import socket

    return socket.create_connection(("127.0.0.1", port), 10)


def test_over_tls(stack):
    door = Door(stack.env, with_tls=True)
    try:
        assert door.ask("GET", "/").status_code == 401
        done = door.ask("POST", "/graphql", "olga", json=MUTATION, headers={"Origin": door.origin})
        assert done.status_code == 200
        assert "max-age" in done.headers["Strict-Transport-Security"]
        plain = httpx2.get(f"http://127.0.0.1:{door.port}/", headers={"Host": HOST}, timeout=20)
        assert plain.status_code == 400
    finally:
        door.close()


def test_a_viewer_without_a_viewers_ui_is_told_so(stack):
    door = Door({**stack.env, "DOLPHIN_VIEWER_PORT": "0"})
    try:
        assert door.ask("GET", "/", "olga").status_code == 200
        done = door.ask("GET", "/", "vera")
        assert (done.status_code, "DOLPHIN_VIEWER_PORT is 0" in done.text) == (502, True)
        assert door.ask("GET", "/").status_code == 401
    finally:
        door.close()


@pytest.fixture(scope="module")
def report(stack):
    """The address of a day's backtest report, made by its condition."""
    day = min((stack.home / "archive").glob("*.parquet")).stem
    place = f"reports/backtest/BLUE/{day}/report.html"
    wait_for((stack.home / place).is_file, 300, f"the backtest of {day}")
    return f"/{place}"


@pytest.mark.timeout(400)
def test_a_report_is_opened_by_who_is_known_and_by_nobody_else(ask, report):
    for who in (None, "mallory"):
        for path in (report, "/reports/", "/reports/why?day=x"):
            assert ask("GET", path, who).status_code == 401
    for who in PEOPLE:
        answer = ask("GET", report, who)
        assert answer.status_code == 200
        assert "Round trips" in answer.text
        assert len(answer.content) < 300_000
        assert "sandbox allow-scripts" in answer.headers["Content-Security-Policy"]
        assert ask("GET", "/reports/", who).status_code == 200
    assert ask("POST", report, "olga").status_code == 405
    script = re.search(r"[^/\"]+\.min\.js", ask("GET", report, "olga").text)[0]
    assert ask("GET", f"/reports/{script}").status_code == 200, "it is loaded without a login"
    for near in (
        f"/reports/x/{script}",
        f"/reports/{script}/../index.html",
        "/reports/plotly-x.min.js",
    ):
        assert ask("GET", near).status_code == 401


@pytest.mark.timeout(400)
@pytest.mark.parametrize("who", ["olga", "vera"])
def test_a_report_is_opened_by_its_link_through_nginx(door, report, who):
    """In a browser that logs in once: from the asset's page to the drawn report."""
    rules = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*CHROMIUM_FLAGS, rules]
        )
        context = browser.new_context(
            base_url=f"http://{HOST}:{door.port}",
            http_credentials={"username": who, "password": PEOPLE[who]},
        )
        page = context.new_page()
        day = report.split("/")[4]
        page.goto(f"/assets/daily_backtest?view=partitions&partition={day}%7CBLUE")
        link = page.locator(f"a[href='{report}']").first
        link.wait_for(timeout=60_000)
        with page.expect_popup() as opened:
            link.click()
        opened.value.locator("#plot-equity .main-svg").first.wait_for()
        SHOTS.mkdir(parents=True, exist_ok=True)
        opened.value.screenshot(path=SHOTS / f"door-report-{who}.png")
        browser.close()
