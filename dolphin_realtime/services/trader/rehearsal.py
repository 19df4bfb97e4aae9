"""A rehearsal: the last scan decided again on a copy, shortly before the next one is due.

What the processor has not run for some seconds it runs half as fast. With a core to spare, and scans
that come on time, a rehearsal takes a third off the way from a scan to its first order
(docs/performance.md). Nothing that it decides is sent, written or kept.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from dolphin_realtime.infra import log
from dolphin_realtime.model.market.cadence import Cadence
from dolphin_realtime.model.market.scan import Scan, decode_scan, encode_scan
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.signal.gates import Book, Factors

LEAD_S: Final = 0.02
"""From this long before the next scan is due until this long after it."""
STEP_S: Final = 0.005
MOST: Final = 20
"""Rehearsals before one scan, at the most."""


class Rehearsal:
    """Rehearses on a copy of a portfolio; `run` beside the trader's other work.

    Args:
        copy: A portfolio of its own with the same parameters.
        state: Returns the saved portfolio as of the last scan.
        inputs: Returns books and factors as of an instant.
        is_busy: Returns whether a scan is being handled.

    Attributes:
        count: How many rehearsals there were.
    """

    def __init__(
        self,
        copy: Portfolio,
        state: Callable[[], bytes],
        inputs: Callable[[int], tuple[dict[str, Book], Factors]],
        is_busy: Callable[[], bool],
    ) -> None:
        self._copy, self._state, self._inputs, self._is_busy = copy, state, inputs, is_busy
        self._cadence = Cadence()
        self._scans: list[Scan] = []
        self._finished = asyncio.Event()
        self.count = 0

    def finished(self, scan: Scan) -> None:
        """Note that a scan was handled."""
        self._cadence.note(time.monotonic())
        self._scans = [*self._scans[-1:], scan]
        self._finished.set()

    async def run(self) -> None:
        """Rehearse before every scan that can be expected; end for good if a rehearsal fails."""
        while True:
            await self._finished.wait()
            self._finished.clear()
            due_in_s = self._cadence.seconds
            if due_in_s is None or len(self._scans) < 2:
                continue
            if not await self._is_next_within(due_in_s - LEAD_S):
                try:
                    await self._rehearse(time.monotonic() + 2 * LEAD_S)
                except Exception:  # noqa: BLE001 - the trader goes on without it
                    log.get().exception("trader.rehearsal_failed")
                    return

    async def _is_next_within(self, seconds: float) -> bool:
        """Wait; return whether the next scan was handled meanwhile."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._finished.wait()
        except TimeoutError:
            return False
        return True

    async def _rehearse(self, until: float) -> None:
        portfolio_state.restore(self._copy, self._state())
        if self._copy.last_key != self._scans[-1].key:
            return
        documents = [encode_scan(scan, datetime.now(UTC)) for scan in self._scans]
        step_us = max(1, self._scans[-1].timestamp_us - self._scans[0].timestamp_us)
        for n in range(1, MOST + 1):
            if self._finished.is_set() or self._is_busy() or time.monotonic() > until:
                return
            self._once(documents[(n + 1) % 2], n, step_us)  # prices that differ from the last ones
            await asyncio.sleep(STEP_S)

    def _once(self, document: str, n: int, step_us: int) -> None:
        last = self._scans[-1]
        scan = msgspec.structs.replace(
            decode_scan(document),
            epoch=last.epoch,
            scan_number=last.scan_number + n,
            timestamp_us=last.timestamp_us + n * step_us,
        )
        books, factors = self._inputs(last.timestamp_us)
        plan = self._copy.decide(scan, TradingPermission(), books, factors)
        self._copy.take_back(plan.orders)
        self.count += 1
