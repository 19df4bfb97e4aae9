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
"""The file of a posture ends with the instance. Without an ending it is the strictest of all, for an
earlier version that knows only this one, and for the first start after one."""


class PostureOfInstance:
    """The posture of one trader."""

    def __init__(self, name: str, folder: Path, floor: Posture, now: datetime) -> None:
        self.name, self._kept = (
            name,
            KeptPosture(folder / f"{KEPT}.{name}" if name else folder / KEPT),
        )
        before = self._kept.load()
        if before is None and not any(folder.glob(f"{KEPT}.*")):
            before = KeptPosture(folder / KEPT).load()
        found = (before, Posture.CLOSE_ONLY, floor)
        starting = max(filter(None, found), key=lambda p: p.rank)
        self._ladder, self._on_disk = Ladder(starting, now), self._kept.load()
        self.was_fresh = before not in (None, Posture.NORMAL) or starting is Posture.HALTED
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
        return changed

    def keep(self) -> None:
        """Write the posture to disk if another is there; before the first good turn only HALTED.

        Raises:
            OSError: If it cannot be written; the next call tries again.
        """
        is_due = self.was_fresh or self.posture is Posture.HALTED
        if is_due and self._on_disk is not self.posture:
            self._kept.keep(self.posture)
            self._on_disk = self.posture

    def leave_halted(self, now: datetime) -> None:
        """Go from HALTED to CLOSE_ONLY, by an operator's resume."""
        if self.posture is Posture.HALTED:
            self._ladder, self.was_fresh = Ladder(Posture.CLOSE_ONLY, now), True

    def document(self, flatten: OperatorCommand | None) -> InstancePosture:
        """Return its part of the safety document."""
        return InstancePosture(
            posture=self.posture, reasons=self.reasons, since=self.since, flatten=told(flatten)
        )


def told(flatten: OperatorCommand | None) -> dict[str, str] | None:
    """Return a flatten as it is in the safety document."""
    if flatten is None:
        return None
    at = flatten.at.isoformat()
    return {"id": flatten.flatten_id, "reason": flatten.reason, "who": flatten.who, "at": at}
