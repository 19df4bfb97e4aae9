"""A demo stack with Dagster, and a real headless browser on its UI."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from dolphin_realtime.bench.stack import Stack

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
"""The UI asks again every few seconds, and the machine may be busy with the first runs."""
expect.set_options(timeout=PATIENCE_MS)
SHOTS = Path(os.environ.get("E2E_SHOTS", "ci-output/screenshots"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """The demo, up and with its first assets materialized."""
    with Stack(tmp_path_factory.mktemp("demo") / "home", "--demo") as stack:
        stack.settle()
        yield stack


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, driven by Playwright."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no chromium on PATH: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, stack, request):
    """A page whose base address is the stack's UI; its last state is kept as a picture."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{stack.ui_port}", viewport={"width": 1500, "height": 950}
    )
    page: Page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{request.node.name}.png")
    context.close()
