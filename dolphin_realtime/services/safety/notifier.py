"""Alerts on a posture: one each time it is lowered, and one when it is NORMAL again.

With one trader they are the safety service's, with several each trader's own.
"""

import asyncio
from pathlib import Path
from typing import Final

from dolphin_realtime.config.services import row_of, trader_of
from dolphin_realtime.infra import files
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.runtime.alert_log import AlertState
from dolphin_realtime.runtime.service_context import ServiceContext

RUNBOOK: Final = "docs/runbook.md#why-the-posture-is-not-normal"
CHECK: Final = "posture"
TOLD: Final = "told"


class PostureNotifier:
    """The notifier: writes alerts and the last reported posture, which is saved on its own.

    A disk may hang, so writing is done in a thread, one alert at a time; a change in the meantime
    is reported afterwards.
    """

    def __init__(self, context: ServiceContext, path: Path, asset: str) -> None:
        self._context, self._path, self._asset = context, path, asset
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
        if state is None or self._context.alert(self._asset, CHECK, state, facts, RUNBOOK):
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


def notifiers(
    context: ServiceContext, folder: Path, names: list[str]
) -> dict[str, PostureNotifier]:
    """Return a notifier for each trader: of several, each has alerts under its own asset."""
    if len(names) == 1:
        return {names[0]: PostureNotifier(context, folder / TOLD, "safety")}
    assets = {name: row_of(trader_of(name)).asset.format(name) for name in names}
    return {
        name: PostureNotifier(context, folder / f"{TOLD}.{name}", asset)
        for name, asset in assets.items()
    }


def _read(path: Path) -> Posture:
    """Return the last reported posture; NORMAL if it cannot be read."""
    try:
        return Posture(path.read_text().strip())
    except (OSError, ValueError):
        return Posture.NORMAL
