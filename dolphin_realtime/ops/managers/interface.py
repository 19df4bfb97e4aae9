"""What a service manager can do, and how it reports a service.

Calls block, each with its own time-out; an event loop must make them in a thread.
"""

from typing import Any, Protocol

import msgspec


class ServiceStatus(msgspec.Struct, kw_only=True):
    """One service as its manager sees it.

    Attributes:
        state: waiting, starting, running, stopping, backoff, failed, stopped or done.
        since: ISO 8601 instant of the last change of state.
        age_s: Seconds since then.
        restarts: Automatic restarts by the manager.
        detail: Why it is in this state.
        said: The last status text that it sent to its manager (sd_notify's STATUS).
        is_wanted: Whether it should run; False after an operator stopped it.
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
    """The program that keeps the services of one stack running.

    Raises (every method):
        ServiceError: If the manager does not answer, refuses, or knows no such service.
    """

    name: str

    def status(self) -> list[ServiceStatus]:
        """Return every service of the stack."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return how this stack is reached, such as its ports, as far as the manager knows."""
        ...

    def start(self, service: str, *, wait: bool) -> None:
        """Start a service; with ``wait``, return when it is ready or has failed."""
        ...

    def stop(self, service: str) -> None:
        """Stop a service; it stays stopped until it is started by command."""
        ...

    def restart(self, service: str) -> None:
        """Restart a service, or start it if it does not run; return when it is ready."""
        ...

    def try_restart(self, service: str) -> None:
        """Begin to restart a running service; a stopped one stays stopped."""
        ...

    def reset_failed(self, service: str) -> None:
        """Forget its earlier starts, so that a service at its start limit may be started again."""
        ...

    def log(self, service: str, lines: int, *, follow: bool) -> None:
        """Print a service's log to standard output."""
        ...
