"""`dolphin service meta-health`: a turn every 5 s, probes side by side with deadlines.

Running the probes and publishing belong here; scores are model/health.py's, probes the
sensors'.
"""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Final

from dolphin_realtime import grid
from dolphin_realtime.local_socket import ask
from dolphin_realtime.meta_health.reading import GridReader, Reading, Snapshot
from dolphin_realtime.meta_health.sensors.coherence import read_coherence
from dolphin_realtime.meta_health.sensors.control_plane import read_control_plane
from dolphin_realtime.meta_health.sensors.freshness import enabled_sources, read_freshness
from dolphin_realtime.meta_health.sensors.heartbeat import read_heartbeats
from dolphin_realtime.meta_health.sensors.processes import read_processes
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.health import HealthDocument, LastKnown, status_of
from dolphin_realtime.service import GRID_FAULTS, Frame, pause

TURN_S: Final = 5.0
PROBE_DEADLINE_S: Final = 3.0
WEBSERVER: Final = "dagster-webserver"
BEATING: Final = ("hazelcast", "bridge", "safety")
RUNNER_SOCKET: Final = "runner.sock"
SENSORS: Final = (
    "m1_proc",
    "m2_heartbeat",
    "m3_data_freshness",
    "m4_control_plane",
    "m5_coherence",
)


class MetaHealth:
    """The health of one stack; `turn` is one unit of work."""

    def __init__(self, frame: Frame) -> None:
        s = frame.settings
        self._frame = frame
        self._sources = enabled_sources(s.mhs_sources)
        books = ["orderbook"] if s.orderbook_ws else []
        self._expected = [*BEATING, *books, *(f"trader@{i}" for i in s.instance_names)]
        self._reader = GridReader(frame.client, s.instance_names)
        self._last = {name: LastKnown() for name in SENSORS}
        self._services: list[dict[str, Any]] | None = None

    async def run(self) -> None:
        """Look and publish until the service stops."""
        await self._reader.start()
        health = await self._frame.client.get_map(grid.META_HEALTH)
        path = self._frame.settings.home / "run_logs" / "meta_health.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        is_ready, last_status = False, None
        while not self._frame.stopping.is_set():
            document = await self.turn(datetime.now(UTC))
            text = grid.encode(document)
            partial = path.with_suffix(".part")
            partial.write_text(text)
            partial.replace(path)
            try:
                async with asyncio.timeout(1.0):
                    await health.set(grid.LATEST, text)
            except GRID_FAULTS:
                self._frame.counts["health_unsent"] += 1
            if document.status is not last_status:
                self._frame.log.info(
                    "meta_health.status", status=document.status.value, rm_meta=document.rm_meta
                )
                last_status = document.status
            self._frame.detail = f"{document.status} {document.rm_meta:.3f}"
            if not is_ready:
                self._frame.ready()
                is_ready = True
            self._frame.turn()
            await pause(self._frame.stopping, TURN_S)

    async def turn(self, now: datetime) -> HealthDocument:
        """Probe everything side by side and return the document."""
        services, snapshot, plane = await asyncio.gather(
            self._probe(asyncio.to_thread(self._ask_runner)),
            self._probe(self._reader.read()),
            self._probe(read_control_plane(self._frame.settings.hazelcast_port, self._ui_port())),
        )
        if services is not None:
            self._services = services
        readings: dict[str, Reading | None] = {
            "m1_proc": None if services is None else read_processes(services),
            "m2_heartbeat": None,
            "m3_data_freshness": None,
            "m4_control_plane": plane,
            "m5_coherence": None,
        }
        if snapshot is not None:
            readings |= self._judge(snapshot, now)
        return self._document(readings, now)

    def _judge(self, snapshot: Snapshot, now: datetime) -> dict[str, Reading | None]:
        return {
            "m2_heartbeat": read_heartbeats(snapshot, self._expected, now),
            "m3_data_freshness": read_freshness(snapshot, self._sources, now),
            "m5_coherence": read_coherence(snapshot),
        }

    async def _probe[T](self, probe: Awaitable[T]) -> T | None:
        """Return what a probe found, None where it raised or took too long: unknown."""
        try:
            async with asyncio.timeout(PROBE_DEADLINE_S):
                return await probe
        except (*GRID_FAULTS, ServiceError) as e:
            self._frame.refuse(f"probe_{type(e).__name__}", why=str(e))
            return None

    def _ask_runner(self) -> list[dict[str, Any]]:
        path = self._frame.settings.run_dir / RUNNER_SOCKET
        services: list[dict[str, Any]] = ask(path, {"do": "status"}, timeout_s=2.0)["services"]
        return services

    def _ui_port(self) -> int | None:
        """Return the webserver's port, None where none is meant to run."""
        for service in self._services or []:
            if service["name"] == WEBSERVER:
                return self._frame.settings.ui_port
        return None

    def _document(self, readings: dict[str, Reading | None], now: datetime) -> HealthDocument:
        scores = {
            name: self._last[name].take(reading.score if reading else None, now)
            for name, reading in readings.items()
        }
        product = 1.0
        for score in scores.values():
            product *= score
        processes: dict[str, dict[str, object]] = {}
        for name in ("m1_proc", "m2_heartbeat", "m4_control_plane", "m5_coherence"):
            reading = readings[name]
            for target, facts in (reading.subsystems if reading else {}).items():
                processes.setdefault(target, {}).update(facts)
        sources = readings["m3_data_freshness"]
        return HealthDocument(
            rm_meta=product,
            status=status_of(product),
            **scores,
            subsystem_health={
                "processes": processes,
                "data_sources": sources.subsystems if sources else {},
                "unknown": {n: {"since_probe": True} for n, r in readings.items() if r is None},
            },
            timestamp=now,
        )


async def run(frame: Frame) -> None:
    """Run the meta health service in its frame."""
    await MetaHealth(frame).run()
