"""`dolphin up`: all services of a stack, started in order, kept running, stopped in reverse.

The order, the control socket and the guarantees (one copy, no orphans) belong here; the lifecycle
of one service belongs in managed.py.
"""

import asyncio
import fcntl
import hashlib
import os
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from dolphin_realtime.config.services import HAZELCAST
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.local_socket import serve_json
from dolphin_realtime.infra.ports import is_free, owner_of
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.ops import firewall
from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.ops.managers.local import SOCKET
from dolphin_realtime.ops.runner import orphan_reaper, services
from dolphin_realtime.ops.runner.managed import Managed, StartLimits

LOCK: Final = "runner.lock"
LOG_CHECK_S: Final = 30.0


def stack_mark(home: Path) -> str:
    """Return the prefix of the mark of every process of a stack with this home."""
    return hashlib.sha256(str(home).encode()).hexdigest()[:16]


class Runner:
    """The services of one DOLPHIN_HOME.

    Attributes:
        ending: Set by a signal or `dolphin down` to request the end; the runner's owner then sets
            ``stopping``.

    Raises:
        ServiceError: If a stack of this home runs already, or a port is taken.
    """

    def __init__(self, settings: Settings, *, is_demo: bool, with_dagster: bool) -> None:
        self.settings = settings
        settings.run_dir.mkdir(parents=True, exist_ok=True)
        self._lock = self._only_one()
        self._mark = f"{stack_mark(settings.home)}-{uuid.uuid4().hex}"
        orphan_reaper.sweep(stack_mark(settings.home))
        specs = services.table(settings, is_demo=is_demo, with_dagster=with_dagster)
        self._refuse_taken_ports(specs)
        services.workspace_file(settings).write_text(services.render_workspace(settings))
        if services.has_own_instance(settings):
            folder = services.instance_folder(settings)
            folder.mkdir(exist_ok=True)
            (folder / "dagster.yaml").write_text(services.render_instance(settings))
        env = services.environment(settings, dict(os.environ)) | {orphan_reaper.MARK: self._mark}
        limits = StartLimits(
            settings.restart_pause_s, settings.start_limit_burst, settings.start_limit_interval_s
        )
        log_dir = settings.home / "logs"
        self.managed = {s.name: Managed(s, env, log_dir, limits) for s in specs}
        self.ending = asyncio.Event()
        self.stopping = asyncio.Event()
        self._restarting: set[asyncio.Task[None]] = set()
        self._table = f"{firewall.UNITS}_{stack_mark(settings.home)}"
        self._sweeper = self._start_sweeper()

    def _only_one(self) -> TextIO:
        lock = (self.settings.run_dir / LOCK).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            lock.close()
            raise ServiceError(
                f"a stack already runs in {self.settings.home}; see dolphin status, stop it with "
                "dolphin down, or set DOLPHIN_HOME and the ports for a second one"
            ) from e
        return lock

    def _refuse_taken_ports(self, specs: list[services.Spec]) -> None:
        for spec in specs:
            if spec.port and not is_free(spec.port):
                raise ServiceError(
                    f"port {spec.port} on 127.0.0.1, needed by {spec.name}, is held by "
                    f"{owner_of(spec.port)}; stop it, or set another port (docs/settings.md)"
                )

    def _start_sweeper(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(orphan_reaper.__file__)), self._mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    async def run(self) -> None:
        """Start everything in order and keep it running until `stopping` is set."""
        server = await serve_json(self.settings.run_dir / SOCKET, self._handle)
        has_firewall = await asyncio.to_thread(self._guard_ports)
        starting = asyncio.create_task(self._start_all())
        trimming = asyncio.create_task(self._trim_logs())
        try:
            await self.stopping.wait()
        finally:
            starting.cancel()
            trimming.cancel()
            await asyncio.gather(starting, trimming, return_exceptions=True)
            await self._stop_all()
            if has_firewall:
                with suppress(ServiceError):  # whoever flushed the rules removed them
                    await asyncio.to_thread(firewall.unload, self._table)
            for managed in self.managed.values():
                managed.close()
            server.close()
            with suppress(OSError):
                (self.settings.run_dir / SOCKET).unlink()
            if self._sweeper.stdin is not None:
                self._sweeper.stdin.close()
            await asyncio.to_thread(self._sweeper.wait)
            self._lock.close()

    def _guard_ports(self) -> bool:
        """Keep other users from the ports if this process may; return whether it does."""
        if self.settings.firewall == "off" or not firewall.can_load():
            return False
        try:
            firewall.load(self._table, self.settings, firewall.users_of({os.geteuid()}))
        except ServiceError as e:  # a container may lack the right
            print(f"dolphin: no firewall: {e}", file=sys.stderr)  # noqa: T201
            return False
        return True

    async def _start_all(self) -> None:
        await asyncio.gather(*(self._start_after(m) for m in self.managed.values()))

    async def _start_after(self, managed: Managed) -> None:
        for name in managed.spec.waits_for:
            await self.managed[name].ready.wait()
        if not self.stopping.is_set() and managed.is_wanted:
            managed.start()

    async def _stop_all(self) -> None:
        """Stop all services together, and Hazelcast after them."""
        for managed in self.managed.values():
            managed.is_wanted = False
        for group in self._stop_groups():
            await asyncio.gather(*(m.stop() for m in group), return_exceptions=True)

    def _stop_groups(self) -> list[list[Managed]]:
        dagster = [m for n, m in self.managed.items() if n.startswith("dagster")]
        last = [m for n, m in self.managed.items() if n == HAZELCAST]
        rest = [m for m in self.managed.values() if m not in dagster and m not in last]
        return [dagster + rest, last]

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            for managed in self.managed.values():
                await asyncio.to_thread(managed.trim_log)

    def status(self) -> list[ServiceStatus]:
        """Return every service of the stack, without finished set-up steps."""
        return [m.describe() for m in self.managed.values() if m.state != "done"]

    def _facts(self) -> dict[str, Any]:
        """Return what a command needs to reach exactly this stack."""
        s = self.settings
        names = ("ui_port", "viewer_port", "hazelcast_port", "cluster_name", "grid_members",
                 "grid_bind", "alerts_file")  # fmt: skip
        return {**{name: getattr(s, name) for name in names}, "pid": os.getpid()}

    async def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        do, name = request.get("do"), str(request.get("name", ""))
        if do == "status":
            services = msgspec.to_builtins(self.status())
            return {"ok": True, "services": services, "facts": self._facts()}
        if do == "down":
            self.ending.set()
            return {"ok": True}
        if do not in ("start", "stop", "restart", "try-restart", "reset-failed"):
            return {"ok": False, "error": f"unknown request {do!r}"}
        managed = self.managed.get(name)
        if managed is None:
            known = ", ".join(self.managed)
            return {"ok": False, "error": f"no service {name!r}; known: {known}"}
        await self._control(do, managed, wait=bool(request.get("wait", True)))
        return {"ok": True, "state": managed.state}

    async def _control(self, do: str, managed: Managed, *, wait: bool) -> None:
        if do == "reset-failed":
            managed.reset_failed()
        elif do == "stop":
            await managed.stop()
        elif do == "try-restart":
            if managed.is_wanted and managed.state == "running" and not self.stopping.is_set():
                self._restarting.add(task := asyncio.create_task(managed.restart()))
                task.add_done_callback(self._restarting.discard)
        else:
            if do == "restart":
                await managed.restart()
            else:
                await managed.start_after_stop()
            if wait:
                await managed.came_up()
