"""Every trial of a sweep on disk, one line each, failed ones included.

Lines are appended as trials end; an interrupted sweep resumes from them.
"""

from pathlib import Path
from typing import Self

from dolphin_realtime.infra import files
from dolphin_realtime.sweep.trial import TrialResult


class TrialRecord:
    """The trials of one sweep; the newest line of a key counts."""

    def __init__(self, path: Path) -> None:
        self._lines = files.JsonLines(path)
        read = files.read_lines(path, TrialResult)
        self.results = {result.key: result for result in read if result is not None}

    def is_done(self, key: str) -> bool:
        """Return whether a trial has a result already; a failed trial runs again."""
        found = self.results.get(key)
        return found is not None and found.failure is None

    def add(self, result: TrialResult) -> None:
        """Append a result.

        Raises:
            OSError: If it cannot be written.
        """
        self._lines.append(result)
        self.results[result.key] = result

    def __enter__(self) -> Self:
        """Return the record."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._lines.close()
