"""The lifecycle of one service under the local runner, with systemd's semantics.

READY and WATCHDOG over NOTIFY_SOCKET, a pause before a restart, a start limit, TERM then KILL to
the process group, death with the runner. The list of services does not belong here.
"""

import asyncio
import os
import signal
import socket
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.infra.notify_socket import messages, notify_socket
from dolphin_realtime.infra.ports import answers
from dolphin_realtime.infra.process import die_with_parent
from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.ops.runner.services import Spec

LOG_MAX_BYTES: Final = 20_000_000
PROBE_S: Final = 0.2
WATCH_S: Final = 1.0
LEAP_S: Final = 4.0  # a wake-up this much too late means that the machine was suspended


class StartLimits:
    """Restart policy: the pause before a restart, and the start limit (burst and interval)."""

    def __init__(self, pause_s: float, burst: int, interval_s: float) -> None:
        self.pause_s, self.burst, self.interval_s = pause_s, burst, interval_s


class Managed:
    """A service and its process.

    Attributes:
        state: stopped, waiting, starting, running, done, stopping, backoff or failed.
        restarts: Automatic restarts.
        is_wanted: Whether it should run; False after an operator stopped it.
    """

    def __init__(self, spec: Spec, env: dict[str, str], log_dir: Path, limits: StartLimits) -> None:
        self.spec, self._env, self._limits = spec, env, limits
        self.log_path = log_dir / f"{spec.name}.log"
        self.state, self.detail, self.said = "waiting", "", ""
        self.since, self._since_s = datetime.now(UTC), time.monotonic()
        self.restarts = 0
        self.is_wanted = True
        self.ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._starts: deque[float] = deque()
        self._last_ping = 0.0
        self._stopping = asyncio.Event()
        self._changing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._notify = self._notify_socket()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    def describe(self) -> ServiceStatus:
        """Return its status."""
        return ServiceStatus(
            name=self.spec.name,
            state=self.state,
            pid=self.pid,
            since=self.since.isoformat(),
            age_s=time.monotonic() - self._since_s,
            restarts=self.restarts,
            rss_mb=_rss_mb(self.pid),
            detail=self.detail,
            said=self.said,
            is_wanted=self.is_wanted,
        )

    def start(self) -> None:
        """Keep the service running from now on; counts against the start limit."""
        if self._task is not None and not self._task.done():
            return
        self.is_wanted = True
        self._stopping.clear()
        self._task = asyncio.get_running_loop().create_task(self._keep_running())

    def reset_failed(self) -> None:
        """Forget earlier starts; a service at its start limit then counts as stopped."""
        self._starts.clear()
        if self.state == "failed":
            self._set("stopped")

    async def stop(self) -> None:
        """Stop the service and keep it stopped."""
        self.is_wanted = False
        async with self._changing:
            await self._end_task()
            self._set("stopped")

    async def restart(self) -> None:
        """Stop the service and start it again, unless it is stopped by command meanwhile."""
        self.is_wanted = True
        async with self._changing:
            await self._end_task()
            if self.is_wanted:
                self.start()

    async def start_after_stop(self) -> None:
        """Start the service, once a stop that is under way has ended."""
        async with self._changing:
            self.start()

    async def came_up(self) -> None:
        """Return when it is ready, has ended for good, or its start time-out is over."""
        ready = asyncio.create_task(self.ready.wait())
        waited_for = {ready} if self._task is None else {ready, self._task}
        await asyncio.wait(
            waited_for, timeout=self.spec.start_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        ready.cancel()

    def close(self) -> None:
        """Close the socket that the service notifies."""
        asyncio.get_running_loop().remove_reader(self._notify)
        self._notify.close()

    async def _end_task(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    def _set(self, state: str, detail: str = "") -> None:
        if state != self.state:
            self.since, self._since_s = datetime.now(UTC), time.monotonic()
        self.state, self.detail = state, detail

    async def _keep_running(self) -> None:
        while not self._stopping.is_set():
            now = time.monotonic()
            while self._starts and now - self._starts[0] > self._limits.interval_s:
                self._starts.popleft()
            if len(self._starts) >= self._limits.burst:
                limit = f"{self._limits.burst} starts in {self._limits.interval_s:.0f} s"
                self._set("failed", f"start limit: {limit}; see dolphin logs {self.spec.name}")
                self._note("manager.gave_up", limit=limit)
                return
            self._starts.append(now)
            try:
                ended: int | str = await self._run_once()
            except OSError as e:
                ended = f"no process: {e}"
            if self._stopping.is_set() or (self.spec.ready == "exit" and ended == 0):
                self._set("done" if ended == 0 and self.spec.ready == "exit" else "stopped")
                return
            self.restarts += 1
            why = f"{self.detail}; " if self.detail else ""
            self._note("manager.starts_again", ended=ended, why=self.detail)
            self._set("backoff", f"{why}ended with {ended}, starts again")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.pause_s):
                    await self._stopping.wait()

    async def _run_once(self) -> int:
        """Start the process, wait for readiness, watch it; return its exit code."""
        self._set("starting")
        self.said = ""
        self.ready.clear()
        with self._open_log() as log:
            self._process = process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env | {"NOTIFY_SOCKET": "@" + self._notify_name},
                start_new_session=True,
                preexec_fn=self._before_exec,
            )
        self._last_ping = time.monotonic()
        watching = asyncio.create_task(self._watch(process))
        stopping = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(process.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            self._set("stopping")
            await self._end(process)
        watching.cancel()
        stopping.cancel()
        self._kill_group(process.pid)
        code = await ended
        if self.spec.ready == "exit" and code == 0:
            self.ready.set()
        elif self.ready.is_set():
            self.ready.clear()
        return code

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill the process if it is not ready in time, or later if its watchdog pings stop."""
        deadline = time.monotonic() + self.spec.start_timeout_s
        while not self.ready.is_set():
            if await self._is_ready():
                self._on_ready()
            elif time.monotonic() > deadline:
                self.detail = f"not ready within {self.spec.start_timeout_s:.0f} s"
                self._kill_group(process.pid)
                return
            else:
                await asyncio.sleep(PROBE_S)
        while self.spec.watchdog_s:
            looked = time.monotonic()
            await asyncio.sleep(WATCH_S)
            slept_s = time.monotonic() - looked
            if slept_s > WATCH_S + LEAP_S:  # the machine was suspended: the service was not silent
                self._last_ping += slept_s
            silent_s = time.monotonic() - self._last_ping
            if silent_s > self.spec.watchdog_s:
                self.detail = f"watchdog: silent for {silent_s:.0f} s"
                self._kill_group(process.pid)
                return

    async def _is_ready(self) -> bool:
        kind = self.spec.ready
        if kind in ("notify", "exit"):
            return False
        if kind == "started":
            return True
        return await asyncio.to_thread(answers, self.spec.port, "" if kind == "port" else kind)

    def _on_ready(self) -> None:
        self._last_ping = time.monotonic()
        self._set("running")
        self.ready.set()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.spec.stop_timeout_s):
                await process.wait()
        self._kill_group(process.pid)

    def _before_exec(self) -> None:
        die_with_parent()
        os.nice(self.spec.niceness)

    def _kill_group(self, pid: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def _open_log(self) -> Any:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        return self.log_path.open("ab")

    def _note(self, event: str, **facts: object) -> None:
        """Log an act of the manager in the service's log: a killed service cannot do it."""
        line = {"event": event, "service": self.spec.name, **facts}
        line["timestamp"] = datetime.now(UTC).isoformat()
        with suppress(OSError), self._open_log() as log:
            log.write(msgspec.json.encode(line) + b"\n")

    def trim_log(self) -> None:
        """Bound the log: above 20 MB, move it to the one old log and start empty."""
        with suppress(OSError):
            if self.log_path.stat().st_size > LOG_MAX_BYTES:
                old = self.log_path.with_suffix(".old.log")
                old.write_bytes(self.log_path.read_bytes())
                os.truncate(self.log_path, 0)

    def _notify_socket(self) -> socket.socket:
        self._notify_name = f"dolphin/{os.getpid()}/{self.spec.name}"
        s = notify_socket(self._notify_name)
        asyncio.get_running_loop().add_reader(s, self._on_notify)
        return s

    def _on_notify(self) -> None:
        for message in messages(self._notify):
            if "WATCHDOG=1" in message:
                self._last_ping = time.monotonic()
            if "READY=1" in message and not self.ready.is_set():
                self._on_ready()
            for line in message:
                if line.startswith("STATUS="):
                    self.said = line.removeprefix("STATUS=")


def _rss_mb(pid: int | None) -> float | None:
    if pid is None:
        return None
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
