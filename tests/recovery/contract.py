"""What a service manager owes the stack, the same under systemd and under the local runner.

Each function is a test's body over a `Host`: a stack kept by one of the two managers.
"""

import signal
from typing import Protocol

from tests.integration.conftest import eventually


class Host(Protocol):
    """A running stack, whoever keeps it."""

    def pid(self, service: str) -> int:
        """Return its main process, 0 while it has none."""

    def state(self, service: str) -> str:
        """Return the manager's word for it: running, backoff, failed, stopped, …"""

    def kill(self, service: str, number: signal.Signals) -> None:
        """Send its main process a signal."""

    def manage(self, verb: str, service: str) -> None:
        """Do as meta health would: reset_failed, try_restart or start."""

    def command(self, verb: str, service: str) -> None:
        """Do as an operator would: `dolphin start/stop/restart`."""

    def trades_on(self) -> None:
        """Return once new scans are carried and entries are allowed."""

    def events(self, service: str) -> list[str]:
        """Return what the recovery ledger holds of a service."""

    def turns(self, n: int) -> None:
        """Return after so many turns of meta health."""


def comes_back(host: Host, service: str, pid: int, timeout_s: float = 60) -> None:
    eventually(lambda: host.pid(service) not in (0, pid), timeout_s, f"a new {service}")
    eventually(lambda: host.state(service) == "running", timeout_s, f"readiness of {service}")


def killed_it_comes_back(
    host: Host, service: str, bystander: str, number: signal.Signals = signal.SIGKILL
) -> None:
    pid, other = host.pid(service), host.pid(bystander)
    host.kill(service, number)
    comes_back(host, service, pid)
    host.trades_on()
    assert host.pid(bystander) == other
    assert host.events(service) == [], "its manager did it, meta health did not"


def stopped_it_meets_the_watchdog(host: Host, service: str) -> None:
    pid = host.pid(service)
    host.kill(service, signal.SIGSTOP)
    comes_back(host, service, pid)
    host.trades_on()
    assert host.events(service) == []


def restarts_of_meta_health_leave_nothing_at_its_limit(host: Host, service: str) -> None:
    for _ in range(4):
        pid = host.pid(service)
        host.manage("reset_failed", service)
        host.manage("try_restart", service)
        comes_back(host, service, pid)
    host.trades_on()


def crash_to_its_limit(host: Host, service: str) -> None:
    host.manage("reset_failed", service)
    while host.state(service) != "failed":
        pid = host.pid(service)
        host.kill(service, signal.SIGKILL)
        eventually(
            lambda pid=pid: host.pid(service) not in (0, pid) or host.state(service) == "failed",
            30,
            "a restart or its refusal",
        )


def at_its_limit_it_is_started_again_and_verified(host: Host, service: str) -> None:
    crash_to_its_limit(host, service)
    eventually(lambda: host.state(service) == "running", 60, "the recovery")
    eventually(lambda: host.events(service) == ["acts", "cured"], 60, lambda: host.events(service))
    host.trades_on()


def stopped_by_an_operator_it_is_left_alone(host: Host, service: str) -> None:
    host.command("stop", service)
    host.turns(12)
    assert host.state(service) == "stopped"
    assert host.events(service) == []
    host.command("start", service)
    host.trades_on()
