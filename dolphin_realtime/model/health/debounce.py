"""Debouncing of a health score: three bad turns lower it, two good turns raise it.

Pure. A score is in [0, 1]. None means unknown: the probe raised, timed out, or could not reach
the grid. While unknown, the settled score stays for a time, then counts as 0; an unknown score is
never a reason to act (docs/adr/0006).
"""

from typing import Final

import msgspec

WORSEN_TURNS: Final = 3
IMPROVE_TURNS: Final = 2
UNKNOWN_TTL_S: Final = 30.0
GOOD: Final = 1.0


class Debouncer(msgspec.Struct):
    """The score of one target of one health sensor, debounced over turns.

    Attributes:
        settled: The debounced score; None before the first known score.
        raw: This turn's score, None if unknown.
        bad_turns: Consecutive turns with a score below 1; a single unknown turn does not end them.
    """

    settled: float | None = None
    raw: float | None = None
    known_at_s: float = 0.0
    worse: int = 0
    better: int = 0
    bad_turns: int = 0
    unknown_turns: int = 0

    def update(self, raw: float | None, now_s: float) -> None:
        """Take this turn's score; ``now_s`` is monotonic."""
        self.raw = raw
        if raw is None:
            self.unknown_turns += 1
            if self.unknown_turns > 1:
                self.forget_streak()
            return
        is_expired = self.unknown_turns > 0 and now_s - self.known_at_s > UNKNOWN_TTL_S
        if self.settled is not None and is_expired:
            self.settled = 0.0  # it counted as 0 meanwhile; one good turn does not restore it
        self.known_at_s, self.unknown_turns = now_s, 0
        self.bad_turns = self.bad_turns + 1 if raw < GOOD else 0
        if self.settled is None or raw == self.settled:
            self.settled = raw if self.settled is None else self.settled
            self.worse = self.better = 0
        elif raw < self.settled:
            self.better, self.worse = 0, self.worse + 1
            self._settle(raw, is_due=self.worse >= WORSEN_TURNS)
        else:
            self.worse, self.better = 0, self.better + 1
            self._settle(raw, is_due=self.better >= IMPROVE_TURNS)

    def _settle(self, raw: float, *, is_due: bool) -> None:
        if is_due:
            self.settled, self.worse, self.better = raw, 0, 0

    def forget_streak(self) -> None:
        """Reset the counts of consecutive turns: after a long pause they prove nothing."""
        self.worse = self.better = self.bad_turns = 0

    def score(self, now_s: float) -> float:
        """Return the settled score if it is recent enough, else 0."""
        is_young = now_s - self.known_at_s <= UNKNOWN_TTL_S
        return self.settled if self.settled is not None and is_young else 0.0

    @property
    def is_known_bad(self) -> bool:
        """Whether it is a confirmed fault: settled below 1, and bad for three turns in a row.

        Only a confirmed fault is a reason to act. A target that is bad at the first turn lowers
        the score at once, but is not a confirmed fault yet.
        """
        is_settled_bad = self.settled is not None and self.settled < GOOD
        return is_settled_bad and self.raw is not None and self.bad_turns >= WORSEN_TURNS

    @property
    def is_known_dead(self) -> bool:
        """Whether it is a confirmed fault with a score of 0."""
        return self.is_known_bad and self.settled == 0.0 and self.raw == 0.0

    @property
    def word(self) -> str:
        """The state in one word: good, doubtful (bad, not yet settled), stale, dead or unknown."""
        if self.raw is None or self.settled is None:
            return "unknown"
        if self.settled >= GOOD:
            return "good" if self.raw >= GOOD else "doubtful"
        return "stale" if self.settled > 0.0 else "dead"
