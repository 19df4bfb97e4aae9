"""Telling people of the posture: once when it is lowered, once when it is NORMAL again."""

from typing import Final

from dolphin_realtime.model.posture import Posture
from dolphin_realtime.service import Frame

RUNBOOK: Final = "docs/runbook.md#why-the-posture-is-not-normal"
CHECK: Final = "posture"


class Telling:
    """What was told last; a rise that ends below NORMAL is not told."""

    def __init__(self, frame: Frame, kept: Posture | None) -> None:
        """Begin with the posture that stood before: it was told when it came."""
        self._frame = frame
        self._told = kept or Posture.NORMAL

    def tell(self, posture: Posture, reasons: list[str]) -> None:
        """Write an alert where the posture is lower than told, or NORMAL again."""
        facts = {"posture": posture.value, "why": "; ".join(reasons) or "it is calm again"}
        if posture.rank > self._told.rank:
            self._frame.alert("safety", CHECK, "red", facts, RUNBOOK)
        elif posture is Posture.NORMAL and self._told is not Posture.NORMAL:
            self._frame.alert("safety", CHECK, "recovered", facts, RUNBOOK)
        else:
            return
        self._told = posture
