"""`dolphin service alerter`: tells every receiver what is red, once, and when it is over.

The only service that has the receivers' addresses. It decides nothing: the component that detects
a problem writes the alert.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from dolphin_realtime.model.errors import DeliveryError, SettingsError
from dolphin_realtime.runtime.alert_care import care_of
from dolphin_realtime.runtime.alert_log import Alert, AlertKey, read_alerts, standing
from dolphin_realtime.runtime.service_context import ServiceContext, pause
from dolphin_realtime.services.alerter import addresses
from dolphin_realtime.services.alerter.message import body_of, title_of
from dolphin_realtime.services.alerter.outbox import Due, Outbox
from dolphin_realtime.services.alerter.targets import Kind, Target, path_of, read_targets, send

TURN_S: Final = 1.0
SEND_TIMEOUT_S: Final = 180.0
"""Some receivers take a long message in parts, with pauses; the others do not wait for them."""
RETRY_S: Final = 15.0
"""Between two tries at an Alertmanager that does not answer."""


class Alerter:
    """The receivers of one stack; `turn` is one unit of work."""

    def __init__(self, context: ServiceContext, targets: list[Target]) -> None:
        self._context, self._targets = context, targets
        told = [target.name for target in targets if target.kind is Kind.MESSAGES]
        settings = context.settings
        self._outbox = Outbox(settings.home, told, settings.alerts_repeat_s)
        self._host = socket.gethostname()
        self._sent = 0
        self._due_s: dict[str, float] = {}
        self._pause_s: dict[str, float] = {}
        self._held = {
            target.name: addresses.Held(self._host) for target in targets
            if target.kind is Kind.ALERTMANAGER
        }  # fmt: skip

    async def run(self) -> None:
        """Send pending alerts until the service stops."""
        self._context.ready()
        look = {
            Kind.MESSAGES: self._tell,
            Kind.ALERTMANAGER: self._tell_alertmanager,
            Kind.HEARTBEAT: self._call_watch,
        }
        receivers = [
            asyncio.create_task(self._serve(target, look[target.kind])) for target in self._targets
        ]
        while not self._context.stopping.is_set():
            names = ", ".join(target.name for target in self._targets)
            self._context.detail = f"{self._sent} messages to {names}"
            self._context.figures.set("messages", self._sent)
            self._context.turn()
            await pause(self._context.stopping, TURN_S)
        for receiver in receivers:
            receiver.cancel()
        await asyncio.gather(*receivers, return_exceptions=True)

    async def _serve(
        self, target: Target, look: Callable[[Target], Coroutine[Any, Any, None]]
    ) -> None:
        """Tell one receiver until the service stops; a fault of it stops neither it nor another."""
        while not self._context.stopping.is_set():
            try:
                await look(target)
            except Exception as e:  # noqa: BLE001 - a library of one receiver may raise anything
                self._context.counts["undelivered"] += 1
                self._context.log.warning("alerter.faulty", to=target.name, why=type(e).__name__)
                await pause(self._context.stopping, RETRY_S)
            await pause(self._context.stopping, TURN_S)

    async def _tell(self, target: Target) -> None:
        due = self._outbox.due(target.name, time.monotonic())
        if due is None:
            return
        title, body = title_of(due.items, self._host), body_of(due.items)
        if await self._try(target, lambda: send(target, title, body)):
            self._sent += 1
            self._context.log.info("alerter.sent", to=target.name, alerts=len(due.items))
            self._keep(target, due)

    async def _tell_alertmanager(self, target: Target) -> None:
        """Tell what is red each minute, and at once when something is new or over."""
        held = self._held[target.name]
        active = await asyncio.to_thread(self._active)
        now_s = time.monotonic()
        if now_s < self._pause_s.get(target.name, 0.0):
            return
        if not held.is_news(active) and not self._is_time(target):
            return
        posted = held.document(active, datetime.now(UTC))
        if await self._try(target, lambda: addresses.tell_alertmanager(target.url, posted)):
            self._due_s[target.name] = now_s + addresses.EVERY_S
            held.taken(active, posted)

    def _active(self) -> dict[AlertKey, Alert]:
        """Return what is red and not silenced."""
        home = self._context.settings.home
        active = standing(read_alerts(home))
        care = care_of(home, active, datetime.now(UTC))
        return {
            key: alert
            for key, alert in active.items()
            if not (key in care and care[key].is_silenced)
        }

    async def _call_watch(self, target: Target) -> None:
        if self._is_time(target):
            self._due_s[target.name] = time.monotonic() + addresses.EVERY_S
            await self._try(target, lambda: addresses.call_watch(target.url))

    def _is_time(self, target: Target) -> bool:
        return time.monotonic() >= self._due_s.get(target.name, 0.0)

    async def _try(self, target: Target, deliver: Callable[[], None]) -> bool:
        """Deliver in a thread; return whether it was taken, else count it and back off."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await asyncio.to_thread(deliver)
        except (DeliveryError, TimeoutError) as e:
            pause_s = RETRY_S
            if target.kind is Kind.MESSAGES:
                pause_s = self._outbox.refused(target.name, time.monotonic())
            else:
                self._pause_s[target.name] = time.monotonic() + pause_s
            self._context.counts["undelivered"] += 1
            self._context.log.warning(
                "alerter.undelivered", to=target.name, why=str(e), again_in_s=pause_s
            )
            return False
        return True

    def _keep(self, target: Target, due: Due) -> None:
        try:
            self._outbox.taken(target.name, due)
        except OSError as e:
            self._context.count_rejection("place_unkept", why=str(e))


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
