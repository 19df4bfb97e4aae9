"""What the UI serves below /reports/: pages and their files, nothing else, and without an origin."""

import asyncio

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from dolphin_dagster.report_pages import HEADERS, found, routes
from dolphin_realtime.config.settings import Settings


class Client:
    """Asks an application without a server."""

    def __init__(self, app):
        self.app = app

    def get(self, path):
        async def ask():
            transport = httpx2.ASGITransport(app=self.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://ui") as client:
                return await client.get(path)

        return asyncio.run(ask())


@pytest.fixture
def settings(tmp_path):
    reports = tmp_path / "reports"
    day = reports / "paper" / "BLUE" / "2025-05-12"
    day.mkdir(parents=True)
    (day / "report.html").write_text("<h1>a day</h1>")
    (day / "report.json").write_bytes(msgspec.json.encode({"net": -12.5, "fills": 3}))
    (day / "notes.txt").write_text("not to be served")
    (tmp_path / "secret.html").write_text("not below the reports")
    (day / "link.html").symlink_to(tmp_path / "secret.html")
    return Settings(home=tmp_path, instances="BLUE,GREEN")


@pytest.fixture
def client(settings):
    return Client(Starlette(routes=[Mount("/reports", routes=routes(settings))]))


def test_a_page_is_served_without_an_origin(client):
    answer = client.get("/reports/paper/BLUE/2025-05-12/report.html")
    assert answer.text == "<h1>a day</h1>"
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    [
        "paper/BLUE/2025-05-12/notes.txt", "paper/BLUE/2025-05-12", "paper/BLUE/2025-05-12/link.html",
        "../secret.html", "paper/../../secret.html", "/etc/passwd", "%2e%2e/secret.html", "x\0.html",
        "none.html",
    ],
)  # fmt: skip
def test_nothing_else_is_served(client, settings, name):
    assert found(settings.reports, name) is None
    if "\0" not in name:
        answer = client.get(f"/reports/{name}")
        assert answer.status_code == 404
        assert "secret" not in answer.text
        if ".." not in name:  # which a client leaves out itself
            assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


def test_the_index_links_each_day_of_each_instance(client):
    page = client.get("/reports/").text
    assert "href='paper/BLUE/2025-05-12/report.html'>-12.50</a>" in page
    assert "<a href='?month=2025-05'>2025-05</a>" in page


def test_a_name_in_the_index_is_text(client, settings):
    evil = settings.reports / "paper" / "<script>alert(1)<" / "2025-05-12"
    evil.mkdir(parents=True)
    (evil / "report.json").write_bytes(msgspec.json.encode({"net": 1.0}))
    page = client.get("/reports/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_month_that_is_not_there_shows_the_newest(client):
    assert "Reports, 2025-05" in client.get("/reports/?month=<b>").text


def test_reports_that_are_not_there_yet_are_said_so(tmp_path):
    client = Client(Starlette(routes=routes(Settings(home=tmp_path))))
    assert "There is no report yet" in client.get("/").text


@pytest.mark.parametrize(
    "asked",
    [
        "", "?day=x&time=12:00&asset=A&instance=BLUE", "?day=2025-05-12&time=12:00&asset=A&instance=RED",
        "?day=2025-05-12&time=12:00&instance=BLUE",
    ],
)  # fmt: skip
def test_a_question_that_is_incomplete_is_refused(client, asked):
    assert client.get(f"/reports/why{asked}").status_code == 400


def test_an_answer_that_cannot_be_given_says_why(client):
    asked = "?day=2025-05-12&time=12:00&asset=--help&instance=BLUE"
    answer = client.get(f"/reports/why{asked}")
    assert answer.status_code == 404
    assert "journal" in answer.text
