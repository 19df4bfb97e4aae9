"""One trader's posture over time: its ladder, and what survives a restart of the safety service.

The rules are in model/risk/posture.py. Only an operator's resume leaves HALTED. A restart must not
raise a posture: only if it was NORMAL, or none was kept, may the first good turn raise the starting
posture at once.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

from dolphin_realtime.model.risk.posture import InstancePosture, Ladder, OperatorCommand, Posture
from dolphin_realtime.services.safety.memory import KeptPosture

KEPT: Final = "posture"
"""The file of a posture ends with the instance; before each had its own, it had no ending."""


class PostureOfInstance:
    """The posture of one trader."""

    def __init__(self, name: str, folder: Path, floor: Posture, now: datetime) -> None:
        self._kept = KeptPosture(folder / f"{KEPT}.{name}" if name else folder / KEPT)
        of_all = KeptPosture(folder / KEPT).load()
        if self._kept.load() is None and of_all is not None:
            self._kept.keep(of_all)
        self.name, before = name, self._kept.load()
        found = (before, Posture.CLOSE_ONLY, floor)
        self._ladder = Ladder(max(filter(None, found), key=lambda p: p.rank), now)
        self.was_fresh = before not in (None, Posture.NORMAL)
        self.reasons: list[str] = []

    @property
    def posture(self) -> Posture:
        """What it may do now."""
        return self._ladder.posture

    @property
    def since(self) -> datetime:
        """Since when."""
        return self._ladder.since

    def move(self, wanted: Posture, reasons: list[str], now: datetime, cool_down_s: float) -> bool:
        """Step the ladder towards what is wanted; return whether the posture changed."""
        self.reasons = reasons
        is_first = not self.was_fresh and wanted is Posture.NORMAL
        cool_down_s = 0.0 if is_first else cool_down_s
        if self.posture is Posture.HALTED and wanted is not Posture.HALTED:
            changed = False
        else:
            changed = self._ladder.move(wanted, now, cool_down_s)
            while is_first and changed and self.posture is not Posture.NORMAL:
                self._ladder.move(wanted, now, cool_down_s)
        self.was_fresh = self.was_fresh or wanted is Posture.NORMAL
        if changed:
            self._kept.keep(self.posture)
        return changed

    def leave_halted(self, now: datetime) -> None:
        """Go from HALTED to CLOSE_ONLY, by an operator's resume."""
        if self.posture is Posture.HALTED:
            self._ladder = Ladder(Posture.CLOSE_ONLY, now)
            self._kept.keep(Posture.CLOSE_ONLY)

    def document(self, flatten: OperatorCommand | None) -> InstancePosture:
        """Return its part of the safety document."""
        return InstancePosture(
            posture=self.posture, reasons=self.reasons, since=self.since, flatten=told(flatten)
        )


def forget_that_of_all(folder: Path) -> None:
    """Remove the file of before each trader had its own: a trader that comes later is not meant."""
    (folder / KEPT).unlink(missing_ok=True)


def told(flatten: OperatorCommand | None) -> dict[str, str] | None:
    """Return a flatten as it is in the safety document."""
    if flatten is None:
        return None
    at = flatten.at.isoformat()
    return {"id": flatten.flatten_id, "reason": flatten.reason, "who": flatten.who, "at": at}
