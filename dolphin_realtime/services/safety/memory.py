"""The safety service's memory: the newest document of each kind, the posture, equity peaks.

If the grid comes back empty, the newest document seen is kept, and its age decides whether it
still counts. Peaks survive a restart in ``safety/peaks.json``. A resume resets them to the current
equity; otherwise a drawdown would last until a new peak.
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
        kind: Its type.
        stamp: Returns its own timestamp.
    """

    def __init__(self, kind: type[D], stamp: Callable[[D], datetime]) -> None:
        self._kind, self._stamp = kind, stamp
        self.document: D | None = None

    def update(self, value: object) -> None:
        """Add a read value: an absent one keeps the last document, an unreadable one clears it."""
        if value is not None:
            self.document = wire.read(value, self._kind)

    def age_s(self, now: datetime) -> float | None:
        """Return the document's age by its own timestamp, None without a document."""
        return None if self.document is None else (now - self._stamp(self.document)).total_seconds()


class KeptPosture:
    """The last posture, on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Posture | None:
        """Return the saved posture, None if there is none, HALTED if it cannot be read."""
        if not self._path.is_file():
            return None
        try:
            return Posture(self._path.read_text().strip())
        except (ValueError, OSError):
            return Posture.HALTED

    def keep(self, posture: Posture) -> None:
        """Save the posture atomically."""
        files.replace(self._path, posture.value.encode())


def _read[T](path: Path, kind: type[dict[str, T]]) -> dict[str, T]:
    """Return a file's content, nothing if it is absent or unreadable."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


class Peaks:
    """The highest equity of each instance since the last resume.

    Another journal begins with its own peak, and money that was moved in or out moves the peak: it
    is no profit and no loss. Both are remembered in ``accounts.json`` beside the peaks.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_name("accounts.json")
        self._peaks = _read(path, dict[str, float])  # else the traders' own peaks are used
        self._accounts = _read(self._beside, dict[str, tuple[str, float]])
        self._is_unkept = False

    def note(
        self, name: str, equity: float, own_peak: float, account: str = "", moved: float = 0.0
    ) -> None:
        """Save an equity that is a new peak; a new instance starts with its own peak.

        Args:
            name: The instance.
            equity: Its equity.
            own_peak: The peak that its trader knows.
            account: Its journal's life.
            moved: Money moved in so far, out negative.
        """
        known, before = self._accounts.get(name), self._peaks.get(name)
        if known is not None and known[0] != account:
            before = None
        elif known is not None and known[1] != moved and before is not None:
            before += moved - known[1]
        peak = max(own_peak if before is None else before, equity)
        if peak == self._peaks.get(name) and known == (account, moved) and not self._is_unkept:
            return
        self._peaks[name], self._accounts[name] = peak, (account, moved)  # a transfer counts once
        self._keep()

    def drawdown(self, name: str, equity: float) -> float:
        """Return the loss from the peak as a fraction; 0 without a peak, 1 if it is not > 0."""
        peak = self._peaks.get(name, equity)
        return 1.0 - equity / peak if peak > 0.0 else 1.0

    def begin_again(self, equities: dict[str, float]) -> None:
        """Reset the peaks to the current equities: losses so far are accepted."""
        self._peaks.update(equities)
        self._keep()

    def _keep(self) -> None:
        """Write both files; what a failure leaves unwritten is written with the next change or look."""
        self._is_unkept = True
        files.replace(self._path, msgspec.json.encode(self._peaks))
        files.replace(self._beside, msgspec.json.encode(self._accounts))
        self._is_unkept = False


def facts_of(
    name: str, state: StateDocument | None, drawdown: float, now: datetime
) -> InstanceFacts:
    """Return the inputs of the posture from one trader; ``drawdown`` is from the saved peak."""
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
        venue=tuple(
            (one.posture, f"{one.code}: {one.why}")
            for one in (state.live.findings if state.live else [])
            if one.posture is not None
        ),
    )
