"""`dolphin service alerter`: sends the lines of the alerts file to every receiver.

The only service that has the receivers' addresses. It decides nothing: the component that detects
a problem writes the alert.
"""

import asyncio
import socket
import time
from typing import Final

from dolphin_realtime.model.errors import DeliveryError, SettingsError
from dolphin_realtime.runtime.service_context import ServiceContext, pause
from dolphin_realtime.services.alerter.message import body_of, title_of
from dolphin_realtime.services.alerter.outbox import Due, Outbox
from dolphin_realtime.services.alerter.targets import Target, path_of, read_targets, send

TURN_S: Final = 1.0
SEND_TIMEOUT_S: Final = 60.0


class Alerter:
    """The receivers of one stack; `turn` is one unit of work."""

    def __init__(self, context: ServiceContext, targets: list[Target]) -> None:
        self._context, self._targets = context, targets
        self._outbox = Outbox(context.settings.home, [target.name for target in targets])
        self._host = socket.gethostname()
        self._sent = 0

    async def run(self) -> None:
        """Send pending alerts until the service stops."""
        self._context.ready()
        while not self._context.stopping.is_set():
            await asyncio.gather(*(self._look(target) for target in self._targets))
            names = ", ".join(target.name for target in self._targets)
            self._context.detail = f"{self._sent} messages to {names}"
            self._context.figures.set("messages", self._sent)
            self._context.turn()
            await pause(self._context.stopping, TURN_S)

    async def _look(self, target: Target) -> None:
        due = self._outbox.due(target.name, time.monotonic())
        if due is None:
            return
        if due.alerts:
            try:
                await self._send(target, due)
            except (DeliveryError, TimeoutError) as e:
                pause_s = self._outbox.refused(target.name, time.monotonic())
                self._context.counts["undelivered"] += 1
                self._context.log.warning("alerter.undelivered", why=str(e), again_in_s=pause_s)
                return
        try:
            self._outbox.taken(target.name, due)
        except OSError as e:
            self._context.count_rejection("place_unkept", why=str(e))

    async def _send(self, target: Target, due: Due) -> None:
        title, body = title_of(due.alerts, self._host), body_of(due.alerts)
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await asyncio.to_thread(send, target, title, body)
        self._sent += 1
        self._context.log.info("alerter.sent", to=target.name, alerts=len(due.alerts))


async def run(context: ServiceContext) -> None:
    """Run the alerter in its service context.

    Raises:
        SettingsError: If the file names no receiver.
    """
    path = path_of(context.settings)
    targets = read_targets(path)
    if not targets:
        raise SettingsError(f"{path} names no receiver; leave DOLPHIN_ALERTS_FILE empty for none")
    await Alerter(context, targets).run()
