"""Operator commands on positions: a 0600 socket of each trader.

Reading a request, having it carried out between two scans and answering belong here; the effect of
a command is in model/portfolio/position_orders.py. The answer comes once it is in the journal, or
after WRITE_TIMEOUT_S, with ``is_written``.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.infra import log
from dolphin_realtime.infra.local_socket import serve_json, trader_socket
from dolphin_realtime.model.errors import PositionRefused
from dolphin_realtime.model.portfolio.position_change import Act, PositionChange
from dolphin_realtime.model.portfolio.position_orders import PositionOrder
from dolphin_realtime.services.trader.posture_watch import Act as DoBetween
from dolphin_realtime.services.trader.scan_processor import ScanProcessor

WRITE_TIMEOUT_S: Final = 10.0
WRITE_POLL_S: Final = 0.02


def order_of(request: dict[str, Any], now: datetime) -> PositionOrder:
    """Return the position command in a request of the command line.

    Raises:
        ValueError: If its act is unknown, or a field is missing or invalid.
    """
    reason = str(request.get("reason") or "").strip()
    if not reason:
        raise ValueError("a reason is needed: --reason TEXT")
    fields = {"who": "unknown", **request, "reason": reason, "at": now, "act": Act(request["act"])}
    return msgspec.convert(fields, PositionOrder)


class PositionDoor:
    """Receives position commands; ``between`` runs a step between two scans."""

    def __init__(self, session: ScanProcessor, between: DoBetween) -> None:
        self._session, self._between = session, between

    async def serve(self, run_dir: Path, instance: str) -> asyncio.Server:
        """Listen until the server is closed."""
        return await serve_json(trader_socket(run_dir, instance), self.handle)

    async def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command and return its result, or why it was refused."""
        try:
            order = order_of(request, datetime.now(UTC))
        except (KeyError, ValueError, msgspec.ValidationError) as e:
            return {"ok": False, "error": f"request refused: {e}"}
        done: asyncio.Future[PositionChange] = asyncio.get_running_loop().create_future()

        async def step() -> None:
            try:
                change = await self._session.change_position(order)
            except PositionRefused as e:
                done.set_exception(e)
            else:
                done.set_result(change)

        self._between(step)
        try:
            change = await done
        except PositionRefused as e:
            return {"ok": False, "error": str(e)}
        log.get().info("trader.position_changed", who=order.who, reason=order.reason,
                       **msgspec.to_builtins(change))  # fmt: skip
        is_written = await self._until_written()
        return {"ok": True, "is_written": is_written, "change": msgspec.to_builtins(change)}

    async def _until_written(self) -> bool:
        journal = self._session.journal
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                while journal.n_committed < journal.n_handed:  # noqa: ASYNC110 - a thread counts
                    await asyncio.sleep(WRITE_POLL_S)
        except TimeoutError:
            return False
        return True
