"""The service context of an asyncio service: stop signals, the grid, heartbeat and watchdog.

What every service does around its work belongs here; the work does not.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from hazelcast.asyncio import HazelcastClient

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import connection, maps, wire
from dolphin_realtime.grid.cluster import cluster_of
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.infra import log
from dolphin_realtime.infra.process import notify
from dolphin_realtime.model.documents import Heartbeat, Refusal
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.runtime.alert_log import Alert, AlertState, write_alert
from dolphin_realtime.runtime.metrics import Figures, serve_metrics

BEAT_S: Final = 2.0
WHY_LENGTH: Final = 200


class ServiceContext:
    """What a service's work gets: settings, a grid client, and fields to report its condition.

    Attributes:
        phase: One word for the heartbeat; "ready" when all is well.
        detail: One line for `dolphin status`.
        counts: What was refused or lost, by reason.
        refused_since: What was refused since the last good scan, by reason: how often, and why.
        figures: The Prometheus metrics.
    """

    def __init__(self, name: str, settings: Settings, client: HazelcastClient) -> None:
        self.name, self.settings, self.client = name, settings, client
        self.stopping = asyncio.Event()
        self.phase = "starting"
        self.detail = ""
        self.counts: Counter[str] = Counter()
        self.refused_since: dict[str, Refusal] = {}
        self.figures = Figures(refused=lambda: self.counts)
        self.log = log.get()

    def own_signals(self) -> None:
        """Make SIGTERM and SIGINT stop this service; a watchdog's SIGABRT kills it at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)

    def ready(self, phase: str = "ready") -> None:
        """Tell the manager that the service is ready."""
        self.phase = phase
        notify(f"READY=1\nSTATUS={phase}")

    def turn(self) -> None:
        """Ping the watchdog after a turn of the work loop; call it from that loop only."""
        notify("WATCHDOG=1")

    def set_phase(self, phase: str, **facts: object) -> None:
        """Set the phase, and log it if it changed."""
        if phase != self.phase:
            self.log.info(f"{self.name}.{phase}", **facts)
            self.phase = phase

    def count_rejection(self, reason: str, **facts: object) -> None:
        """Count a refusal, and log the first one of each reason."""
        self.counts[reason] += 1
        before = self.refused_since.get(reason)
        why = str(facts.get("why", ""))[:WHY_LENGTH]
        self.refused_since[reason] = Refusal(n=before.n + 1 if before else 1, why=why)
        if self.counts[reason] == 1:
            self.log.warning(f"{self.name}.refused", reason=reason, **facts)

    def went_well(self) -> None:
        """Note that a scan was processed: earlier refusals no longer explain a fault."""
        self.refused_since = {}

    def alert(
        self, asset: str, check: str, state: AlertState, facts: dict[str, Any], runbook: str
    ) -> bool:
        """Write an alert and return True; if that fails, count it and return False."""
        alert = Alert(
            ts=datetime.now(UTC),
            asset=asset,
            check=check,
            state=state,
            facts=facts,
            runbook=runbook,
        )
        try:
            write_alert(self.settings.home, alert)
        except OSError as e:
            self.count_rejection("alert_unwritten", why=str(e))
            return False
        return True

    def heartbeat(self) -> str:
        """Return the heartbeat document."""
        self.figures.set("ready", self.phase == "ready")
        return wire.encode(
            Heartbeat(
                ts=datetime.now(UTC),
                pid=os.getpid(),
                phase=self.phase,
                detail=self.detail,
                refused=dict(self.counts),
                refused_since=self.refused_since,
            )
        )

    async def beat(self) -> None:
        """Write the heartbeat every BEAT_S until the service stops."""
        beats = await self.client.get_map(maps.HEARTBEAT)
        while not self.stopping.is_set():
            try:
                async with asyncio.timeout(BEAT_S):
                    await beats.set(self.name, self.heartbeat())
            except GRID_FAULTS:
                self.counts["heartbeat_lost"] += 1
            await pause(self.stopping, BEAT_S)
        self.phase = maps.STOPPED
        with suppress(*GRID_FAULTS):  # if it is lost, the age of the last heartbeat shows the stop
            async with asyncio.timeout(BEAT_S):
                await beats.set(self.name, self.heartbeat())


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep for ``seconds`` or until the service stops."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


async def connect_or_refuse(settings: Settings, role: str) -> HazelcastClient:
    """Return a grid client that reconnects for ever, once the grid has answered a first time.

    Raises:
        GridError: If no member of the cluster answers within ``grid_timeout_s``.
    """
    loop, cluster = asyncio.get_running_loop(), cluster_of(settings)
    deadline = loop.time() + settings.grid_timeout_s
    while True:
        try:
            probe = await asyncio.to_thread(connection.connect_blocking, cluster, role)
        except GridError:
            if loop.time() > deadline:
                raise
            continue
        await asyncio.to_thread(probe.shutdown)
        return await connection.connect(cluster, role)


async def serve_without_grid(
    name: str, settings: Settings, work: Callable[[ServiceContext], Awaitable[None]]
) -> None:
    """Run the work of a service that needs no grid; it writes heartbeats while the grid is up."""
    context = ServiceContext(name, settings, None)  # the client comes once there is a grid
    await _work_and_beat(context, work, _beat_when_there(context))


async def _work_and_beat(
    context: ServiceContext,
    work: Callable[[ServiceContext], Awaitable[None]],
    beat: Coroutine[None, None, None],
) -> None:
    """Run the work until it ends or SIGTERM comes, and the heartbeats as long."""
    context.own_signals()
    _serve_figures(context)
    beating = asyncio.create_task(beat)
    try:
        await work(context)
    finally:
        context.stopping.set()
        notify("STOPPING=1")
        await asyncio.gather(beating, return_exceptions=True)


async def _beat_when_there(context: ServiceContext) -> None:
    while not context.stopping.is_set():
        try:
            context.client = await connect_or_refuse(context.settings, context.name)
        except GridError:
            await pause(context.stopping, BEAT_S)
            continue
        try:
            await context.beat()
        finally:
            await context.client.shutdown()


def _serve_figures(context: ServiceContext) -> None:
    without = serve_metrics(context.settings, context.name, context.figures)
    if without is not None:
        context.count_rejection("metrics_unserved", why=without)


async def serve(
    name: str, settings: Settings, work: Callable[[ServiceContext], Awaitable[None]]
) -> None:
    """Run a service's work until SIGTERM and write its heartbeats meanwhile.

    Raises:
        GridError: If the grid does not answer at the start.
    """
    client = await connect_or_refuse(settings, name)
    context = ServiceContext(name, settings, client)
    try:
        await _work_and_beat(context, work, context.beat())
    finally:
        await client.shutdown()
