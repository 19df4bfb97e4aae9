"""Going through a scan on a copy, just before the real one comes: so that its path is warm.

Between scans the processor forgets: the first work after idle takes about twice as long
(benchmarks/latency.md). A word from the bridge's reader comes some 2 ms before the callback;
in that time the last scan is taken again by a copy of the desk, and all of it is thrown away.
"""

from typing import Final

from dolphin_realtime.model import desk_state
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.errors import ScanError
from dolphin_realtime.model.scan import decode_scan
from dolphin_realtime.trader.factor_shelf import FactorShelf
from dolphin_realtime.trader.guard import Guard
from dolphin_realtime.trader.session import Session

GAP_MAX_US: Final = 60_000_000


class Rehearsal:
    """A copy of the desk as it stands after the last scan, and that scan's document."""

    def __init__(self, session: Session, guard: Guard, factors: FactorShelf) -> None:
        self._session, self._guard, self._factors = session, guard, factors
        self._copy: Desk | None = None
        self._document = ""
        self._last_us = self._step_us = 0

    def prepare(self, document: str) -> None:
        """Make the copy, once a scan has been journalled."""
        desk = self._session.desk
        copy = Desk(desk.instance, desk.signals.params, desk.target, desk.costs, desk.pre_trade)
        desk_state.restore(copy, self._session.saved)
        self._copy, self._document = copy, document
        self._step_us, self._last_us = max(1, copy.last_us - self._last_us), copy.last_us

    def run(self) -> None:
        """Take the last scan again, one step later, on the copy; the copy is used up."""
        copy, self._copy = self._copy, None
        if copy is None:
            return
        try:
            scan = decode_scan(self._document)
            scan.epoch, scan.scan_number = copy.signals.order.epoch, scan.scan_number + 1
            scan.timestamp_us = copy.last_us + min(self._step_us, GAP_MAX_US)
            books = self._session.shelf.books(scan.timestamp_us)
            plan = copy.take(scan, self._guard.limits(scan), books, self._factors.factors)
        except (ScanError, ArithmeticError, ValueError, KeyError):
            return  # the real scan will say what is wrong
        for order in plan.orders[:2]:
            self._session.strategy.market_order(order)
