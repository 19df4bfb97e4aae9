"""What recovery remembers of its actions: back-off, budget, circuit breaker, pending action.

Pure. Instants are wall time, because the ledger (services/meta_health/files.py) keeps them over
a restart.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

BACK_OFF: Final = timedelta(seconds=30)
LONGEST_BACK_OFF: Final = timedelta(minutes=15)
HEALTHY_FOR_RESET: Final = timedelta(minutes=10)
BUDGET: Final = 6
BUDGET_WINDOW: Final = timedelta(hours=1)
UNCURED_TO_OPEN: Final = 3
CIRCUIT_OPEN: Final = timedelta(minutes=30)


class Kind(StrEnum):
    """The kinds of action: restart a service, start it again, launch a Dagster run."""

    RESTART = "restart"
    START = "start"
    LAUNCH = "launch"


class TargetMemory(msgspec.Struct, kw_only=True):
    """What is remembered of the actions on one target.

    Attributes:
        attempts: Actions since it was last healthy for ten minutes: the back-off's exponent.
        uncured: Consecutive actions that did not cure it.
        last_at: When the last action began.
        opened_at: When the circuit breaker opened; None while it is closed.
        healthy_since: Since when it has been healthy.
        episode: The episode for which a Dagster run was launched; there is one run per episode.
    """

    attempts: int = 0
    uncured: int = 0
    last_at: datetime | None = None
    opened_at: datetime | None = None
    healthy_since: datetime | None = None
    episode: str | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One action, planned or taken; a launch carries the episode it is for."""

    kind: Kind
    sensor: str
    target: str
    attempt: int
    episode: str | None = msgspec.field(default=None, name="spell")  # its name in the ledger


class Memory(msgspec.Struct):
    """The memory of all actions, as the ledger holds it.

    Attributes:
        pending: The action whose result is awaited; there is one at a time.
        pending_since: When it began.
    """

    targets: dict[str, TargetMemory] = {}
    acted_at: list[datetime] = []
    pending: Action | None = None
    pending_since: datetime | None = None

    def of(self, target: str) -> TargetMemory:
        """Return what is remembered of a target."""
        return self.targets.setdefault(target, TargetMemory())

    def not_after(self, now: datetime) -> None:
        """Replace instants in the future by now: the clock was set back since."""
        self.acted_at = [min(at, now) for at in self.acted_at]
        if self.pending_since is not None:
            self.pending_since = min(self.pending_since, now)
        for one in self.targets.values():
            for name in ("last_at", "opened_at", "healthy_since"):
                at = getattr(one, name)
                setattr(one, name, None if at is None else min(at, now))

    def why_not(self, target: str, now: datetime, kind: Kind = Kind.RESTART) -> str | None:
        """Return why no action on a target may be taken now, None if one may.

        A pending Dagster run blocks other runs, but not a restart or a start.
        """
        pending = self.pending
        if pending is not None and (kind is Kind.LAUNCH or pending.kind is not Kind.LAUNCH):
            return f"one at a time: {pending.kind} of {pending.target} is awaited"
        recent = [at for at in self.acted_at if now - at < BUDGET_WINDOW]
        if len(recent) >= BUDGET:
            return f"budget: {BUDGET} actions in the last hour"
        one = self.of(target)
        if one.opened_at is not None and now - one.opened_at < CIRCUIT_OPEN:
            return f"circuit open since {one.opened_at:%H:%M:%S}: {one.uncured} actions, no cure"
        if one.last_at is not None and now - one.last_at < back_off(one.attempts):
            return f"back-off until {one.last_at + back_off(one.attempts):%H:%M:%S}"
        return None

    def acted(self, action: Action, now: datetime) -> None:
        """Note that an action begins."""
        one = self.of(action.target)
        one.attempts, one.last_at, one.healthy_since = action.attempt, now, None
        one.episode = action.episode
        self.acted_at = [at for at in self.acted_at if now - at < BUDGET_WINDOW] + [now]
        self.pending, self.pending_since = action, now

    def ended(self, target: str, now: datetime, *, is_cured: bool) -> bool:
        """Note how an action on a target ended; return whether this opens the circuit breaker."""
        if self.pending is not None and self.pending.target == target:
            self.pending = self.pending_since = None
        one = self.of(target)
        if is_cured:
            one.uncured, one.opened_at = 0, None
            return False
        one.uncured += 1
        if one.uncured < UNCURED_TO_OPEN:
            return False
        one.opened_at = now
        return True

    def saw(self, target: str, now: datetime, *, is_well: bool) -> None:
        """Note whether a target is healthy; after ten healthy minutes its memory is cleared."""
        one = self.targets.get(target)
        if one is None:
            return
        if not is_well:
            one.healthy_since = None
        elif one.healthy_since is None:
            one.healthy_since = now
        elif now - one.healthy_since >= HEALTHY_FOR_RESET:
            del self.targets[target]


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after the nth action: 30 s · 2^(n-1), at most 15 min."""
    doublings = min(max(attempts - 1, 0), 16)
    return min(BACK_OFF * (1 << doublings), LONGEST_BACK_OFF)
