"""STATE and PNL: what the trader shows of itself in the grid, always put back from memory.

Building and publishing the two documents belongs here; the journal stays the only truth.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from dolphin_realtime.grid import maps, wire
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.model.desk.desk import Desk
from dolphin_realtime.model.documents import (
    EntryBlock,
    HeldPosition,
    JournalState,
    LastSignal,
    PnlDocument,
    StateDocument,
    UnpricedPosition,
    Untradable,
)
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.percentiles import percentiles
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.signal.result import TRADABLE
from dolphin_realtime.runtime.metrics import Figures
from dolphin_realtime.runtime.service_frame import Frame
from dolphin_realtime.services.trader.guard import Guard
from dolphin_realtime.services.trader.session import Session

REFRESH_S: Final = 2.0


def state_document(session: Session, guard: Guard, mode: str) -> StateDocument:
    """Return DOLPHIN_STATE_<INSTANCE>["latest_nautilus"]."""
    desk, booking, now = session.desk, session.booking, datetime.now(UTC)
    posture = guard.posture(now)
    epoch, scan_number = desk.last_key or (0, 0)
    journal = session.journal
    return StateDocument(
        updated_at=now,
        mode=mode,
        scan_number=scan_number,
        epoch=epoch,
        posture=posture.value if posture else None,
        trading_state=(posture or Posture.CLOSE_ONLY).trading_state,
        entry_block=_entry_block(guard),
        positions=_positions(desk),
        unpriced=_unpriced(desk),
        untradable=_untradable(desk),
        in_flight=len(desk.in_flight),
        cash=desk.account.cash,
        fees=desk.account.fees,
        equity=desk.equity(),
        last_signal=_last_signal(desk),
        peak_equity=desk.marks.peak,
        drawdown=desk.marks.drawdown(desk.equity()),
        day_loss=desk.marks.day_loss(desk.equity(), desk.last_us),
        is_shocked=desk.market_posture.is_shocked(desk.last_us),
        rejected_of_last_10=sum(booking.outcomes),
        flattened_id=desk.flattened_id,
        reasons=dict(booking.rows.reasons),
        refused=dict(booking.refused),
        gap_share=desk.signals.n_gaps / max(1, desk.signals.n_scans),
        journal=JournalState(
            committed=journal.n_committed, fault=journal.fault, trouble=journal.trouble
        ),
        mismatch=session.mismatch,
        handled_at=session.handled_at,
        scans=session.n_scans,
        fills=booking.n_fills,
        latency_us=percentiles(session.latencies_us),
        since=desk.marks.day.day if desk.marks.day else None,
    )


def _entry_block(guard: Guard) -> EntryBlock | None:
    if guard.block is None or guard.blocked_since is None:
        return None
    return EntryBlock(reason=guard.block, since=guard.blocked_since)


def _positions(desk: Desk) -> list[HeldPosition]:
    return [
        HeldPosition(
            asset=asset,
            quantity=quantity,
            average_price=desk.account.positions[asset].average_price,
            price=desk.prices.get(asset),
        )
        for asset, quantity in sorted(desk.account.held().items())
    ]


def _unpriced(desk: Desk) -> list[UnpricedPosition]:
    """Return the held assets that the last scan gave no sound price, marked at their last one."""
    return [
        UnpricedPosition(
            asset=asset,
            reason=found.reason,
            since=from_us(found.since_us),
            age_s=(desk.last_us - found.since_us) / 1e6,
            scans=found.scans,
            price=desk.prices.get(asset),
            waits_at=found.waits_at,
        )
        for asset, found in sorted(desk.unpriced.items())
    ]


def _untradable(desk: Desk) -> Untradable:
    """Return how many names of the last scan nothing can be opened of, and why."""
    signal, allowed = desk.signals.last, desk.pre_trade.allowed
    found = Counter[str]()
    for asset, reason in zip(signal.assets, signal.reason, strict=True) if signal else ():
        if reason in TRADABLE and asset not in desk.instruments:
            found["NO_INSTRUMENT"] += 1
        elif reason in TRADABLE and allowed and asset not in allowed:
            found["NOT_ALLOWED"] += 1
        else:
            found[reason] += 1
    reasons = {why: n for why, n in found.most_common() if why not in TRADABLE}
    return Untradable(names=sum(reasons.values()), of=found.total(), reasons=reasons)


def _last_signal(desk: Desk) -> LastSignal | None:
    signal = desk.signals.last
    if signal is None:
        return None
    return LastSignal(
        timestamp_us=signal.timestamp_us,
        r_ar=signal.r_ar,
        r_vol=signal.r_vol,
        risk_scaler=signal.risk_scaler,
        flags=list(signal.flags),
        missing=signal.missing,
        n_signals=sum(1 for s in signal.signal if s),
    )


def pnl_document(session: Session) -> tuple[str, PnlDocument] | None:
    """Return the day and DOLPHIN_PNL_<INSTANCE>[day], None before the first scan."""
    day, account = session.desk.marks.day, session.desk.account
    if day is None:
        return None
    return day.day, PnlDocument(
        realised=account.realised - day.start_realised,
        unrealised=account.unrealised(session.desk.prices),
        fees=account.fees - day.start_fees,
        funding=account.funding - day.start_funding,
        equity=day.equity,
        trades=day.trades,
        max_drawdown=day.max_drawdown,
        updated_at=datetime.now(UTC),
    )


def set_figures(figures: Figures, state: StateDocument) -> None:
    """Set the gauges of a trader from its state document."""
    figures.set("equity_usdt", state.equity)
    figures.set("drawdown", state.drawdown)
    figures.set("positions", len(state.positions))
    for name in ("scan_number", "scans", "fills", "in_flight"):
        figures.set(name, getattr(state, name))
    for quantile in ("p50", "p99"):
        microseconds = state.latency_us.get(quantile)
        if microseconds is not None:
            figures.set("order_latency_seconds", microseconds / 1e6, quantile=quantile)


class StatePublisher:
    """Puts STATE and PNL after each journalled scan, and every REFRESH_S besides."""

    def __init__(self, frame: Frame, session: Session, guard: Guard) -> None:
        self._frame, self._session, self._guard = frame, session, guard
        self._dirty = asyncio.Event()

    def soon(self) -> None:
        """Publish at the next turn of the loop."""
        self._dirty.set()

    async def run(self) -> None:
        """Publish until the service stops."""
        instance = self._session.desk.instance
        states = await self._frame.client.get_map(maps.state_map(instance))
        days = await self._frame.client.get_map(maps.pnl_map(instance))
        while not self._frame.stopping.is_set():
            try:
                async with asyncio.timeout(2.0):
                    await self._put(states, days)
            except GRID_FAULTS:
                self._frame.counts["state_unsent"] += 1
            await self._next()

    async def _put(self, states: Any, days: Any) -> None:
        state = state_document(self._session, self._guard, self._frame.settings.mode)
        set_figures(self._frame.figures, state)
        await states.set(maps.LATEST_STATE, wire.encode(state))
        pnl = pnl_document(self._session)
        if pnl is not None:
            await days.set(pnl[0], wire.encode(pnl[1]))

    async def _next(self) -> None:
        try:
            async with asyncio.timeout(REFRESH_S):
                await self._dirty.wait()
        except TimeoutError:
            return
        self._dirty.clear()
        await asyncio.sleep(0.01)
