"""A trader's turns: timed, traced, journalled on disk; a failed turn does not end the service.

What a trader adds to the turn that it shares with a backtest (trading/turn.py) belongs here; which
scan is next is decided in scan_sequencer.py. Nothing here waits for the grid or for a disk sync.
"""

import gc
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from dolphin_realtime.infra import log
from dolphin_realtime.infra.trace import Trace
from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.journal.tables import Row
from dolphin_realtime.journal.writer import Journal, ScanRecord
from dolphin_realtime.model.errors import PositionRefused, ScanOutOfOrder
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import PositionChange
from dolphin_realtime.model.portfolio.position_orders import PositionOrder
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.signal.gates import Factors
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.booking import Booking
from dolphin_realtime.trading.execution import Engine
from dolphin_realtime.trading.turn import Turn
from dolphin_realtime.trading.venue_booking import VenueBooking
from dolphin_realtime.trading.venue_turn import VenueTurn

LATENCY_WINDOW: Final = 1000


class DiskJournal:
    """The turn's journal: an intent before an order is sent, a record after each scan."""

    def __init__(self, portfolio: Portfolio, journal: Journal) -> None:
        self._portfolio, self._journal = portfolio, journal
        self._saved = b""

    def opening(self) -> bytes:
        """Return the saved portfolio as of the last record."""
        return self._saved or portfolio_state.save(self._portfolio)

    def intend(
        self, epoch: int, scan_number: int, orders: Sequence[InFlight], limits: TradingPermission
    ) -> bool:
        """Append the intent of orders; return whether it was written."""
        return self._journal.intend(epoch, scan_number, orders, limits)

    def commit(self, key: tuple[int, int], rows: dict[str, list[Row]], plan: Plan | None) -> None:  # noqa: ARG002
        """Hand a record with the current portfolio to the journal's thread."""
        self._saved = portfolio_state.save(self._portfolio)
        epoch, number = key
        record = ScanRecord(epoch=epoch, scan_number=number, rows=rows, portfolio=self._saved)
        self._journal.commit(record)


class ScanProcessor:
    """Trades scans for one portfolio; `begin` and then `finish`, one scan at a time.

    Attributes:
        latencies_us: Time from callback to last order, for the last LATENCY_WINDOW such scans.
    """

    def __init__(
        self, portfolio: Portfolio, journal: Journal, trace: Trace, cache: BookCache, booking: Booking,
        engine: Engine,
    ) -> None:  # fmt: skip
        self.portfolio, self.journal, self._trace, self.cache = portfolio, journal, trace, cache
        self.booking, self.engine = booking, engine
        self.disk = DiskJournal(portfolio, journal)
        self.turn: Turn = (
            VenueTurn(portfolio, booking, engine, cache, self.disk)
            if isinstance(booking, VenueBooking)
            else Turn(portfolio, booking, engine, cache, self.disk)
        )
        self.latencies_us: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self.n_scans = 0
        self.handled_at = datetime.now(UTC)

    @property
    def mismatch(self) -> str | None:
        """Why nothing may be opened until a restart, or None."""
        return self.booking.mismatch

    def begin(
        self,
        scan: Scan,
        limits: TradingPermission,
        factors: Factors | None = None,
        began_ns: int | None = None,
    ) -> Plan:
        """Decide on a scan and send its orders.

        Args:
            scan: The scan.
            limits: The trading permission at it.
            factors: External factors as known at it.
            began_ns: When its callback began, monotonic; None if it is not timed.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one.
        """
        try:
            plan = self.turn.begin(scan, limits, factors)
        except ScanOutOfOrder:
            raise
        except Exception as e:
            self._fail(f"scan {scan.scan_number} was not decided", e)
            raise
        if plan.sent_ns is not None and began_ns is not None:
            first_ns, last_ns = plan.sent_ns
            plan.latency_us = (last_ns - began_ns) / 1000
            self.latencies_us.append(plan.latency_us)
            self._trace.stamp("callback", scan.epoch, scan.scan_number, began_ns)
            self._trace.stamp("first_order", *plan.key, first_ns)
            self._trace.stamp("last_order", *plan.key, last_ns)
        return plan

    async def finish(self, plan: Plan, *, is_acted_on: bool = True) -> None:
        """Finish a scan; any error is logged and blocks all entries until a restart."""
        number = plan.scan.scan_number
        try:
            await self.turn.finish(plan, is_acted_on=is_acted_on)
        except Exception as e:  # noqa: BLE001 - a turn must not end the service
            self._fail(f"scan {number} was not finished", e)
            log.get().exception("trader.scan_failed", scan_number=number)
        if plan.is_new:
            self.n_scans += 1
            self.handled_at = datetime.now(UTC)
            gc.collect(0)

    async def flatten(self, flatten_id: str, reason: str) -> None:
        """Close every position, once per flatten command."""
        n_orders = await self.turn.flatten(flatten_id)
        if n_orders is not None:
            log.get().info("trader.flattened", id=flatten_id, reason=reason, orders=n_orders)

    async def change_position(self, order: PositionOrder) -> PositionChange:
        """Carry out an operator's position command; an error half-way blocks all entries.

        Raises:
            PositionRefused: With the reason why it was not done, or not completely.
        """
        try:
            return await self.turn.change_position(order)
        except PositionRefused:
            raise
        except Exception as e:
            self._fail(f"{order.act.value} of {order.asset} was not carried out", e)
            log.get().exception("trader.position_failed", id=order.id)
            raise PositionRefused(f"it failed half-way, see dolphin logs: {e}") from e

    def _fail(self, what: str, why: Exception) -> None:
        self.booking.failed(f"{what}: {type(why).__name__}: {why}")


def make_venue_booking(portfolio: Portfolio) -> VenueBooking:
    """Return the booking of a portfolio at a real venue."""
    return VenueBooking(portfolio, Rows(portfolio))


def make_booking(portfolio: Portfolio) -> Booking:
    """Return the booking of a portfolio, which receives its engine's order events."""
    return Booking(portfolio, Rows(portfolio))
