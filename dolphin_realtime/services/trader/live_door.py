"""Commands about the account of a live trader, over the same socket as those about positions."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from dolphin_realtime.infra import log
from dolphin_realtime.model.instant import span
from dolphin_realtime.services.trader.live_watch import LiveWatch
from dolphin_realtime.services.trader.position_commands import PositionDoor
from dolphin_realtime.services.trader.posture_watch import Act
from dolphin_realtime.services.trader.scan_processor import ScanProcessor

ADOPT: Final = "adopt"
RAISE: Final = "raise"
FIRST_DAY_S: Final = 86_400.0


class LiveDoor(PositionDoor):
    """Receives `adopt` and `raise`; position commands are refused by the turn."""

    def __init__(self, session: ScanProcessor, between: Act, watch: LiveWatch) -> None:
        super().__init__(session, between)
        self._watch = watch

    async def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command and return its result, or why it was refused."""
        act = request.get("act")
        if act not in (ADOPT, RAISE):
            return await super().handle(request)
        who, reason = str(request.get("who") or "unknown"), str(request.get("reason") or "").strip()
        if not reason:
            return {"ok": False, "error": "a reason is needed: --reason TEXT"}
        done: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        async def step() -> None:
            done.set_result(self._carry_out(act, who, reason))

        self._between(step)
        return await done

    def _carry_out(self, act: str, who: str, reason: str) -> dict[str, Any]:
        refusal = self._why_not_raised() if act == RAISE else None
        if refusal is not None:
            return {"ok": False, "error": refusal}
        log.get().info("trader.account_command", act=act, who=who, reason=reason)
        if act == ADOPT:
            return {"ok": True, "adopted": self._watch.adopt(who, reason)}
        return {"ok": True, "max_gross_usd": self._watch.raise_cap(who, reason)}

    def _why_not_raised(self) -> str | None:
        age_s = (datetime.now(UTC) - self._watch.opened_at).total_seconds()
        if age_s < FIRST_DAY_S:
            return f"the account has traded for {span(age_s)}; its first day is not over"
        if self._watch.found:
            return f"not while this stands: {'; '.join(f.why for f in self._watch.found)}"
        return None
