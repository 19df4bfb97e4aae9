"""Removes old reports: pages and tables only, which can be made again from archives and journals."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from dolphin_realtime.reports.address import dated

DAILY: Final = ("paper", "backtest", "versus", "trials", "weekly")
"""Folders whose instances' folders hold one folder a day (or a week, by its Monday)."""


def days_of(reports: Path) -> dict[Path, str]:
    """Return each dated report's folder with its day."""
    folders = (folder for kind in DAILY for folder in dated(reports / kind))
    return {folder: folder.name for folder in folders if not folder.is_symlink()}


def clear_reports(reports: Path, keep_days: int) -> list[Path]:
    """Remove the reports older than ``keep_days`` and return which those were; 0 removes nothing.

    Age is counted from the newest report, so that a stack that stands still loses nothing.

    Raises:
        OSError: If a folder cannot be removed.
    """
    dated = days_of(reports)
    if not keep_days or not dated:
        return []
    newest = min(date.fromisoformat(max(dated.values())), datetime.now(UTC).date())
    oldest = newest - timedelta(days=keep_days)
    old = [folder for folder, day in sorted(dated.items()) if day < oldest.isoformat()]
    for folder in old:
        shutil.rmtree(folder)
    return old
