"""What the safety service remembers of documents: the newest of each, and equity peaks.

A grid that comes back empty says nothing of what was known seconds ago, so the newest
document seen stays, and its age says whether it still counts. Peaks outlive a restart in
``safety/peaks.json``; a resume begins them anew, else no drawdown would ever end.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from dolphin_realtime.grid import wire
from dolphin_realtime.infra import files
from dolphin_realtime.model.documents import StateDocument
from dolphin_realtime.model.risk.posture import InstanceFacts, Posture


class Newest[D]:
    """The newest document of one key.

    Args:
        kind: Its shape.
        stamp: Returns its own instant.
    """

    def __init__(self, kind: type[D], stamp: Callable[[D], datetime]) -> None:
        self._kind, self._stamp = kind, stamp
        self.document: D | None = None

    def update(self, value: object) -> None:
        """Take what was read: what is absent leaves the last one, what is of no use replaces it."""
        if value is not None:
            self.document = wire.read(value, self._kind)

    def age_s(self, now: datetime) -> float | None:
        """Return its age by its own instant, None where there is none."""
        return None if self.document is None else (now - self._stamp(self.document)).total_seconds()


class KeptPosture:
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
        files.replace(self._path, posture.value.encode())


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

    def note(self, name: str, equity: float, own_peak: float) -> None:
        """Keep an equity where it is a new peak; a new instance begins at its own peak."""
        peak = max(self._peaks.get(name, own_peak), equity)
        if peak != self._peaks.get(name):
            self._set(name, peak)

    def drawdown(self, name: str, equity: float) -> float:
        """Return the loss from the peak, a fraction; without any peak there is nothing to lose."""
        peak = self._peaks.get(name, equity)
        return 1.0 - equity / peak if peak > 0.0 else 1.0

    def begin_again(self, equities: dict[str, float]) -> None:
        """Accept today's losses: peaks are the equities of now."""
        for name, equity in equities.items():
            self._set(name, equity)

    def _set(self, name: str, peak: float) -> None:
        self._peaks[name] = peak
        files.replace(self._path, msgspec.json.encode(self._peaks))


def facts_of(
    name: str, state: StateDocument | None, drawdown: float, now: datetime
) -> InstanceFacts:
    """Return what the posture is judged from, ``drawdown`` being that from the kept peak."""
    if state is None:
        return InstanceFacts(name=name, age_s=None)
    return InstanceFacts(
        name=name,
        age_s=(now - state.updated_at).total_seconds(),
        drawdown=drawdown,
        day_loss=state.day_loss,
        rejected=state.rejected_of_last_10,
        mismatch=state.mismatch,
        is_shocked=state.is_shocked,
    )
