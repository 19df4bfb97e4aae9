"""The memory of the sources between runs: requested pauses, failures, used weight.

Each run is a process of its own, so the memory is kept in small files on the local disk, which are
replaced atomically. Deciding when to ask again belongs here; asking does not
(dolphin_dagster/sources/http.py). All instants are wall time.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra import files, log
from dolphin_realtime.model.instant import Aware

LONGEST_PAUSE: Final = timedelta(hours=1)
SHARE: Final = 0.5
"""Share of a host's weight per minute to use; the rest is for other clients, such as the trader."""
LIMIT_KEPT: Final = timedelta(days=1)
LONGEST_BAN: Final = timedelta(days=1)
"""Longest pause obeyed: a longer one is an error of the host or of a clock."""
CLOCK_SLACK: Final = timedelta(minutes=1)
"""A record dated more than this after now comes from a wrong clock and is ignored."""
FAILING: Final = 2
"""A source counts as failing from this many consecutive failures on; one may be chance."""


class HostMemory(msgspec.Struct, kw_only=True):
    """One host.

    Attributes:
        not_before: It is not asked before this instant.
        told_at: When it asked for that pause, or did not answer.
        why: The answer or error that caused the pause.
        weight_limit: Weight that it allows an address per minute, as it reported itself.
        limit_at: When the limit was read.
        used: Weight used in the minute of ``used_at``, as its last answer reported.
    """

    not_before: Aware | None = None
    told_at: Aware | None = None
    why: str = ""
    weight_limit: float | None = None
    limit_at: Aware | None = None
    used: float = 0.0
    used_at: Aware | None = None

    def left_alone_until(self, now: datetime) -> datetime | None:
        """Return until when the host must not be asked, None if it may be asked now."""
        if self.not_before is None or self.told_at is None or self.told_at > now + CLOCK_SLACK:
            return None
        return self.not_before if now < self.not_before else None

    def leave_alone(self, now: datetime, pause: timedelta, why: str) -> None:
        """Set a pause, a day at most, during which the host is not asked."""
        self.not_before, self.told_at, self.why = now + min(pause, LONGEST_BAN), now, why

    def minute_is_used(self, now: datetime) -> timedelta | None:
        """Return the rest of this minute if its share of weight is used up, else None."""
        minute = now.replace(second=0, microsecond=0)
        if self.weight_limit is None or self.used_at is None:
            return None
        is_now = minute <= self.used_at <= now + CLOCK_SLACK
        is_used = is_now and self.used >= SHARE * self.weight_limit
        return minute + timedelta(minutes=1) - now if is_used else None

    def needs_limit(self, now: datetime) -> bool:
        """Return whether the host's limit should be read again."""
        return self.limit_at is None or not timedelta(0) <= now - self.limit_at <= LIMIT_KEPT


class CircuitBreaker(msgspec.Struct, kw_only=True):
    """Consecutive failures of one indicator's source; its schedule waits longer after each.

    Attributes:
        failures: Failed runs in a row.
        since: When the first of them failed.
        last: When the last of them failed.
        error: The last one's error.
    """

    failures: int = 0
    since: Aware | None = None
    last: Aware | None = None
    error: str = ""

    def next_try(self, cadence: timedelta, now: datetime) -> datetime | None:
        """Return when the schedule should ask again, None if it may now.

        The first failure has no effect. After the second one tick is skipped, then three, then
        seven, until tries are an hour apart, or one cadence if that is longer. Half a cadence is
        subtracted, because a run ends after its tick.
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
    """The memory's files, one per host and one per indicator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def host(self, name: str) -> HostMemory:
        """Return what is known of a host."""
        return _load(self._folder / f"host-{name}.json", HostMemory)

    def keep_host(self, name: str, memory: HostMemory) -> None:
        """Remember a host."""
        _save(self._folder / f"host-{name}.json", memory)

    def circuit(self, indicator: str) -> CircuitBreaker:
        """Return an indicator's circuit breaker."""
        return _load(self._folder / f"{indicator}.json", CircuitBreaker)

    def keep_circuit(self, indicator: str, circuit: CircuitBreaker) -> None:
        """Store an indicator's circuit breaker."""
        _save(self._folder / f"{indicator}.json", circuit)

    def circuits(self) -> dict[str, CircuitBreaker]:
        """Return the circuit breaker of every indicator that was ever asked."""
        found = sorted(p.stem for p in self._folder.glob("*.json"))
        return {name: self.circuit(name) for name in found if not name.startswith("host-")}

    def why_waiting(
        self, indicator: str, host: str, cadence: timedelta, now: datetime
    ) -> str | None:
        """Return why an indicator should not be asked for now, None if it may be."""
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
    """Return what a file holds; an unreadable file counts as missing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError):
        return kind()


def _save(path: Path, memory: HostMemory | CircuitBreaker) -> None:
    """Replace a file; if the disk is full, only the memory is lost and the run goes on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, msgspec.json.encode(memory))
    except OSError as e:
        log.get().warning("source_memory.not_kept", file=str(path), why=str(e))


def wall_now() -> datetime:
    """Return the wall time."""
    return datetime.now(UTC)
