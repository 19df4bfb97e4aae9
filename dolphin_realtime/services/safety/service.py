"""`dolphin service safety`: judge the posture every second and publish it.

Reading the inputs from the grid belongs here; the rules are in model/risk/posture.py, remembered
inputs in memory.py, operator commands in commands.py.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

import msgspec

from dolphin_realtime.config.loading import load_group
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.model.documents import StateDocument
from dolphin_realtime.model.freshness import HEALTH_S
from dolphin_realtime.model.health.scores import HealthDocument
from dolphin_realtime.model.instant import Aware
from dolphin_realtime.model.market.cadence import Cadence
from dolphin_realtime.model.risk.posture import (
    InstanceFacts,
    OperatorCommand,
    Posture,
    SafetyDocument,
    SafetyInputs,
    SafetyParams,
    judge,
)
from dolphin_realtime.runtime.service_context import ServiceContext, pause
from dolphin_realtime.services.safety.commands import CommandLog, note_of, serve_orders
from dolphin_realtime.services.safety.instance_posture import (
    KEPT,
    PostureOfInstance,
    told,
)
from dolphin_realtime.services.safety.memory import KeptPosture, Newest, Peaks, facts_of
from dolphin_realtime.services.safety.notifier import notifiers

TURN_S: Final = 1.0
GRACE_S: Final = 30.0
"""Meta health and traders start after this service: absent documents count only after this."""
PREFIX: Final = "DOLPHIN_SAFETY_LIMIT_"


class Bridged(msgspec.Struct):
    """When a scan was bridged: the only field of a scan that the posture needs."""

    bridge_ts: Aware


class Safety:
    """The postures of one stack's traders; `step` is one unit of work."""

    def __init__(self, context: ServiceContext) -> None:
        self._context, now = context, datetime.now(UTC)
        self._params = load_group(SafetyParams, PREFIX)
        self._started = now
        folder = context.settings.home / "safety"
        self._ledger = CommandLog(folder / "ledger.jsonl")
        self._peaks = Peaks(folder / "peaks.json")
        names = context.settings.instance_names or [""]
        self._postures = {
            name: PostureOfInstance(name, folder, self._ledger.posture(name), now) for name in names
        }
        self._strictest = KeptPosture(folder / KEPT)
        self._on_disk: Posture | None = None
        self._notifiers = notifiers(context, folder, names)
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
        for notifier in self._notifiers.values():
            await notifier.close()

    async def _next(self) -> None:
        """Wait for the next turn; an operator command starts it at once."""
        ordered = asyncio.create_task(self._at_once.wait())
        turn = asyncio.create_task(pause(self._context.stopping, TURN_S))
        _, left = await asyncio.wait({ordered, turn}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()

    def _concerned(self, order: OperatorCommand) -> list[PostureOfInstance]:
        return [p for p in self._postures.values() if order.instance in ("", p.name)]

    def _refuse(self, order: OperatorCommand) -> None:
        """Raise if a command cannot be carried out now.

        Raises:
            ValueError: With what to do instead.
        """
        concerned = self._concerned(order)
        if not concerned:
            known = ", ".join(self._postures)
            raise ValueError(f"no instance {order.instance!r}; known: {known}")
        floor = min((self._floor(p) for p in concerned), key=lambda p: p.rank)
        if order.action == "flatten" and floor is Posture.HALTED:
            raise ValueError(
                "the posture is HALTED and sends no order at all; dolphin resume --reason TEXT "
                "brings it to CLOSE_ONLY, then flatten"
            )
        is_set = order.action == "set"
        if is_set and floor is Posture.HALTED and order.posture is not Posture.HALTED:
            raise ValueError("HALTED is left by dolphin resume --reason TEXT only")
        stands = self._ledger.flatten(order.instance)
        if is_set and stands and order.posture.rank < Posture.CLOSE_ONLY.rank:
            raise ValueError("a flatten stands; dolphin resume --reason TEXT takes it back")

    def _floor(self, one: PostureOfInstance) -> Posture:
        return max(one.posture, self._ledger.posture(one.name), key=lambda p: p.rank)

    def _on_order(self, order: OperatorCommand) -> str:
        """Carry a command out; return what the operator should know besides."""
        self._context.log.info(
            "safety.ordered",
            action=order.action,
            posture=order.posture.value,
            reason=order.reason,
            who=order.who,
            instance=order.instance or "every one",
        )
        concerned = self._concerned(order)
        halted = [p.name for p in concerned if p.posture is Posture.HALTED]
        note = note_of(order, self._ledger.posture(order.instance), halted)
        if order.action == "resume":
            for one in concerned:
                one.leave_halted(datetime.now(UTC))
            try:
                self._accept_losses({one.name for one in concerned})
            except OSError as e:
                note = f"{note} the peaks could not be written: {e}".strip()
        self._at_once.set()
        return note

    def _accept_losses(self, names: set[str]) -> None:
        """Reset the drawdowns: an operator has accepted the losses and resumes."""
        known = {name: state.document for name, state in self._states.items() if name in names}
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
        for one in self._postures.values():
            wanted, reasons = judge(self._inputs(one.name, now), self._params)
            self._move(one, wanted, reasons, now)
        worst = max(self._postures.values(), key=lambda p: p.posture.rank)
        self._keep(worst.posture, now)
        await self._safety.set(maps.LATEST, self._document(worst, now))
        for one in self._postures.values():
            if one.was_fresh or not self._is_young(now):
                self._notifiers[one.name].report(one.posture, one.reasons)
        self._context.figures.set("posture_rank", worst.posture.rank)
        self._context.figures.set("size_multiplier", worst.posture.size_multiplier)
        self._context.detail = self._said()

    def _said(self) -> str:
        """Return every posture in one line; one alone where all have the same."""
        postures = list(self._postures.values())
        if len({p.posture for p in postures}) == 1:
            return f"{postures[0].posture} since {postures[0].since:%H:%M:%S}"
        return ", ".join(f"{p.name} {p.posture} since {p.since:%H:%M:%S}" for p in postures)

    def _is_young(self, now: datetime) -> bool:
        return (now - self._started).total_seconds() < GRACE_S

    def _note_peaks(self) -> None:
        for name, newest in self._states.items():
            state = newest.document
            if state is None:
                continue
            moved = (state.account, state.transfers)
            try:
                self._peaks.note(name, state.equity, state.peak_equity, *moved)
            except OSError as e:
                self._context.count_rejection("peaks_unkept", why=str(e))

    def _inputs(self, name: str, now: datetime) -> SafetyInputs:
        is_young = self._is_young(now)
        states = {name: self._states[name]} if name in self._states else {}
        facts = [self._facts(n, newest.document, now) for n, newest in states.items()]
        return SafetyInputs(
            scan_age_s=self._scan.age_s(now),
            cadence_s=self._cadence.seconds or 0.0,
            health=self._health_status(now, is_young=is_young),
            instances=[f for f in facts if f.age_s is not None or not is_young],
            manual=self._ledger.active(name),
        )

    def _document(self, worst: PostureOfInstance, now: datetime) -> str:
        reasons = list(dict.fromkeys(r for p in self._postures.values() for r in p.reasons))
        bounds = msgspec.structs.asdict(self._params)
        limit_s = self._params.scan_age_limit_s(self._cadence.seconds or 0.0)
        document = SafetyDocument(
            posture=worst.posture,
            size_multiplier=worst.posture.size_multiplier,
            reasons=reasons,
            limits={"scan_age_s": limit_s, **bounds},
            since=worst.since,
            ts=now,
            flatten=told(self._ledger.flatten()),
            instances={
                name: one.document(self._ledger.flatten(name))
                for name, one in self._postures.items()
                if name
            },
        )
        return wire.encode(document)

    def _move(
        self, one: PostureOfInstance, wanted: Posture, reasons: list[str], now: datetime
    ) -> None:
        cool_down_s = self._context.settings.safety_cool_down_s
        if one.move(wanted, reasons, now, cool_down_s):
            self._context.log.info(
                "safety.posture", instance=one.name, posture=one.posture.value, reasons=reasons
            )

    def _keep(self, worst: Posture, now: datetime) -> None:
        """Write what must survive a restart; what a full disk refuses is tried again each turn."""
        try:
            for one in self._postures.values():
                self._keep_halt(one, now)
                one.keep()
            if self._on_disk is not worst and "" not in self._postures:
                self._strictest.keep(worst)
                self._on_disk = worst
        except OSError as e:
            self._context.count_rejection("posture_unkept", why=str(e))

    def _keep_halt(self, one: PostureOfInstance, now: datetime) -> None:
        """Write an automatic HALTED to the ledger, so that only a resume ends it."""
        standing = self._ledger.active(one.name)
        is_kept = standing is not None and standing.posture is Posture.HALTED
        if one.posture is Posture.HALTED and not is_kept:
            self._ledger.add(
                OperatorCommand(
                    action="halt", posture=Posture.HALTED, reason="; ".join(one.reasons),
                    who="safety", at=now, instance=one.name,
                )
            )  # fmt: skip

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
