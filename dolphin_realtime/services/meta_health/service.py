"""`dolphin service meta-health`: every 5 s probe, evaluate, publish, and repair if allowed.

The sequence of a turn belongs here. Probing is in probes.py, evaluation in evaluator.py and
model/health/scores.py, planning in model/health/recovery.py, acting in recovery_runner.py.
"""

import asyncio
import time
from datetime import datetime
from typing import Final

from dolphin_realtime.config.services import critical
from dolphin_realtime.factors.source_memory import memory_of
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.infra import files
from dolphin_realtime.model.health.debounce import Debouncer
from dolphin_realtime.model.health.recovery import (
    ABSENT,
    HAZELCAST,
    LAUNCHED,
    WEBSERVER,
    Service,
    World,
    plan,
)
from dolphin_realtime.model.health.recovery_memory import Action
from dolphin_realtime.model.health.scores import HealthDocument
from dolphin_realtime.model.health.self_check import SelfCheck
from dolphin_realtime.ops.managers.find import manager_of
from dolphin_realtime.ops.managers.interface import ServiceManager
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.meta_health.clock import Clock
from dolphin_realtime.services.meta_health.evaluator import SENSORS, HealthEvaluator
from dolphin_realtime.services.meta_health.files import document_path, maintenance, maintenance_path
from dolphin_realtime.services.meta_health.history import HealthHistory
from dolphin_realtime.services.meta_health.notifier import ServiceNotifier
from dolphin_realtime.services.meta_health.probes import Look, Probes
from dolphin_realtime.services.meta_health.recovery_runner import RecoveryRunner

SEND_TIMEOUT_S: Final = 1.0
FIRST_CHANCE_GRACES: Final = 5.0
"""Graces before an absent data source is a fault of its job: first runs take minutes under load."""
HAZELCAST_KEY: Final = ("m4_control_plane", HAZELCAST)
WEBSERVER_KEY: Final = ("m4_control_plane", WEBSERVER)


class MetaHealth:
    """Meta health of one stack; `turn` is one unit of work."""

    def __init__(
        self,
        context: ServiceContext,
        manager: ServiceManager | None = None,
        clock: Clock | None = None,
    ) -> None:
        s = context.settings
        self._context, self._clock = context, clock or Clock()
        manager = manager or manager_of(s)
        self._probes = Probes(context, manager)
        self.evaluator = HealthEvaluator(self._probes.sources, critical(s))
        self.recovery_runner = RecoveryRunner(context, manager, self._clock.wall())
        self._observer = SelfCheck(s.mhs_turn_s)
        self._notifier = ServiceNotifier(context)
        self._chronicle = HealthHistory(context)
        self._began_s = self._clock.monotonic()
        self._grid_since_s: float | None = None
        self._dagster_since_s: float | None = None
        self._is_settled = False
        self._absent_since: dict[str, str] = {}
        self._path = document_path(s)

    async def run(self) -> None:
        """Probe, publish and repair until the service stops."""
        await self._probes.start()
        self._health = await self._context.client.get_map(maps.META_HEALTH)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_ready = False
        try:
            while not self._context.stopping.is_set():
                began = time.monotonic()
                document = await self.turn()
                turn_ms = (time.monotonic() - began) * 1000
                words = self.evaluator.words()
                self._chronicle.turn(document, words, turn_ms, self.recovery_runner.acted)
                if self._is_settled:
                    said = f"{document.status} {document.rm_meta:.3f}"
                    self._context.detail = f"{said}, the turn took {turn_ms:.1f} ms"
                if not is_ready:
                    self._context.ready()
                    is_ready = True
                self._context.turn()
                await self._clock.pause(self._context.stopping, self._context.settings.mhs_turn_s)
        finally:
            await self.recovery_runner.close()

    async def turn(self) -> HealthDocument:
        """Probe once, evaluate, repair if needed, publish; return the document."""
        now_s = self._clock.monotonic()
        look = await self._probes.probe_all(
            self._clock.wall(), grid_is_young=self._grid_is_young(now_s)
        )
        now, now_s = self._clock.wall(), self._clock.monotonic()
        if self._observer.slept(now_s):
            self.evaluator.forget_streaks()
        seen = self.evaluator.update(look.readings, now_s)
        self._note_grid(now_s)
        suspected = self._observer.suspicion
        self._observer.judge(now.timestamp(), now_s, seen)
        self._tell_suspicion(suspected)
        held = self._heal(look, now, now_s)
        is_young = now_s - self._began_s < self._context.settings.mhs_grace_s
        document = self.evaluator.document(now, now_s, held, is_young=is_young)
        self._is_settled |= not is_young or self._all_came_up()
        await self._publish(document)
        return document

    def _grid_is_young(self, now_s: float) -> bool:
        since_s = self._grid_since_s
        return since_s is None or now_s - since_s < self._context.settings.mhs_grace_s

    def _note_grid(self, now_s: float) -> None:
        track = self.evaluator.tracks[HAZELCAST_KEY]
        if track.raw != 1.0:
            self._grid_since_s = None
        elif self._grid_since_s is None:
            self._grid_since_s = now_s

    def _all_came_up(self) -> bool:
        """Return whether all realtime services and their data sources are good.

        Until then, or until the grace is over, no health document is published: unknown is not
        GREEN.
        """
        beating = [name for sensor, name in self.evaluator.tracks if sensor == "m2_heartbeat"]
        made = [s.name for s in self._probes.sources if s.enabled and s.name not in LAUNCHED]
        return self.evaluator.was_seen_well([*(beating or self._probes.watched), *made])

    def _heal(self, look: Look, now: datetime, now_s: float) -> dict[str, str]:
        """Verify, plan and act; return, by sensor and target, why a fault gets no action."""
        recovery_runner = self.recovery_runner
        recovery_runner.memory.not_after(now)
        for target in list(recovery_runner.memory.targets):
            recovery_runner.saw(target, now, is_well=self.evaluator.is_well(target))
        if recovery_runner.memory.pending is not None:
            recovery_runner.verify(
                now, is_well=self._is_cured(look, recovery_runner.memory.pending)
            )
        faults = self.evaluator.faults()
        if self._observer.suspicion is None:
            self._notifier.report(faults, self.evaluator, look.services, now_s)
        if not faults:
            return {}
        planned = plan(
            faults, self._world(look), recovery_runner.memory, now, self._barred(look, now)
        )
        why = ", ".join(f"{f.sensor}/{f.target}" for f in faults)
        recovery_runner.act(planned, why, now)
        return planned.held

    def _is_cured(self, look: Look, action: Action) -> bool:
        """Return whether an action's target is good again, and its service, if any, runs."""
        states = [s.state for s in look.services or [] if s.name == action.target]
        is_up = all(state == "running" for state in states)
        is_seen = (action.sensor, action.target) in self.evaluator.tracks
        return is_up and is_seen and self.evaluator.is_well(action.target)

    def _barred(self, look: Look, now: datetime) -> str | None:
        """Return why no action at all may be taken now, or None."""
        if self._context.settings.mhs_recovery == "off":
            return "recovery is switched off (DOLPHIN_MHS_RECOVERY)"
        if look.services is None:
            return "the service manager does not answer"
        if self._observer.suspicion is not None:
            return f"the observer is suspect: {self._observer.suspicion}"
        return maintenance(maintenance_path(self._context.settings), now)

    def _world(self, look: Look) -> World:
        tracks = self.evaluator.tracks
        webserver = tracks.get(WEBSERVER_KEY)
        sources = look.readings["m3_data_freshness"].facts
        return World(
            services={
                s.name: Service(name=s.name, state=s.state, is_wanted=s.is_wanted, age_s=s.age_s)
                for s in look.services or []
            },
            grace_s=self._context.settings.mhs_grace_s,
            hazelcast_is_good=tracks[HAZELCAST_KEY].raw == 1.0,
            dagster_answers=webserver is not None and webserver.raw == 1.0,
            failing_upstream=self._failing_upstream(),
            episodes={name: self._spell(name, facts) for name, facts in sources.items()},
            has_had_chance=self._has_had_chance(webserver),
        )

    def _has_had_chance(self, webserver: Debouncer | None) -> bool:
        """Return whether Dagster has answered long enough to have made its data sources."""
        now_s = self._clock.monotonic()
        if webserver is None or webserver.raw != 1.0:
            self._dagster_since_s = None
        elif self._dagster_since_s is None:
            self._dagster_since_s = now_s
        since_s = self._dagster_since_s
        first_s = FIRST_CHANCE_GRACES * self._context.settings.mhs_grace_s
        return since_s is not None and now_s - since_s >= first_s

    def _spell(self, name: str, facts: dict[str, object]) -> str:
        """Return the id of a source's stale episode: its timestamp, or since when it is absent."""
        stamp = facts.get("stamp")
        if stamp is not None:
            self._absent_since.pop(name, None)
            return str(stamp)
        return self._absent_since.setdefault(name, f"{ABSENT}{self._clock.wall().isoformat()}")

    def _failing_upstream(self) -> dict[str, str]:
        """Return `extf` with the reason if all external sources fail, else nothing."""
        circuits = memory_of(self._context.settings.run_dir).circuits()
        failing = [c for c in circuits.values() if c.is_failing]
        if not circuits or len(failing) < len(circuits):
            return {}
        return {"extf": f"all {len(failing)} sources fail, e.g. {failing[0].error[:120]}"}

    def _tell_suspicion(self, before: str | None) -> None:
        after = self._observer.suspicion
        if (before is None) != (after is None):
            why = after or before
            self.recovery_runner.page("observer", "red" if after else "recovered", {"why": why})

    async def _publish(self, document: HealthDocument) -> None:
        """Write the document to disk and to the grid, once the stack has started."""
        if not self._is_settled:
            self._context.detail = "the stack is coming up: nothing is said of its health yet"
            return
        self._context.figures.set("rm_meta", document.rm_meta)
        for sensor in SENSORS:
            self._context.figures.set("health_score", getattr(document, sensor), sensor=sensor)
        text = wire.encode(document)
        try:
            files.replace(self._path, text.encode())
        except OSError as e:
            self._context.count_rejection("document_unwritten", why=str(e))
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._health.set(maps.LATEST, text)
        except GRID_FAULTS:
            self._context.counts["health_unsent"] += 1


async def run(context: ServiceContext) -> None:
    """Run the meta health service in its service context."""
    await MetaHealth(context).run()
