"""A demo stack that sends its alerts to a file and serves its figures, and a browser on its UI."""

import pytest

from dolphin_realtime import dagster_api
from dolphin_realtime.bench.stack import Stack, free_port, wait_for
from tests.e2e.conftest import browser, page

__all__ = ["browser", "page"]


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
    settings = {"alerts_file": targets, "metrics_port": free_port()}
    with Stack(folder / "home", "--demo", **settings) as stack:
        wait_for(lambda: not dagster_api.red_checks(stack.ui_port), 120.0, "every check green")
        yield stack
