"""Alerts on the posture: one each time it is lowered, and one when it is NORMAL again."""

import asyncio
from pathlib import Path
from typing import Final

from dolphin_realtime.infra import files
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.runtime.alert_log import AlertState
from dolphin_realtime.runtime.service_context import ServiceContext

RUNBOOK: Final = "docs/runbook.md#why-the-posture-is-not-normal"
CHECK: Final = "posture"


class PostureNotifier:
    """The notifier: writes alerts and the last reported posture, which is saved on its own.

    A disk may hang, so writing is done in a thread, one alert at a time; a change in the meantime
    is reported afterwards.
    """

    def __init__(self, context: ServiceContext, path: Path) -> None:
        self._context, self._path = context, path
        self._told = _read(path)
        self._task: asyncio.Task[None] | None = None

    def report(self, posture: Posture, reasons: list[str]) -> None:
        """Start writing an alert if the posture is lower than last reported, or NORMAL again."""
        if posture is self._told or (self._task is not None and not self._task.done()):
            return
        why = "; ".join(reasons) or "no reason stands"
        facts = {"posture": posture.value, "why": f"{posture.value}: {why}"}
        state: AlertState | None = None
        if posture.rank > self._told.rank:
            state = "red"
        elif posture is Posture.NORMAL:
            state = "recovered"
        self._task = asyncio.create_task(asyncio.to_thread(self._write, posture, state, facts))

    def _write(self, posture: Posture, state: AlertState | None, facts: dict[str, str]) -> None:
        """Write the alert, if any, then the last reported posture; a failed alert is retried."""
        if state is None or self._context.alert("safety", CHECK, state, facts, RUNBOOK):
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                files.replace(self._path, posture.value.encode())
            except OSError as e:
                self._context.count_rejection("told_unwritten", why=str(e))
            self._told = posture

    async def close(self) -> None:
        """Wait for an alert that is being written."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


def _read(path: Path) -> Posture:
    """Return the last reported posture; NORMAL if it cannot be read."""
    try:
        return Posture(path.read_text().strip())
    except (OSError, ValueError):
        return Posture.NORMAL
