"""Meta health's self-check: a clock step, a late turn, or too many targets bad at once.

Pure. While the self-check fails nothing is repaired and a person is alerted: the fault may be in
meta health or its machine, not in the targets (docs/adr/0011).
"""

from typing import Final

import msgspec

CLOCK_SLACK_S: Final = 5.0
MANY: Final = 0.5
CALM_TURNS: Final = 2
SILENT_TURNS: Final = 3.0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one turn, over the targets with a known score.

    Attributes:
        known: Targets with a known score.
        bad: Those that are bad.
        newly_bad: Bad targets that were not bad the turn before.
        aged: Known targets that are judged by a wall-clock timestamp.
        aged_bad: Those of them that are bad.
    """

    known: int
    bad: int
    newly_bad: int
    aged: int
    aged_bad: int

    @property
    def is_calm(self) -> bool:
        """Whether at most half of the targets are bad, and at most half of the aged ones."""
        most_is_well = self.known > 0 and self.bad <= MANY * self.known
        return most_is_well and self.aged_bad <= MANY * self.aged


class SelfCheck(msgspec.Struct):
    """The self-check over the turns.

    Attributes:
        suspicion: Why nothing may be repaired, None if the check passes.
    """

    turn_s: float
    suspicion: str | None = None
    _offset_s: float | None = None
    _last_s: float | None = None
    _calm: int = 0

    def slept(self, now_s: float) -> bool:
        """Return whether this turn comes much later than it should; call it once a turn.

        Args:
            now_s: Monotonic time.
        """
        last, self._last_s = self._last_s, now_s
        return last is not None and now_s - last > SILENT_TURNS * max(self.turn_s, 1.0) + 2.0

    def judge(self, wall_s: float, now_s: float, seen: Seen) -> None:
        """Check one turn: a suspicion begins at once and ends after two calm turns in a row.

        In a calm turn the targets agree with the clock as it is now, so a clock step is accepted.
        """
        offset_s = wall_s - now_s
        found = self._found(offset_s, seen)
        if found is not None:
            self.suspicion, self._calm = found, 0
        if not seen.is_calm:
            self._calm = 0
            return
        self._calm, self._offset_s = self._calm + 1, offset_s
        if self._calm >= CALM_TURNS:
            self.suspicion = None

    def _found(self, offset_s: float, seen: Seen) -> str | None:
        if self._offset_s is None:
            self._offset_s = offset_s
        step_s = offset_s - self._offset_s
        if abs(step_s) > CLOCK_SLACK_S:
            return f"the wall clock leapt by {step_s:+.0f} s"
        if seen.newly_bad > MANY * seen.known:
            return f"{seen.newly_bad} of {seen.known} targets went bad in one turn"
        return None
