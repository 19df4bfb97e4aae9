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
    """The ledger of all operator commands: the last one for all traders is active, and for each its own.

    A resume for all takes back what was ordered for single traders, too.
    """

    def __init__(self, path: Path) -> None:
        self._lines = files.JsonLines(path)
        self._active: dict[str, OperatorCommand] = {}
        self._flattens: dict[str, OperatorCommand] = {}
        """By scope; the last one given is the last one."""
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
        scope = order.instance
        if order.action == "resume" and not scope:
            self._active.clear()
            self._flattens.clear()
        self._active[scope] = order
        if order.action == "flatten":
            self._flattens.pop(scope, None)  # in the order of the ledger: clocks may be set back
            self._flattens[scope] = order
        elif order.action == "resume":
            self._flattens.pop(scope, None)

    def active(self, instance: str = "") -> OperatorCommand | None:
        """Return the stricter of the active commands for all traders and for one; None without any."""
        found = [self._active[scope] for scope in ("", instance) if scope in self._active]
        return max(found, key=lambda order: order.posture.rank, default=None)

    def flatten(self, instance: str = "") -> OperatorCommand | None:
        """Return the last flatten for all traders or for one that no resume followed."""
        found = [order for scope, order in self._flattens.items() if scope in ("", instance)]
        return found[-1] if found else None

    def posture(self, instance: str = "") -> Posture:
        """Return the least restrictive posture that the active commands allow; NORMAL without any."""
        active = self.active(instance)
        return Posture.NORMAL if active is None else active.posture

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
    action, instance = request.get("action"), str(request.get("instance") or "")
    reason, who = str(request.get("reason") or "").strip(), str(request.get("who") or "unknown")
    if not reason:
        raise ValueError("a reason is needed: --reason TEXT")
    if action == "flatten":
        level = Posture.CLOSE_ONLY
    elif action == "resume":
        level = Posture.NORMAL
    elif action == "set":
        level = _level_of(request)
    else:
        raise ValueError(f"unknown action {action!r}")
    return OperatorCommand(
        action=action, posture=level, reason=reason, who=who, at=now, instance=instance
    )


def _level_of(request: dict[str, Any]) -> Posture:
    try:
        return Posture(str(request.get("level")).upper())
    except ValueError as e:
        raise ValueError(f"no posture {request.get('level')!r}; known: {', '.join(Posture)}") from e


def note_of(order: OperatorCommand, stands: Posture, halted: list[str]) -> str:
    """Return what an operator should know besides: whom an order does not move, and what still stands.

    Args:
        order: The order, which is in the ledger.
        stands: What the ledger now allows those it is for.
        halted: Which of them were HALTED when it was given.
    """
    if order.action == "resume":
        return (
            "" if stands is Posture.NORMAL else f"{stands} stands: it was ordered for every trader"
        )
    if not halted or order.posture is Posture.HALTED:
        return ""
    names = ", ".join(halted)
    return f"{names} is HALTED and does nothing of it: dolphin resume --instance {halted[0]} first"


async def serve_orders(
    run_dir: Path,
    ledger: CommandLog,
    refuse: Callable[[OperatorCommand], None],
    on_order: Callable[[OperatorCommand], str],
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
        return {"ok": True, "posture": order.posture.value, "note": on_order(order)}

    return await serve_json(run_dir / SOCKET, handle)
