"""The local runner (`dolphin up`) as a service manager, over its 0600 socket."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.infra.local_socket import ask
from dolphin_realtime.model.errors import ServiceError, SettingsError
from dolphin_realtime.ops.managers.interface import ServiceStatus

SOCKET: Final = "runner.sock"
QUICK_S: Final = 2.0
START_S: Final = 400.0


class LocalManager:
    """The runner of one DOLPHIN_HOME."""

    name = "local runner"

    def __init__(self, home: Path) -> None:
        self._home = home

    @property
    def socket(self) -> Path:
        """Where the runner listens."""
        return self._home / "run" / SOCKET

    def request(self, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """Send one request and return its answer.

        Raises:
            ServiceError: If no runner answers, or it refuses.
        """
        answer = ask(self.socket, fields, timeout_s)
        if not answer.get("ok"):
            raise ServiceError(str(answer.get("error")))
        return answer

    def status(self) -> list[ServiceStatus]:
        """Return every service of the stack."""
        services = self.request(QUICK_S, do="status")["services"]
        return msgspec.convert(services, list[ServiceStatus])

    def facts(self) -> dict[str, Any]:
        """Return the runner's process id and the stack's ports."""
        facts: dict[str, Any] = self.request(QUICK_S, do="status")["facts"]
        return facts

    def start(self, service: str, *, wait: bool) -> None:
        """Start a service."""
        self.request(START_S, do="start", name=service, wait=wait)

    def stop(self, service: str) -> None:
        """Stop a service and keep it stopped."""
        self.request(START_S, do="stop", name=service)

    def restart(self, service: str) -> None:
        """Stop a service and start it again."""
        self.request(START_S, do="restart", name=service)

    def try_restart(self, service: str) -> None:
        """Begin to restart a service that should run."""
        self.request(QUICK_S, do="try-restart", name=service)

    def reset_failed(self, service: str) -> None:
        """Forget a service's earlier starts."""
        self.request(QUICK_S, do="reset-failed", name=service)

    def down(self) -> int:
        """Ask the runner to end; return its process id."""
        pid: int = self.facts()["pid"]
        self.request(QUICK_S, do="down")
        return pid

    def log(self, service: str, lines: int, *, follow: bool) -> None:
        """Print a service's log file.

        Raises:
            SettingsError: If there is no log of that name.
        """
        path = self._home / "logs" / f"{service}.log"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.log"))) or "none yet"
            raise SettingsError(f"no log of a service {service!r} in {path.parent}; known: {known}")
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with path.open(errors="replace") as f:
            sys.stdout.write("".join(f.readlines()[-lines:]))
            while follow:
                chunk = f.read()
                if chunk:
                    sys.stdout.write(chunk)
                    sys.stdout.flush()
                    continue
                time.sleep(0.2)
                if f.tell() > os.fstat(f.fileno()).st_size:
                    f.seek(0)
