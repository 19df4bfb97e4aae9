"""A stack of its own for a measurement: `dolphin up` in a temporary home, on free ports."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dolphin_realtime.infra.local_socket import ask
from dolphin_realtime.infra.process import die_with_parent
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.ops.managers.local import SOCKET, LocalManager

START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 60.0
FIRST_CHECKS: Final = ("bridge:is_alive", "calendar_factors:document_is_whole")
"""Checks that have a result once the sensors and the first runs are done."""


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def wait_for(is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return once ``is_so`` returns True.

    Raises:
        ServiceError: If it does not within ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise ServiceError(f"{what} did not happen within {timeout_s:.0f} s")
        time.sleep(0.05)


class Stack:
    """`dolphin up` as a child process; a context manager that leaves nothing behind.

    Only a demo asks sources of factors, which are replayed.

    Attributes:
        home: Its DOLPHIN_HOME.
        port: Its Hazelcast port.
        within: A command that it is started by, e.g. in a network namespace.
    """

    within: tuple[str, ...] = ()

    def __init__(self, home: Path, *options: str, **settings: object) -> None:
        self.home, self.port = home, free_port()
        self.ui_port, self.code_port = free_port(), free_port()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
        kept = {
            k: os.environ[k] for k in ("DOLPHIN_HAZELCAST_JAR", "DOLPHIN_JAVA") if k in os.environ
        }
        own = {
            "DOLPHIN_HOME": str(home),
            "DOLPHIN_HAZELCAST_PORT": str(self.port),
            "DOLPHIN_UI_PORT": str(self.ui_port),
            "DOLPHIN_CODE_PORT": str(self.code_port),
        }
        own["DOLPHIN_METRICS_PORT"] = "0"
        if "--demo" not in options:
            own["DOLPHIN_SOURCE_OFF"] = "all"
        given = {f"DOLPHIN_{name.upper()}": str(value) for name, value in settings.items()}
        self.env = inherited | kept | own | given
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the runner."""
        if self._process is None:
            raise ServiceError("the stack was not started")
        return self._process.pid

    def __enter__(self) -> Self:
        """Start it and return once every service runs."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def start(self) -> None:
        """Start the runner and wait until every service runs.

        Raises:
            ServiceError: If a service fails, or is not ready in time.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        up = [sys.executable, "-m", "dolphin_realtime.cli", "up", *self._options]
        command = [*self.within, *up]
        with (self.home / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        wait_for(self._is_up, START_TIMEOUT_S, "the start of the stack")

    def _is_up(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise ServiceError(f"dolphin up ended: {(self.home / 'up.log').read_text()[-2000:]}")
        try:
            states = {s.name: s.state for s in self.services()}
        except ServiceError:
            return False
        failed = [name for name, state in states.items() if state == "failed"]
        if failed:
            log = (self.home / "logs" / f"{failed[0]}.log").read_text(errors="replace")
            raise ServiceError(f"{failed[0]} failed: {log[-2000:]}")
        return all(state == "running" for state in states.values())

    def request(self, **fields: Any) -> dict[str, Any]:
        """Send one request to the runner and return its answer."""
        return ask(self.home / "run" / SOCKET, fields, timeout_s=60.0)

    def services(self) -> list[ServiceStatus]:
        """Return the state of every service."""
        return LocalManager(self.home).status()

    def service(self, name: str) -> ServiceStatus:
        """Return the state of one service."""
        return next(s for s in self.services() if s.name == name)

    def settle(self, timeout_s: float = 240.0) -> None:
        """Return once a demo's first runs are over, no run is open, and every check is green.

        Raises:
            ServiceError: With what is red, if that takes longer than ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        while red := self._unsettled():
            if time.monotonic() > deadline:
                raise ServiceError(f"not settled after {timeout_s:.0f} s: {', '.join(red)}")
            time.sleep(0.2)

    def _unsettled(self) -> list[str]:
        try:
            if dagster_api.has_open_runs(self.ui_port):
                return ["a run is queued or running"]
            states = dagster_api.check_states(self.ui_port)
        except ServiceError as e:
            return [str(e)]
        unseen = [f"{name} not yet" for name in FIRST_CHECKS if name not in states]
        return dagster_api.red_of(states) or unseen

    def stop(self) -> None:
        """Stop it cleanly; kill it if that takes too long."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()
