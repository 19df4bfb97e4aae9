"""The recovery runner: carries out planned actions, one at a time, and verifies each.

Calling the manager or Dagster and writing the ledger belong here; what is done, when and why not
is decided in model/health/recovery.py.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from dolphin_realtime.model.health.recovery import LAUNCHED, Plan
from dolphin_realtime.model.health.recovery_memory import Action, Kind
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.ops.managers.interface import ServiceManager
from dolphin_realtime.runtime.alert_log import AlertState
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.meta_health.files import (
    Event,
    Ledger,
    LedgerLine,
    ledger_path,
    read_ledger,
    remembered,
)

CURED_WITHIN: Final = {
    Kind.RESTART: timedelta(seconds=120),
    Kind.START: timedelta(seconds=120),
    Kind.LAUNCH: timedelta(seconds=300),
}
RUNBOOK: Final = {
    "circuit": "docs/runbook.md#when-recovery-gives-up",
    "observer": "docs/runbook.md#when-meta-health-suspects-itself",
}


class RecoveryRunner:
    """The recovery of one stack.

    Attributes:
        memory: What recovery remembers of its actions, restored from the ledger.
        acted: Number of actions begun by this process.
    """

    def __init__(self, context: ServiceContext, manager: ServiceManager, now: datetime) -> None:
        self._context, self._manager = context, manager
        self.is_dry = context.settings.mhs_recovery == "dry-run"
        path = ledger_path(context.settings)
        self.memory = remembered(*read_ledger(path), now, is_dry=self.is_dry)
        self._ledger = Ledger(path)
        self._doing: asyncio.Task[None] | None = None
        self.acted = 0

    def act(self, plan: Plan, why: str, now: datetime) -> None:
        """Begin the planned action, if there is one; it is written to the ledger first."""
        action = plan.action
        if action is None:
            return
        if not self._write("acts", action, now, why):
            return
        self.memory.acted(action, now)
        self.acted += 1
        self._context.log.warning(
            "recovery.acts", action=str(action.kind), target=action.target, why=why, dry=self.is_dry
        )
        if not self.is_dry:
            self._doing = asyncio.create_task(self._do(action))

    async def _do(self, action: Action) -> None:
        try:
            await asyncio.to_thread(self._ask, action)
        except Exception as e:  # noqa: BLE001 - whatever the error, the action has ended
            if self.memory.pending is action:
                now = datetime.now(UTC)
                self._write("refused", action, now, f"{type(e).__name__}: {e}")
                self._end(action, now, is_cured=False)
            self._context.log.warning("recovery.refused", target=action.target, why=str(e))

    def _ask(self, action: Action) -> None:
        """Request the action; return once it has begun."""
        if action.kind is Kind.LAUNCH:
            run_key = f"meta-health-{action.target}-{action.episode}"
            dagster_api.launch_job(self._context.settings.ui_port, LAUNCHED[action.target], run_key)
            return
        self._manager.reset_failed(action.target)
        if action.kind is Kind.START:
            self._manager.start(action.target, wait=False)
        else:
            self._manager.try_restart(action.target)

    def verify(self, now: datetime, *, is_well: bool) -> None:
        """Check whether the pending action has cured its target, or its time is over."""
        action, since = self.memory.pending, self.memory.pending_since
        is_doing = self._doing is not None and not self._doing.done()
        if action is None or since is None or is_doing:
            return
        took = now - since
        if is_well and took > timedelta(seconds=self._context.settings.mhs_turn_s):
            self._write("cured", action, now, f"after {took.total_seconds():.0f} s")
            self._end(action, now, is_cured=True)
        elif took > CURED_WITHIN[action.kind]:
            self._write("not_cured", action, now, f"not well after {took.total_seconds():.0f} s")
            self._end(action, now, is_cured=False)

    def _end(self, action: Action, now: datetime, *, is_cured: bool) -> None:
        was_open = self.memory.of(action.target).opened_at is not None
        is_opened = self.memory.ended(action.target, now, is_cured=is_cured)
        facts = {"target": action.target, "sensor": action.sensor, "attempts": action.attempt}
        if is_opened and not was_open:
            self.page("circuit", "red", facts)
        elif is_cured and was_open:
            self.page("circuit", "recovered", facts)

    def saw(self, target: str, now: datetime, *, is_well: bool) -> None:
        """Note whether a target is healthy; ten healthy minutes clear its memory and are logged."""
        before = self.memory.targets.get(target)
        self.memory.saw(target, now, is_well=is_well)
        if before is not None and target not in self.memory.targets:
            action = Action(kind=Kind.RESTART, sensor="", target=target, attempt=before.attempts)
            self._write("well", action, now, "healthy for ten minutes")

    def page(self, check: str, state: AlertState, facts: dict[str, object]) -> None:
        """Alert a person; a dry run does not alert on its circuit breaker."""
        if self.is_dry and check == "circuit":
            return
        self._context.log.error(f"health.page_{check}", state=state, **facts)
        self._context.alert("meta_health", check, state, facts, RUNBOOK[check])

    def _write(self, event: Event, action: Action, now: datetime, why: str) -> bool:
        """Write a ledger line; return False if it cannot be written: then no action begins."""
        line = LedgerLine(
            at=now,
            event=event,
            action=action,
            why=why,
            manager=self._manager.name,
            dry_run=self.is_dry,
        )
        try:
            self._ledger.add(line)
        except OSError as e:
            self._context.count_rejection("ledger_unwritten", why=str(e))
            return False
        return True

    async def close(self) -> None:
        """Close the ledger; an action that is still running is pending after the next start."""
        if self._doing is not None:
            self._doing.cancel()
            await asyncio.gather(self._doing, return_exceptions=True)
        self._ledger.close()
