"""What the safety service remembers of documents: the newest of each, and equity peaks.

A grid that comes back empty says nothing of what was known seconds ago, so the newest
document seen stays, and its age says whether it still counts. Peaks outlive a restart in
``safety/peaks.json``; a resume begins them anew, else no drawdown would ever end.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from dolphin_realtime import grid
from dolphin_realtime.model.posture import InstanceFacts, Posture
from dolphin_realtime.whole_file import replace_whole


class Newest:
    """The newest document of one key, by its own timestamp."""

    def __init__(self, field: str) -> None:
        self._field = field
        self.document: dict[str, Any] | None = None

    def take(self, value: object) -> dict[str, Any] | None:
        """Take what was read, if anything, and return the newest document there ever was."""
        document = grid.decode(value)
        if document is not None:
            self.document = document
        return self.document

    def age_s(self, now: datetime) -> float | None:
        """Return its age by its timestamp, None where there is none that can be read."""
        return None if self.document is None else grid.age_s(self.document.get(self._field), now)


class KeptLadder:
    """Where the posture stood: a restart of this service is no reason to rise.

    Only where it stood at NORMAL, or never stood at all, may the first fresh scan lift it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Posture | None:
        """Return the posture kept, None where there is none; what cannot be read is HALTED."""
        if not self._path.is_file():
            return None
        try:
            return Posture(self._path.read_text().strip())
        except (ValueError, OSError):
            return Posture.HALTED

    def keep(self, posture: Posture) -> None:
        """Write the posture, atomically."""
        replace_whole(self._path, posture.value.encode())


class Peaks:
    """The highest equity of each instance since the last resume."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._peaks: dict[str, float] = {}
        if path.is_file():
            try:
                self._peaks = msgspec.json.decode(path.read_bytes(), type=dict[str, float])
            except msgspec.DecodeError:
                self._peaks = {}  # the traders' own peaks stand in

    def drawdown(self, name: str, equity: float, own_peak: float) -> float:
        """Return the loss from the peak, a fraction; a new instance begins at its own peak."""
        peak = max(self._peaks.get(name, own_peak), equity)
        if peak != self._peaks.get(name):
            self._set(name, peak)
        return 1.0 - equity / peak if peak > 0.0 else 1.0

    def begin_anew(self, equities: dict[str, float]) -> None:
        """Accept today's losses: peaks are the equities of now."""
        for name, equity in equities.items():
            self._set(name, equity)

    def _set(self, name: str, peak: float) -> None:
        self._peaks[name] = peak
        replace_whole(self._path, msgspec.json.encode(self._peaks))


def number(document: dict[str, Any], field: str) -> float | None:
    """Return a document's number, None where it is none."""
    value = document.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def facts_of(name: str, state: Newest, peaks: Peaks, now: datetime) -> InstanceFacts:
    """Return what the posture is judged from; a state without its figures is unknown."""
    document, age_s = state.document, state.age_s(now)
    if document is None or age_s is None:
        return InstanceFacts(name=name, age_s=None)
    equity, own_peak = number(document, "equity"), number(document, "peak_equity")
    day_loss = number(document, "day_loss")
    if equity is None or own_peak is None or day_loss is None:
        return InstanceFacts(name=name, age_s=None)
    mismatch = document.get("mismatch")
    return InstanceFacts(
        name=name,
        age_s=age_s,
        drawdown=peaks.drawdown(name, equity, own_peak),
        day_loss=day_loss,
        rejected=int(number(document, "rejected_of_last_10") or 0),
        mismatch=None if mismatch is None else str(mismatch),
        is_shocked=bool(document.get("is_shocked")),
    )
