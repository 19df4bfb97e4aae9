"""What is remembered of the sources from run to run: pauses asked for, failures, used weight.

Each run is a process of its own, so this lies in small files on the local disk, replaced
whole. Deciding when to ask again belongs here; asking does not
(dolphin_dagster/sources/http.py). Wall time.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files, log
from dolphin_realtime.model.instant import Aware

LONGEST_PAUSE: Final = timedelta(hours=1)
SHARE: Final = 0.5
"""Of a host's weight a minute: the rest is for others at the same address, a trader above all."""
LIMIT_KEPT: Final = timedelta(days=1)
LONGEST_BAN: Final = timedelta(days=1)
"""A pause asked for is kept to a day: a longer one is a slip of the host or of a clock."""
CLOCK_SLACK: Final = timedelta(minutes=1)
"""What was remembered of an instant this much after now is of a wrong clock, and forgotten."""
FAILING: Final = 2
"""Failures in a row from which on a source counts as failing: one may be chance."""


class HostMemory(msgspec.Struct, kw_only=True):
    """One host.

    Attributes:
        not_before: It is left alone until then.
        told_at: When it asked for that, or was found dead.
        why: With which answer.
        weight_limit: Weight that it allows an address a minute, as it said itself.
        limit_at: When it said so.
        used: Weight used in the minute of ``used_at``, as its last answer said.
    """

    not_before: Aware | None = None
    told_at: Aware | None = None
    why: str = ""
    weight_limit: float | None = None
    limit_at: Aware | None = None
    used: float = 0.0
    used_at: Aware | None = None

    def left_alone_until(self, now: datetime) -> datetime | None:
        """Return until when the host is left alone, None where it may be asked now."""
        if self.not_before is None or self.told_at is None or self.told_at > now + CLOCK_SLACK:
            return None
        return self.not_before if now < self.not_before else None

    def leave_alone(self, now: datetime, pause: timedelta, why: str) -> None:
        """Note that nothing is to be asked for some time, a day at the most."""
        self.not_before, self.told_at, self.why = now + min(pause, LONGEST_BAN), now, why

    def minute_is_used(self, now: datetime) -> timedelta | None:
        """Return how long the minute still lasts whose share of weight is used, else None."""
        minute = now.replace(second=0, microsecond=0)
        if self.weight_limit is None or self.used_at is None:
            return None
        is_now = minute <= self.used_at <= now + CLOCK_SLACK
        is_used = is_now and self.used >= SHARE * self.weight_limit
        return minute + timedelta(minutes=1) - now if is_used else None

    def needs_limit(self, now: datetime) -> bool:
        """Return whether the host's limit should be read anew."""
        return self.limit_at is None or not timedelta(0) <= now - self.limit_at <= LIMIT_KEPT


class CircuitBreaker(msgspec.Struct, kw_only=True):
    """One indicator's luck with its source: after each failed run its schedule waits longer.

    Attributes:
        failures: Runs failed in a row.
        since: When the first of them failed.
        last: When the last of them failed.
        error: What the last of them said.
    """

    failures: int = 0
    since: Aware | None = None
    last: Aware | None = None
    error: str = ""

    def next_try(self, cadence: timedelta, now: datetime) -> datetime | None:
        """Return when the schedule should ask again, None where it may now.

        One failure costs nothing; from the second on a tick is let by, then three, then seven,
        until an hour lies between two tries, or one cadence where that is longer. Half a cadence
        is taken off, because a run ends after its tick.
        """
        if self.failures < FAILING or self.last is None or self.last > now + CLOCK_SLACK:
            return None
        between = cadence * 2.0 ** min(self.failures - 1, 12)
        until = self.last + min(between, max(LONGEST_PAUSE, cadence)) - cadence / 2
        return until if now < until else None

    @property
    def is_failing(self) -> bool:
        """Whether the source failed more than once in a row."""
        return self.failures >= FAILING

    def failed(self, now: datetime, error: str) -> "CircuitBreaker":
        """Return what is remembered after one more failed run."""
        return CircuitBreaker(
            failures=self.failures + 1, since=self.since or now, last=now, error=error
        )


class SourceMemory:
    """The memory's files, one a host and one an indicator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def host(self, name: str) -> HostMemory:
        """Return what is known of a host."""
        return _load(self._folder / f"host-{name}.json", HostMemory)

    def keep_host(self, name: str, memory: HostMemory) -> None:
        """Remember a host."""
        _save(self._folder / f"host-{name}.json", memory)

    def circuit(self, indicator: str) -> CircuitBreaker:
        """Return an indicator's luck so far."""
        return _load(self._folder / f"{indicator}.json", CircuitBreaker)

    def keep_circuit(self, indicator: str, circuit: CircuitBreaker) -> None:
        """Remember an indicator's luck."""
        _save(self._folder / f"{indicator}.json", circuit)

    def circuits(self) -> dict[str, CircuitBreaker]:
        """Return the luck of every indicator that was ever asked."""
        found = sorted(p.stem for p in self._folder.glob("*.json"))
        return {name: self.circuit(name) for name in found if not name.startswith("host-")}

    def why_waiting(
        self, indicator: str, host: str, cadence: timedelta, now: datetime
    ) -> str | None:
        """Return why an indicator should not be asked for now, None where it should."""
        circuit, known = self.circuit(indicator), self.host(host)
        until = circuit.next_try(cadence, now)
        if until is not None and circuit.since is not None:
            return (
                f"{host} failed {circuit.failures} times since {circuit.since:%H:%M:%S}; "
                f"asked again after {until:%H:%M:%S}: {circuit.error}"
            )
        alone = known.left_alone_until(now)
        return f"{host} is left alone until {alone:%H:%M:%S}: {known.why}" if alone else None


def memory_of(run_dir: Path) -> SourceMemory:
    """Return the memory of a stack."""
    return SourceMemory(run_dir / "sources")


def _load[M: HostMemory | CircuitBreaker](path: Path, kind: type[M]) -> M:
    """Return what a file holds; one that is torn or foreign is as if it were not there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError):
        return kind()


def _save(path: Path, memory: HostMemory | CircuitBreaker) -> None:
    """Replace a file; a disk that is full costs the memory, never a good answer."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, msgspec.json.encode(memory))
    except OSError as e:
        log.get().warning("source_memory.not_kept", file=str(path), why=str(e))


def wall_now() -> datetime:
    """Return the wall time."""
    return datetime.now(UTC)
