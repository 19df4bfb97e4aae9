"""Where a report's page is opened in the browser: below `/reports/` of the Dagster UI."""

from pathlib import Path
from typing import Final

from dolphin_realtime.config.settings import Settings

PREFIX: Final = "/reports/"


def url_of(page: Path, settings: Settings) -> str:
    """Return a page's path on the UI's own host, so that it goes through the same login."""
    return PREFIX + page.absolute().relative_to(settings.reports.absolute()).as_posix()
