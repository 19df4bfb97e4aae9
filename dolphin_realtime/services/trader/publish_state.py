"""STATE and PNL: the trader's documents in the grid, always rebuilt from memory.

Building and publishing the two documents belongs here; the journal is the authoritative record.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from dolphin_realtime.grid import maps, wire
from dolphin_realtime.grid.connection import GRID_FAULTS
from dolphin_realtime.journal.rows import day_row
from dolphin_realtime.model.documents import (
    EntryBlock,
    HeldPosition,
    JournalState,
    LastSignal,
    LiveState,
    PnlDocument,
    StateDocument,
    UnpricedPosition,
    Untradable,
)
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.percentiles import percentiles
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.model.signal.result import TRADABLE
from dolphin_realtime.runtime.metrics import Figures
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.trader.guard import Guard
from dolphin_realtime.services.trader.scan_processor import ScanProcessor

REFRESH_S: Final = 2.0


def state_document(
    session: ScanProcessor, guard: Guard, live: LiveState | None = None
) -> StateDocument:
    """Return DOLPHIN_STATE_<INSTANCE>["latest_nautilus"]."""
    portfolio, booking, now = session.portfolio, session.booking, datetime.now(UTC)
    posture = guard.posture(now)
    epoch, scan_number = portfolio.last_key or (0, 0)
    journal = session.journal
    return StateDocument(
        updated_at=now,
        mode="paper" if live is None else "live",
        scan_number=scan_number,
        epoch=epoch,
        posture=posture.value if posture else None,
        trading_state=(posture or Posture.CLOSE_ONLY).trading_state,
        entry_block=_entry_block(guard),
        positions=_positions(portfolio),
        unpriced=_unpriced(portfolio),
        untradable=_untradable(portfolio),
        in_flight=len(portfolio.in_flight),
        cash=portfolio.account.cash,
        account=portfolio.life,
        transfers=portfolio.account.transfers,
        fees=portfolio.account.fees,
        equity=portfolio.equity(),
        last_signal=_last_signal(portfolio),
        peak_equity=portfolio.marks.peak,
        drawdown=portfolio.marks.drawdown(portfolio.equity()),
        day_loss=portfolio.marks.day_loss(portfolio.equity(), portfolio.last_us),
        is_shocked=portfolio.market_posture.is_shocked(portfolio.last_us),
        rejected_of_last_10=sum(booking.outcomes),
        flattened_id=portfolio.flattened_id,
        reasons=dict(booking.rows.reasons),
        refused=dict(booking.refused),
        gap_share=portfolio.signals.n_gaps / max(1, portfolio.signals.n_scans),
        journal=JournalState(
            committed=journal.n_committed, fault=journal.fault, trouble=journal.trouble
        ),
        mismatch=session.mismatch,
        handled_at=session.handled_at,
        scans=session.n_scans,
        fills=booking.n_fills,
        latency_us=percentiles(session.latencies_us),
        since=portfolio.marks.day.day if portfolio.marks.day else None,
        live=live,
    )


def _entry_block(guard: Guard) -> EntryBlock | None:
    if guard.block is None or guard.blocked_since is None:
        return None
    return EntryBlock(reason=guard.block, since=guard.blocked_since)


def _positions(portfolio: Portfolio) -> list[HeldPosition]:
    return [
        HeldPosition(
            asset=asset,
            quantity=quantity,
            average_price=portfolio.account.positions[asset].average_price,
            price=portfolio.prices.get(asset),
        )
        for asset, quantity in sorted(portfolio.account.held().items())
    ]


def _unpriced(portfolio: Portfolio) -> list[UnpricedPosition]:
    """Return the held assets without a sound price at the last scan, with their last one."""
    return [
        UnpricedPosition(
            asset=asset,
            reason=found.reason,
            since=from_us(found.since_us),
            age_s=(portfolio.last_us - found.since_us) / 1e6,
            scans=found.scans,
            price=portfolio.prices.get(asset),
            waits_at=found.waits_at,
        )
        for asset, found in sorted(portfolio.unpriced.items())
    ]


def _untradable(portfolio: Portfolio) -> Untradable:
    """Return how many assets of the last scan cannot be opened, in total and by reason."""
    signal, allowed = portfolio.signals.last, portfolio.pre_trade.allowed
    found = Counter[str]()
    for asset, reason in zip(signal.assets, signal.reason, strict=True) if signal else ():
        if reason in TRADABLE and asset not in portfolio.instruments:
            found["NO_INSTRUMENT"] += 1
        elif reason in TRADABLE and allowed and asset not in allowed:
            found["NOT_ALLOWED"] += 1
        else:
            found[reason] += 1
    reasons = {why: n for why, n in found.most_common() if why not in TRADABLE}
    return Untradable(names=sum(reasons.values()), of=found.total(), reasons=reasons)


def _last_signal(portfolio: Portfolio) -> LastSignal | None:
    signal = portfolio.signals.last
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


def pnl_document(session: ScanProcessor) -> tuple[str, PnlDocument] | None:
    """Return the day and DOLPHIN_PNL_<INSTANCE>[day], None before the first scan."""
    day, account = session.portfolio.marks.day, session.portfolio.account
    if day is None:
        return None
    figures = day_row(account, day, account.unrealised(session.portfolio.prices))._asdict()
    return figures.pop("day"), PnlDocument(**figures, updated_at=datetime.now(UTC))


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
    """Publishes STATE and PNL after each journalled scan, and at least every REFRESH_S."""

    def __init__(
        self,
        context: ServiceContext,
        session: ScanProcessor,
        guard: Guard,
        live: Callable[[], LiveState | None] = lambda: None,
    ) -> None:
        self._context, self._session, self._guard = context, session, guard
        self._live = live
        self._dirty = asyncio.Event()

    def soon(self) -> None:
        """Publish as soon as the event loop gets to it."""
        self._dirty.set()

    async def run(self) -> None:
        """Publish until the service stops."""
        instance = self._session.portfolio.instance
        states = await self._context.client.get_map(maps.state_map(instance))
        days = await self._context.client.get_map(maps.pnl_map(instance))
        while not self._context.stopping.is_set():
            try:
                async with asyncio.timeout(2.0):
                    await self._put(states, days)
            except GRID_FAULTS:
                self._context.counts["state_unsent"] += 1
            await self._next()

    async def _put(self, states: Any, days: Any) -> None:
        state = state_document(self._session, self._guard, self._live())
        set_figures(self._context.figures, state)
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
