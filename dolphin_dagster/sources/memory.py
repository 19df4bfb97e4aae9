"""What is remembered of the sources from run to run: pauses asked for, failures, used weight.

Each run is a process of its own, so this lies in small files on the local disk, replaced
whole. Deciding when to ask again belongs here; asking does not (http.py). Wall time.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

LONGEST_PAUSE: Final = timedelta(hours=1)
SHARE: Final = 0.5
"""Of a host's weight a minute: the rest is for others at the same address, a trader above all."""
LIMIT_KEPT: Final = timedelta(days=1)


class HostMemory(msgspec.Struct, kw_only=True):
    """One host.

    Attributes:
        not_before: It asked to be left alone until then (Retry-After).
        why: With which answer it did.
        weight_limit: Weight that it allows an address a minute, as it said itself.
        limit_at: When it said so.
        used: Weight used in the minute of ``used_at``, as its last answer said.
    """

    not_before: datetime | None = None
    why: str = ""
    weight_limit: float | None = None
    limit_at: datetime | None = None
    used: float = 0.0
    used_at: datetime | None = None

    def wait_until(self, now: datetime) -> datetime | None:
        """Return until when nothing may be asked, None where it may be now."""
        if self.not_before is not None and now < self.not_before:
            return self.not_before
        if self.weight_limit is None or self.used_at is None:
            return None
        minute = now.replace(second=0, microsecond=0)
        is_same = self.used_at >= minute
        if is_same and self.used >= SHARE * self.weight_limit:
            return minute + timedelta(minutes=1)
        return None

    def needs_limit(self, now: datetime) -> bool:
        """Return whether the host's limit should be read anew."""
        return self.limit_at is None or now - self.limit_at > LIMIT_KEPT


class Circuit(msgspec.Struct, kw_only=True):
    """One indicator's luck with its source: after each failed run its schedule waits longer.

    Attributes:
        failures: Runs failed in a row.
        since: When the first of them failed.
        last: When the last of them failed.
        error: What the last of them said.
    """

    failures: int = 0
    since: datetime | None = None
    last: datetime | None = None
    error: str = ""

    def next_try(self, cadence: timedelta) -> datetime | None:
        """Return when the schedule should ask again, None where it may now.

        One failure costs nothing; then the pause doubles from one cadence up to an hour, or
        stays at the cadence where that is longer.
        """
        if self.failures < 2 or self.last is None:
            return None
        doubled = cadence * 2.0 ** min(self.failures - 1, 12)
        return self.last + min(doubled, max(LONGEST_PAUSE, cadence))

    def failed(self, now: datetime, error: str) -> "Circuit":
        """Return what is remembered after one more failed run."""
        return Circuit(failures=self.failures + 1, since=self.since or now, last=now, error=error)


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

    def circuit(self, indicator: str) -> Circuit:
        """Return an indicator's luck so far."""
        return _load(self._folder / f"{indicator}.json", Circuit)

    def keep_circuit(self, indicator: str, circuit: Circuit) -> None:
        """Remember an indicator's luck."""
        _save(self._folder / f"{indicator}.json", circuit)


def memory_of(run_dir: Path) -> SourceMemory:
    """Return the memory of a stack."""
    return SourceMemory(run_dir / "sources")


def _load[M: HostMemory | Circuit](path: Path, kind: type[M]) -> M:
    """Return what a file holds; one that is torn or foreign is as if it were not there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return kind()


def _save(path: Path, memory: HostMemory | Circuit) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(msgspec.json.encode(memory))
    partial.replace(path)


def wall_now() -> datetime:
    """Return the wall time."""
    return datetime.now(UTC)
