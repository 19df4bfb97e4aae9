"""Where reports lie, and where a page is opened in the browser: below `/reports/` of the Dagster UI."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.day_files import is_day

PREFIX: Final = "/reports/"


def dated(folder: Path) -> Iterator[Path]:
    """Yield the folders by day (or by week) of a kind of report: ``<instance>/<day>``."""
    yield from (one for one in sorted(folder.glob("*/*")) if one.is_dir() and is_day(one.name))


def url_of(page: Path, settings: Settings) -> str:
    """Return a page's path on the UI's own host, so that it goes through the same login."""
    return PREFIX + page.absolute().relative_to(settings.reports.absolute()).as_posix()
