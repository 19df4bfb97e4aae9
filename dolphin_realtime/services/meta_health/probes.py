"""The probes of one turn: all run concurrently, each with a deadline; a failed one is unknown.

Probing belongs here; the sensors turn answers into scores, evaluator.py debounces them.
"""

import asyncio
import time
from collections.abc import Awaitable
from datetime import datetime
from typing import Final

import msgspec

from dolphin_realtime.config.services import watched
from dolphin_realtime.model.health.recovery import HAZELCAST, WEBSERVER
from dolphin_realtime.ops.managers.interface import ServiceManager, ServiceStatus
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.meta_health.reading import GridReader, Reading, Snapshot
from dolphin_realtime.services.meta_health.sensors.coherence import read_coherence
from dolphin_realtime.services.meta_health.sensors.control_plane import (
    cross_check,
    read_code,
    read_control_plane,
)
from dolphin_realtime.services.meta_health.sensors.freshness import read_freshness, sources_of
from dolphin_realtime.services.meta_health.sensors.heartbeat import read_heartbeats
from dolphin_realtime.services.meta_health.sensors.processes import read_processes

PROBE_DEADLINE_S: Final = 3.0
CODE_EVERY_S: Final = 15.0
NOT_YET: Final = ("waiting", "starting")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one turn; ``services`` is None if the manager did not answer."""

    services: list[ServiceStatus] | None
    readings: dict[str, Reading]


class Probes:
    """All probes of meta health."""

    def __init__(self, context: ServiceContext, manager: ServiceManager) -> None:
        s = context.settings
        self._context, self._manager = context, manager
        self.sources = sources_of(s)
        self.watched = watched(s)
        self._reader = GridReader(context.client, s.instance_names)
        self._last_services: list[ServiceStatus] = []
        self._last_coherence = Reading(scores={})
        self._code_at, self._last_code = -CODE_EVERY_S, Reading(scores={})

    async def start(self) -> None:
        """Create the grid's proxies."""
        await self._reader.start()

    async def probe_all(self, now: datetime, *, grid_is_young: bool) -> Look:
        """Run all probes concurrently.

        Args:
            now: Wall time.
            grid_is_young: Whether the grid came up just now: an absent document is then unknown,
                not missing.
        """
        services, snapshot, plane = await asyncio.gather(
            self._probe("manager", asyncio.to_thread(self._manager.status)),
            self._probe("grid", self._reader.read()),
            self._probe("ports", self._ports()),
        )
        if services is not None:
            self._last_services = services
        m1 = read_processes(services or self._last_services, self.watched)
        if services is None:
            m1 = m1.unknown(f"the {self._manager.name} does not answer")
        m4 = plane or Reading(scores={HAZELCAST: None})
        m4 = cross_check(m4, services)
        readings = {"m1_proc": m1, "m4_control_plane": m4}
        can_read = snapshot is not None and m4.scores.get(HAZELCAST) == 1.0
        through = self._judge(snapshot or Snapshot(), now, grid_is_young=grid_is_young)
        if can_read:
            self._last_coherence = through["m5_coherence"]
        else:
            through["m5_coherence"] = self._last_coherence
            through = {k: v.unknown("Hazelcast does not answer") for k, v in through.items()}
        return Look(services=services, readings=readings | through)

    def _judge(
        self, snapshot: Snapshot, now: datetime, *, grid_is_young: bool
    ) -> dict[str, Reading]:
        return {
            "m2_heartbeat": read_heartbeats(snapshot, self.watched, now, is_young=grid_is_young),
            "m3_data_freshness": read_freshness(
                snapshot, self.sources, now, is_young=grid_is_young
            ),
            "m5_coherence": read_coherence(snapshot),
        }

    async def _ports(self) -> Reading:
        ui_port = self._ui_port()
        plane, code = await asyncio.gather(
            read_control_plane(self._context.settings, ui_port), self._code(ui_port)
        )
        return Reading(scores=plane.scores | code.scores, facts=plane.facts | code.facts)

    async def _code(self, ui_port: int | None) -> Reading:
        """Return whether the webserver reaches the definitions; checked every CODE_EVERY_S."""
        now = time.monotonic()
        if ui_port is None:
            self._code_at = -CODE_EVERY_S
            return Reading(scores={})
        if now - self._code_at >= CODE_EVERY_S:
            self._code_at, self._last_code = now, await asyncio.to_thread(read_code, ui_port)
        return self._last_code

    def _ui_port(self) -> int | None:
        """Return the webserver's port, None if it is not meant to run, or is still starting."""
        grace_s = self._context.settings.mhs_grace_s
        found = next((s for s in self._last_services if s.name == WEBSERVER), None)
        is_early = found is not None and found.state in NOT_YET and found.age_s < grace_s
        is_waiting = found is not None and found.state == "waiting"
        return None if found is None or is_early or is_waiting else self._context.settings.ui_port

    async def _probe[T](self, name: str, probe: Awaitable[T]) -> T | None:
        """Return a probe's result, None (unknown) if it raised or timed out."""
        try:
            async with asyncio.timeout(PROBE_DEADLINE_S):
                return await probe
        except Exception as e:  # noqa: BLE001 - whatever a probe meets, its targets are unknown
            self._context.count_rejection(f"probe_{name}", why=f"{type(e).__name__}: {e}")
            return None
