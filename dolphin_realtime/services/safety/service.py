"""`dolphin service safety`: judge the posture every second and publish it.

Reading the inputs from the grid belongs here; the rules are in model/risk/posture.py, remembered
inputs in memory.py, operator commands in commands.py.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

import msgspec

from dolphin_realtime.config.settings import load_group
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.model.documents import StateDocument
from dolphin_realtime.model.freshness import HEALTH_S
from dolphin_realtime.model.health.scores import HealthDocument
from dolphin_realtime.model.instant import Aware
from dolphin_realtime.model.market.cadence import Cadence
from dolphin_realtime.model.risk.posture import (
    InstanceFacts,
    Ladder,
    OperatorCommand,
    Posture,
    SafetyDocument,
    SafetyInputs,
    SafetyParams,
    judge,
)
from dolphin_realtime.runtime.service_context import ServiceContext, pause
from dolphin_realtime.services.safety.commands import CommandLog, serve_orders
from dolphin_realtime.services.safety.memory import KeptPosture, Newest, Peaks, facts_of
from dolphin_realtime.services.safety.notifier import PostureNotifier

TURN_S: Final = 1.0
GRACE_S: Final = 30.0
"""Meta health and traders start after this service: absent documents count only after this."""
PREFIX: Final = "DOLPHIN_SAFETY_LIMIT_"


class Bridged(msgspec.Struct):
    """When a scan was bridged: the only field of a scan that the posture needs."""

    bridge_ts: Aware


class Safety:
    """The posture of one stack; `step` is one unit of work."""

    def __init__(self, context: ServiceContext) -> None:
        self._context, now = context, datetime.now(UTC)
        self._params = load_group(SafetyParams, PREFIX)
        self._started = now
        folder = context.settings.home / "safety"
        self._ledger = CommandLog(folder / "ledger.jsonl")
        self._peaks = Peaks(folder / "peaks.json")
        self._kept = KeptPosture(folder / "posture")
        before = self._kept.load()
        found = (before, Posture.CLOSE_ONLY, self._ledger.posture)
        self._ladder = Ladder(max(filter(None, found), key=lambda p: p.rank), now)
        self._was_fresh = before not in (None, Posture.NORMAL)
        self._notifier = PostureNotifier(context, folder / "told")
        self._cadence = Cadence()
        self._scan = Newest(Bridged, lambda scan: scan.bridge_ts)
        self._health = Newest(HealthDocument, lambda health: health.timestamp)
        self._states = {
            i: Newest(StateDocument, lambda state: state.updated_at)
            for i in context.settings.instance_names
        }
        self._at_once = asyncio.Event()

    async def run(self) -> None:
        """Judge and publish until the service stops."""
        get_map = self._context.client.get_map
        self._features = await get_map(maps.FEATURES)
        self._health_map = await get_map(maps.META_HEALTH)
        self._safety = await get_map(maps.SAFETY)
        self._state_maps = {i: await get_map(maps.state_map(i)) for i in self._states}
        server = await serve_orders(
            self._context.settings.run_dir, self._ledger, self._refuse, self._on_order
        )
        is_ready = False
        async with server:
            while not self._context.stopping.is_set():
                self._at_once.clear()
                try:
                    await self.step()
                except GRID_FAULTS:
                    self._context.set_phase("grid_away")
                else:
                    if not is_ready:
                        self._context.ready()
                        is_ready = True
                    self._context.set_phase("ready")
                self._context.turn()
                await self._next()
        await self._notifier.close()

    async def _next(self) -> None:
        """Wait for the next turn; an operator command starts it at once."""
        ordered = asyncio.create_task(self._at_once.wait())
        turn = asyncio.create_task(pause(self._context.stopping, TURN_S))
        _, left = await asyncio.wait({ordered, turn}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()

    def _refuse(self, order: OperatorCommand) -> None:
        """Raise if a command cannot be carried out now.

        Raises:
            ValueError: With what to do instead.
        """
        floor = max(self._ladder.posture, self._ledger.posture, key=lambda p: p.rank)
        if order.action == "flatten" and floor is Posture.HALTED:
            raise ValueError(
                "the posture is HALTED and sends no order at all; dolphin resume --reason TEXT "
                "brings it to CLOSE_ONLY, then flatten"
            )
        is_set = order.action == "set"
        if is_set and floor is Posture.HALTED and order.posture is not Posture.HALTED:
            raise ValueError("HALTED is left by dolphin resume --reason TEXT only")
        if is_set and self._ledger.flatten and order.posture.rank < Posture.CLOSE_ONLY.rank:
            raise ValueError("a flatten stands; dolphin resume --reason TEXT takes it back")

    def _on_order(self, order: OperatorCommand) -> None:
        self._context.log.info(
            "safety.ordered",
            action=order.action,
            posture=order.posture.value,
            reason=order.reason,
            who=order.who,
        )
        if order.action == "resume":
            self._accept_losses()
            if self._ladder.posture is Posture.HALTED:
                self._ladder = Ladder(Posture.CLOSE_ONLY, datetime.now(UTC))
                self._kept.keep(Posture.CLOSE_ONLY)
        self._at_once.set()

    def _accept_losses(self) -> None:
        """Reset the drawdown: an operator has accepted the losses and resumes."""
        known = {name: state.document for name, state in self._states.items()}
        self._peaks.begin_again({name: state.equity for name, state in known.items() if state})

    async def step(self) -> None:
        """Read the inputs, judge, publish."""
        self._scan.update(await self._features.get(maps.LATEST_SCAN))
        self._health.update(await self._health_map.get(maps.LATEST))
        for name, state in self._states.items():
            state.update(await self._state_maps[name].get(maps.LATEST_STATE))
        self._note_scan()
        self._note_peaks()
        now = datetime.now(UTC)
        inputs = self._inputs(now)
        wanted, reasons = judge(inputs, self._params)
        self._move(wanted, reasons, now)
        await self._safety.set(maps.LATEST, self._document(inputs, reasons, now))
        if self._was_fresh or not self._is_young(now):
            self._notifier.report(self._ladder.posture, reasons)
        self._context.figures.set("posture_rank", self._ladder.posture.rank)
        self._context.figures.set("size_multiplier", self._ladder.posture.size_multiplier)
        self._context.detail = f"{self._ladder.posture} since {self._ladder.since:%H:%M:%S}"

    def _is_young(self, now: datetime) -> bool:
        return (now - self._started).total_seconds() < GRACE_S

    def _note_peaks(self) -> None:
        for name, newest in self._states.items():
            state = newest.document
            if state is not None:
                moved = (state.account, state.transfers)
                self._peaks.note(name, state.equity, state.peak_equity, *moved)

    def _inputs(self, now: datetime) -> SafetyInputs:
        is_young = self._is_young(now)
        facts = [self._facts(name, newest.document, now) for name, newest in self._states.items()]
        return SafetyInputs(
            scan_age_s=self._scan.age_s(now),
            cadence_s=self._cadence.seconds or 0.0,
            health=self._health_status(now, is_young=is_young),
            instances=[f for f in facts if f.age_s is not None or not is_young],
            manual=self._ledger.active,
        )

    def _document(self, inputs: SafetyInputs, reasons: list[str], now: datetime) -> str:
        flatten = self._ledger.flatten
        bounds = msgspec.structs.asdict(self._params)
        document = SafetyDocument(
            posture=self._ladder.posture,
            size_multiplier=self._ladder.posture.size_multiplier,
            reasons=reasons,
            limits={"scan_age_s": self._params.scan_age_limit_s(inputs.cadence_s), **bounds},
            since=self._ladder.since,
            ts=now,
            flatten=None
            if flatten is None
            else {
                "id": flatten.flatten_id,
                "reason": flatten.reason,
                "who": flatten.who,
                "at": flatten.at.isoformat(),
            },
        )
        return wire.encode(document)

    def _move(self, wanted: Posture, reasons: list[str], now: datetime) -> None:
        """Step the ladder; the first turn that calls for NORMAL lifts the start posture at once."""
        is_first = not self._was_fresh and wanted is Posture.NORMAL
        cool_down_s = 0.0 if is_first else self._context.settings.safety_cool_down_s
        if self._ladder.posture is Posture.HALTED and wanted is not Posture.HALTED:
            changed = False
        else:
            changed = self._ladder.move(wanted, now, cool_down_s)
            while is_first and changed and self._ladder.posture is not Posture.NORMAL:
                self._ladder.move(wanted, now, cool_down_s)
        self._was_fresh = self._was_fresh or wanted is Posture.NORMAL
        if changed:
            self._context.log.info(
                "safety.posture", posture=self._ladder.posture.value, reasons=reasons
            )
            self._kept.keep(self._ladder.posture)
            self._keep_halt(reasons, now)

    def _keep_halt(self, reasons: list[str], now: datetime) -> None:
        """Write an automatic HALTED to the ledger, so that only a resume ends it."""
        standing = self._ledger.active
        is_kept = standing is not None and standing.posture is Posture.HALTED
        if self._ladder.posture is Posture.HALTED and not is_kept:
            why = "; ".join(reasons)
            self._ledger.add(
                OperatorCommand(
                    action="halt", posture=Posture.HALTED, reason=why, who="safety", at=now
                )
            )

    def _facts(self, name: str, state: StateDocument | None, now: datetime) -> InstanceFacts:
        drawdown = self._peaks.drawdown(name, state.equity) if state else 0.0
        return facts_of(name, state, drawdown, now)

    def _note_scan(self) -> None:
        """Add the newest scan's bridge time to the cadence."""
        if self._scan.document is not None:
            self._cadence.note(self._scan.document.bridge_ts.timestamp())

    def _health_status(self, now: datetime, *, is_young: bool) -> str | None:
        age = self._health.age_s(now)
        if self._health.document is not None and age is not None and age <= HEALTH_S:
            return self._health.document.status.value
        return "STARTING" if is_young and self._health.document is None else None


async def run(context: ServiceContext) -> None:
    """Run the safety service in its service context."""
    await Safety(context).run()
