"""The recorded market data beside the checkout: there, or a reason to skip; in CI a failure."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "data"


def require(path):
    """Return a recorded file that is there."""
    if not path.is_file():
        missing = f"{path} is not there; the records lie beside the checkout in ../shared/data"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return path
