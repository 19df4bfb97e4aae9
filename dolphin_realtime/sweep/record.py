"""Every trial of a sweep on disk, one line each: what was tried can be neither lost nor hidden.

Appended as trials end; a sweep that was stopped goes on from here.
"""

import os
from pathlib import Path
from typing import Self

import msgspec

from dolphin_realtime.append_file import open_lines
from dolphin_realtime.sweep.trial import TrialResult

_decoder = msgspec.json.Decoder(TrialResult)


class TrialRecord:
    """The trials of one sweep; the newest line of a key holds."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = open_lines(path)
        self.results: dict[str, TrialResult] = {}
        for line in path.read_bytes().splitlines():
            try:
                result = _decoder.decode(line)
            except msgspec.DecodeError:
                continue
            self.results[result.key] = result

    def is_done(self, key: str) -> bool:
        """Return whether a trial gave a result before; a failed one is tried again."""
        found = self.results.get(key)
        return found is not None and found.failure is None

    def add(self, result: TrialResult) -> None:
        """Append a result.

        Raises:
            OSError: If it cannot be written.
        """
        os.write(self._fd, msgspec.json.encode(result) + b"\n")
        self.results[result.key] = result

    def __enter__(self) -> Self:
        """Return the record."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self._fd)
