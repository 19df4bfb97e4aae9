"""Operator commands: an fsynced ledger, and the 0600 socket over which they are given.

Storing and answering them belong here; their effect on the posture does not
(model/risk/posture.py).
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from dolphin_realtime.infra import files
from dolphin_realtime.infra.local_socket import serve_json
from dolphin_realtime.model.risk.posture import OperatorCommand, Posture

SOCKET: Final = "safety.sock"


class CommandLog:
    """The ledger of all operator commands; the last one is active.

    Attributes:
        standing: The active (last) command, None if there never was one.
        flatten: The last flatten, None if there never was one or a resume followed it.
    """

    def __init__(self, path: Path) -> None:
        self._lines = files.JsonLines(path)
        self.active: OperatorCommand | None = None
        self.flatten: OperatorCommand | None = None
        for order in files.read_lines(path, OperatorCommand):
            self._take(order or _unreadable())

    def add(self, order: OperatorCommand) -> None:
        """Write a command to disk; it is active once this returns.

        Raises:
            OSError: If it could not be written completely: then it is not active.
        """
        self._lines.append(order)
        self._lines.sync()
        self._take(order)

    def _take(self, order: OperatorCommand) -> None:
        self.active = order
        if order.action == "flatten":
            self.flatten = order
        elif order.action == "resume":
            self.flatten = None

    @property
    def posture(self) -> Posture:
        """The least restrictive posture that the active command allows; NORMAL without one."""
        return Posture.NORMAL if self.active is None else self.active.posture

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def _unreadable() -> OperatorCommand:
    """Return the command assumed for an unreadable line: HALTED, because it may have been one."""
    return OperatorCommand(
        action="set",
        posture=Posture.HALTED,
        reason="a line of safety/ledger.jsonl is unreadable; dolphin resume if it was no HALT",
        who="safety",
        at=datetime.now(UTC),
    )


def order_of(request: dict[str, Any], now: datetime) -> OperatorCommand:
    """Return the operator command in a request of the command line.

    Raises:
        ValueError: If the action or the level is unknown, or the reason is missing.
    """
    action = request.get("action")
    reason, who = str(request.get("reason") or "").strip(), str(request.get("who") or "unknown")
    if not reason:
        raise ValueError("a reason is needed: --reason TEXT")
    if action == "flatten":
        floor = Posture.CLOSE_ONLY
        return OperatorCommand(action="flatten", posture=floor, reason=reason, who=who, at=now)
    if action == "resume":
        return OperatorCommand(
            action="resume", posture=Posture.NORMAL, reason=reason, who=who, at=now
        )
    if action == "set":
        try:
            level = Posture(str(request.get("level")).upper())
        except ValueError as e:
            known = ", ".join(Posture)
            raise ValueError(f"no posture {request.get('level')!r}; known: {known}") from e
        return OperatorCommand(action="set", posture=level, reason=reason, who=who, at=now)
    raise ValueError(f"unknown action {action!r}")


async def serve_orders(
    run_dir: Path,
    ledger: CommandLog,
    refuse: Callable[[OperatorCommand], None],
    on_order: Callable[[OperatorCommand], None],
) -> asyncio.Server:
    """Listen for commands; each is answered once it is on disk, or if ``refuse`` raises."""

    async def handle(request: dict[str, Any]) -> dict[str, Any]:
        try:
            order = order_of(request, datetime.now(UTC))
            refuse(order)
        except ValueError as e:
            return {"ok": False, "error": str(e)}
        try:
            ledger.add(order)
        except OSError as e:
            return {"ok": False, "error": f"it could not be written down: {e}"}
        on_order(order)
        return {"ok": True, "posture": order.posture.value}

    return await serve_json(run_dir / SOCKET, handle)
