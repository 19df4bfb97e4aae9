"""One member as a child process: start it, wait until it is ready, stop it cleanly.

It dies with the process that started it. The configuration belongs in config.py, the jar in
jar.py.
"""

import signal
import subprocess
import time
from pathlib import Path
from typing import IO, Final

from dolphin_realtime.grid.member.class_archive import ClassArchive
from dolphin_realtime.grid.member.config import MemberConfig, command_line, render_config
from dolphin_realtime.grid.member.jar import ensure_jar
from dolphin_realtime.grid.member.java import find_java
from dolphin_realtime.infra.ports import LOOPBACK, answers, is_free, owner_of
from dolphin_realtime.infra.process import die_with_parent
from dolphin_realtime.model.errors import MemberError

ANSWERS: Final = "the member answers"
"""Status text of this service while its member answers; meta health reads it from the manager."""

READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 25.0
DEAF_STOP_S: Final = 3.0
"""Time to stop for a member that does not answer: it would not shut down cleanly either."""
STOPPED: Final = (0, 128 + signal.SIGTERM)
"""Exit codes of a JVM that ended by itself after SIGTERM."""
_POLL_TIMEOUT_S: Final = 0.15


def is_ready(port: int, timeout_s: float = _POLL_TIMEOUT_S, host: str = LOOPBACK) -> bool:
    """Return whether a member on a port says it is ready.

    Its port opens seconds before that; a request sent then hangs, hence the short timeout.
    """
    return answers(port, "/hazelcast/health/ready", timeout_s, host)


def refuse_taken_port(port: int, host: str = LOOPBACK) -> None:
    """Raise if something already listens on the port, or the address is none of this machine.

    Raises:
        MemberError: Naming the port and its owner.
    """
    if not is_free(port, host):
        raise MemberError(
            f"port {port} on {host} is held by {owner_of(port)}; stop it, or set "
            "DOLPHIN_HAZELCAST_PORT to another"
        )


class Member:
    """A running member; `start` returns once it is ready."""

    def __init__(self, config: MemberConfig, output: IO[bytes] | None) -> None:
        self.port, self._config, self._output = config.port, config, output
        self._jvm: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the JVM, None before the start."""
        return self._jvm.pid if self._jvm else None

    def start(self, jar: str = "", maven_base: str = "", java: str = "") -> None:
        """Start the member and return when it is ready.

        Raises:
            MemberError: If the jar or a Java is missing, the port is taken, or the member
                exits or is not ready in time.
        """
        refuse_taken_port(self.port, self._config.bind)
        jar_path = ensure_jar(jar, maven_base)
        java_path, major = find_java(java)
        self._archive = ClassArchive(jar_path, java_path, self._config.run_dir)
        flags, heap = self._archive.flags(), self._config.heap_mb
        self._jvm = subprocess.Popen(
            command_line(java_path, major, jar_path, self._write_config(), flags, heap),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.is_ready():
            if self._jvm.poll() is not None:
                raise MemberError(
                    f"the member exited with {self._jvm.returncode} before it was ready"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise MemberError(f"the member was not ready within {READY_TIMEOUT_S:.0f} s")
            time.sleep(0.02)

    def _write_config(self) -> Path:
        path = self._config.run_dir / "hazelcast.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render_config(self._config))
        return path

    def is_ready(self, timeout_s: float = _POLL_TIMEOUT_S) -> bool:
        """Return whether it says it is ready."""
        return is_ready(self.port, timeout_s, self._config.bind)

    def exit_code(self) -> int | None:
        """Return the JVM's exit code, None while it runs."""
        return self._jvm.poll() if self._jvm else None

    def stop(self) -> None:
        """Stop the member: TERM, and KILL if it does not end."""
        if self._jvm is None:
            return
        if self._jvm.poll() is not None:
            self._archive.keep(is_whole=False)
            return
        timeout_s = STOP_TIMEOUT_S if self.is_ready(1.0) else DEAF_STOP_S
        self._jvm.send_signal(signal.SIGTERM)
        try:
            self._jvm.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._jvm.kill()
            self._jvm.wait()
        self._archive.keep(is_whole=self._jvm.returncode in STOPPED)
