"""A demo stack that sends its alerts to a file and serves its figures, and a browser on its UI."""

import time

import pytest

from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.infra.ports import is_free
from tests.e2e.conftest import browser, page
from tests.e2e.pages import schedule_state, toggle

__all__ = ["browser", "page"]


SCHEDULE = "taker_flow_schedule"
"""It is due every five minutes."""


def free_ports(count):
    """Return the first of so many loopback ports that nobody listens on, below those given out."""
    return next(
        port for port in range(21000, 32000, count) if all(map(is_free, range(port, port + count)))
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the file of receivers lies, and the receiver."""
    return tmp_path_factory.mktemp("window")


@pytest.fixture(scope="session")
def stack(folder):
    """The demo, up, every check green, as a person would leave it."""
    targets = folder / "receivers"
    targets.write_text(f"# one on-call person\nfile://{folder}/received\n")
    targets.chmod(0o600)
    settings = {"alerts_file": targets, "metrics_port": free_ports(16), "mhs_unwatched_s": 60}
    with Stack(folder / "home", "--demo", **settings) as stack:
        stack.settle()
        yield stack


@pytest.fixture(scope="session", autouse=True)
def switched(browser, stack):
    """Switch a schedule off and on again in the UI, first of all; return when it was on again."""
    page = browser.new_page(base_url=f"http://127.0.0.1:{stack.ui_port}")
    page.goto("/automation")
    for wanted in ("STOPPED", "RUNNING"):
        toggle(page, SCHEDULE, wanted, lambda: schedule_state(stack, SCHEDULE)["status"])
    page.close()
    return time.time()
