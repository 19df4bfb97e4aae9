"""The site: built without a warning (a link that leads nowhere is one), read and searched in a browser, offline."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.docs.written import ROOT
from tests.e2e.conftest import browser  # noqa: F401 - a fixture

pytestmark = pytest.mark.timeout(200)
SHOTS = Path(os.environ.get("E2E_SHOTS", "ci-output/screenshots"))
SAID = (
    ("STILL_PRICE", "The signal"),
    ("usermod", "Operations"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-c",
        "docs",
        ".",
        str(out),
    ]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def page(browser, site, request):  # noqa: F811
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    page.goto(f"file://{site}/index.html")
    page.wait_for_url("**/README.html")
    yield page
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{request.node.name}.png")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


def test_the_first_page_has_the_picture_and_every_chapter(page):
    expect(page.get_by_role("heading", name="Dolphin", exact=True).first).to_be_visible()
    drawn = page.locator("img[src$='dolphin.svg']")
    assert drawn.evaluate("image => image.naturalWidth") > 100
    for chapter in ("The first ten minutes", "Questions", "Runbook", "Settings", "Changes"):
        expect(
            page.locator(".sidebar-tree").get_by_role("link", name=chapter, exact=True)
        ).to_be_visible()


@pytest.mark.parametrize(("word", "chapter"), SAID)
def test_a_word_is_found(page, word, chapter):
    page.get_by_placeholder("Search").fill(word)
    page.keyboard.press("Enter")
    found = page.locator("ul.search li a")
    expect(found.first).to_be_visible()
    assert any(chapter in text for text in found.all_inner_texts())
