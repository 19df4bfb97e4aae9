"""What a service manager can do, and how it tells of a service.

Calls block, each within its own time: an event loop makes them in a thread.
"""

from typing import Any, Protocol

import msgspec


class ServiceStatus(msgspec.Struct, kw_only=True):
    """One service as its manager sees it.

    Attributes:
        state: waiting, starting, running, stopping, backoff, failed, stopped or done.
        since: ISO 8601 instant of the last change of state.
        age_s: Seconds since then.
        restarts: Starts that nobody asked for.
        detail: Why it is in this state.
        said: What it last told its manager of itself (sd_notify's STATUS).
        is_wanted: Whether it is meant to run; an operator's stop says no.
    """

    name: str
    state: str
    pid: int | None
    since: str
    age_s: float
    restarts: int
    rss_mb: float | None = None
    detail: str = ""
    said: str = ""
    is_wanted: bool = True


class ServiceManager(Protocol):
    """Who keeps the services of one stack running.

    Raises (every method):
        ServiceError: If the manager does not answer, refuses, or knows no such service.
    """

    name: str

    def status(self) -> list[ServiceStatus]:
        """Return every service that is meant to be there."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what reaches this stack and no other: its ports, where the manager knows them."""
        ...

    def start(self, service: str, *, wait: bool) -> None:
        """Start a service; with ``wait``, return when it is ready or has failed."""
        ...

    def stop(self, service: str) -> None:
        """Stop a service; it stays stopped until somebody starts it."""
        ...

    def restart(self, service: str) -> None:
        """Stop it and start it again, whether it ran or not; return when it is ready."""
        ...

    def try_restart(self, service: str) -> None:
        """Begin to restart a service that runs; one that was stopped is left alone."""
        ...

    def reset_failed(self, service: str) -> None:
        """Forget its starts so far: a service that hit the start limit may be started again."""
        ...

    def log(self, service: str, lines: int, *, follow: bool) -> None:
        """Print a service's log to standard output."""
        ...
