"""The rows that one scan adds to the journal.

Shared by the trader and the backtest. Events are booked in trading/booking.py, the tables are in
tables.py, rows are written in writer.py.
"""

from collections import Counter
from itertools import repeat
from typing import Any, Final

import msgspec

from dolphin_realtime.journal.database import FAULTS, MARKED_AGAIN
from dolphin_realtime.journal.tables import (
    TABLES,
    DayRow,
    DecisionRow,
    EquityRow,
    FillRow,
    FundingRow,
    MetaRow,
    OpeningRow,
    OrderEventRow,
    OrderRow,
    PositionChangeRow,
    RefusalRow,
    Row,
)
from dolphin_realtime.model.instant import day_of
from dolphin_realtime.model.orders import Ended, InFlight, OrderIntent, Traded, Unknown
from dolphin_realtime.model.portfolio.account import Account, DayPnl
from dolphin_realtime.model.portfolio.fill_rule import Quote
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.portfolio.position_change import PositionChange
from dolphin_realtime.model.portfolio.position_orders import PositionOrder

RECOVERED: Final = "RECOVERED"
"""Reason of a recovered order: its process died and its scan is lost."""
CATCH_UP: Final = "CATCH_UP"
"""Reason of every asset at a scan that was too old to act on."""
NOT_LISTED: Final = (None, None)
"""Score and direction of an asset that the scan does not list."""


def order_of(row: dict[str, Any]) -> InFlight:
    """Return the order that a row of `orders` holds."""
    intent = OrderIntent(asset=row["asset"], side=row["side"], quantity=row["quantity"], leg=row["leg"],
                         is_reduce_only=bool(row["reduce_only"]))  # fmt: skip
    return InFlight(client_order_id=row["client_order_id"], order=intent, epoch=row["epoch"],
                    scan_number=row["scan_number"], decided_us=row["timestamp_us"])  # fmt: skip


def day_row(account: Account, day: DayPnl, unrealised: float) -> DayRow:
    """Return the figures of an account's day so far; PNL publishes the same."""
    return DayRow(
        day=day.day,
        realised=account.realised - day.start_realised,
        unrealised=unrealised,
        fees=account.fees - day.start_fees,
        funding=account.funding - day.start_funding,
        equity=day.equity,
        trades=day.trades,
        max_drawdown=day.max_drawdown,
    )


class Rows:
    """Collects the rows of a scan, from `open_scan` to `close_scan`.

    Attributes:
        reasons: Number of decisions of the last scan, by reason.
        opening: The saved portfolio before the first scan of a day.
        last_equity: The equity row of the last scan, None before the first.
    """

    def __init__(self, portfolio: Portfolio) -> None:
        self.portfolio = portfolio
        self.reasons: Counter[str] = Counter()
        self.opening = b""
        self._now_us = 0
        self._rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        self._last_reason: dict[str, str] = {}
        self._has_start_cash = False
        self._day: str | None = None
        self.last_equity: EquityRow | None = None

    def begins_day(self, timestamp_us: int) -> bool:
        """Return whether a scan is the first one of its day here."""
        return day_of(timestamp_us) != self._day

    def open_scan(self, now_us: int) -> None:
        """Begin a scan's rows."""
        self._now_us = now_us

    @property
    def now_us(self) -> int:
        """The instant of the scan whose rows are collected."""
        return self._now_us

    def add(self, table: str, row: Row) -> None:
        """Add a row to a table."""
        self._rows[table].append(row)

    def fill(self, order: InFlight, fill: Traded, quote: Quote, realised: float) -> FillRow:
        """Return the row of a fill; `add` adds it."""
        o = order.order
        return FillRow(
            fill_id=fill.fill_id,
            client_order_id=order.client_order_id,
            epoch=order.epoch,
            scan_number=order.scan_number,
            timestamp_us=quote.at_us,
            asset=o.asset,
            side=o.side,
            quantity=fill.quantity,
            price=fill.price,
            mid=quote.mid,
            fee=fill.fee,
            realised=realised,
            source=quote.source,
            booked_us=self._now_us,
            size_digits=self.portfolio.digits(o.asset),
        )

    def order_event(self, order: InFlight, event: Ended | Unknown) -> OrderEventRow:
        """Return the row of an order's end or UNKNOWN state; acknowledgements are not journalled."""
        state, why = _told(event)
        return OrderEventRow(
            client_order_id=order.client_order_id,
            asset=order.order.asset,
            timestamp_us=self._now_us,
            state=state,
            reason=why,
            filled=order.filled,
        )

    def sent(self, orders: list[InFlight], reason: str) -> None:
        """Add the rows of orders that do not come from a scan's signal, e.g. of a flatten."""
        for o in orders:
            self._rows["orders"].append(_order_row(o))
            self._rows["decisions"].append(
                DecisionRow(
                    o.epoch, o.scan_number, o.decided_us, o.order.asset, signal=0.0, target=0.0,
                    held=-o.left, side=o.order.side, quantity=o.order.quantity, reason=reason,
                    score=None, direction=None,
                )
            )  # fmt: skip

    def position_change(self, order: PositionOrder, change: PositionChange) -> None:
        """Add the row of an operator's position change, with its reason."""
        c = change
        self._rows["position_changes"].append(
            PositionChangeRow(
                id=c.id, timestamp_us=self._now_us, at=order.at.isoformat(), act=c.act.value,
                asset=c.asset, value=c.value, undoes=c.undoes,
                quantity_before=c.quantity_before, quantity=c.quantity,
                average_before=c.average_before, average=c.average,
                price_before=c.price_before, price=c.price, realised=c.realised,
                size_digits=self.portfolio.digits(c.asset), who=order.who, reason=order.reason,
            )
        )  # fmt: skip

    def close_scan(self, plan: Plan, *, is_acted_on: bool) -> dict[str, list[Row]]:
        """Mark the portfolio at a scan and return all rows of the scan by table."""
        key = plan.key
        account, rows, money = self.portfolio.account, self._rows, self._money()
        day = self.portfolio.marks.mark(money["equity"])
        rows["decisions"] += self._decision_rows(plan, key, is_acted_on)
        rows["orders"] += [_order_row(o) for o in plan.orders]
        rows["refusals"] += [
            RefusalRow(
                *key, self._now_us, r.asset, r.side, r.quantity,
                code=r.code, value=r.value, bound=r.bound,
            )
            for r in plan.refusals
        ]  # fmt: skip
        rows["funding"] = [
            FundingRow(f.settlement_us, f.asset, f.quantity, f.rate, f.amount, self._now_us)
            for f in plan.funding
        ]
        self.last_equity = self._equity_row(plan, key, money, is_acted_on=is_acted_on)
        rows["equity"] = [self.last_equity]
        rows["openings"] += self._opening_rows(plan, day.day)
        rows["days"] = [day_row(account, day, money["unrealised"])]
        if not self._has_start_cash:
            faults = msgspec.json.encode(self.portfolio.venue.faults).decode()
            rows["meta"] += [
                MetaRow("start_cash", repr(account.start_cash)),
                MetaRow(FAULTS, faults),
            ]
            self._has_start_cash = True
        return self.take_rows()

    def _equity_row(
        self, plan: Plan, key: tuple[int, int], money: dict[str, Any], *, is_acted_on: bool
    ) -> EquityRow:
        """Return the equity row: account, exposure, signal scalers, number of gated assets."""
        signal = plan.signal
        reasons = Counter(signal.reason)
        return EquityRow(
            *key,
            timestamp_us=self._now_us,
            **money,
            posture=plan.limits.posture.value,
            is_acted_on=is_acted_on,
            simulated=plan.scan.simulated,
            r_ar=signal.r_ar,
            r_vol=signal.r_vol,
            assets=len(signal.assets),
            gated=sum(n for reason, n in reasons.items() if reason.startswith("GATE_")),
            latency_us=plan.latency_us,
            entry_block=plan.limits.entry_block,
        )

    def _money(self) -> dict[str, Any]:
        """Return the account's columns of an equity row, at the last prices."""
        account, prices = self.portfolio.account, self.portfolio.prices
        unrealised, exposures = account.unrealised(prices), account.exposures(prices)
        return {
            "cash": account.cash,
            "realised": account.realised,
            "unrealised": unrealised,
            "fees": account.fees,
            "funding": account.funding,
            "equity": account.cash + unrealised,
            "long_usd": sum(x for x in exposures if x > 0.0),
            "short_usd": -sum(x for x in exposures if x < 0.0),
        }

    def _opening_rows(self, plan: Plan, day: str) -> list[OpeningRow]:
        """Return the opening row of a new day: portfolio before its first scan, and its prices."""
        if day == self._day:
            return []
        self._day = day
        prices = msgspec.json.encode(plan.prices).decode()
        return [OpeningRow(day, self._now_us, self.opening, prices)]

    def mark_again(self) -> None:
        """Replace the last scan's equity row and day, after more was booked at it."""
        if self.last_equity is None:
            return
        money = self._money()
        day = self.portfolio.marks.mark(money["equity"])
        self.last_equity = self.last_equity._replace(**money)
        self._rows.setdefault(MARKED_AGAIN, []).append(self.last_equity)
        self._rows["days"].append(day_row(self.portfolio.account, day, money["unrealised"]))

    def take_rows(self) -> dict[str, list[Row]]:
        """Return the rows added since the last call."""
        rows, self._rows = self._rows, {table: [] for table in TABLES}
        return rows

    def _decision_rows(
        self, plan: Plan, key: tuple[int, int], is_acted_on: bool
    ) -> list[DecisionRow]:
        """Return rows for orders, and for assets with a signal, position, gate or new reason."""
        signal, last = plan.signal, self._last_reason
        listed = zip(signal.assets, zip(signal.s_score, signal.direction, strict=True), strict=True)
        read: dict[str, tuple[float | None, int | None]] = dict(listed)
        rows: list[DecisionRow] = []
        for d in plan.decisions:
            is_news, last[d.asset] = last.get(d.asset) != d.reason, d.reason
            if not (d.orders or d.signal or d.held or is_news or d.reason.startswith("GATE_")):
                continue
            head = (*key, self._now_us, d.asset, d.signal, d.target, d.held)
            tail = (d.reason, *read.get(d.asset, NOT_LISTED))
            rows += [DecisionRow(*head, o.side, o.quantity, *tail) for o in d.orders] or [
                DecisionRow(*head, None, 0.0, *tail)
            ]
        found = zip(signal.assets, signal.reason if is_acted_on else repeat(CATCH_UP), strict=False)
        decided = {d.asset for d in plan.decisions}
        others = [(asset, reason) for asset, reason in found if asset not in decided]
        for asset, reason in others:
            if last.get(asset) != reason or reason.startswith("GATE_"):
                last[asset] = reason
                head = (*key, self._now_us, asset, 0.0, 0.0, 0.0)
                rows.append(DecisionRow(*head, None, 0.0, reason, *read[asset]))
        self.reasons = Counter(d.reason for d in plan.decisions)
        self.reasons.update(reason for _, reason in others)
        return rows


def _order_row(o: InFlight) -> OrderRow:
    return OrderRow(
        client_order_id=o.client_order_id,
        epoch=o.epoch,
        scan_number=o.scan_number,
        timestamp_us=o.decided_us,
        asset=o.order.asset, side=o.order.side, quantity=o.order.quantity, leg=o.order.leg,
        reduce_only=o.order.is_reduce_only,
    )  # fmt: skip


def _told(event: Ended | Unknown) -> tuple[str, str]:
    if isinstance(event, Ended):
        return event.kind.value, event.reason
    return "UNKNOWN", event.why
