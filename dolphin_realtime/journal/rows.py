"""The rows that one scan adds to the journal.

Shared by the trader and the backtest. What is booked is trading/booking.py's, the tables are
database.py's, writing them writer.py's.
"""

from collections import Counter
from typing import Final

import msgspec

from dolphin_realtime.journal.database import FAULTS, TABLES, Row
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.fill_rule import Quote
from dolphin_realtime.model.instant import day_of
from dolphin_realtime.model.orders import Acked, Ended, InFlight, OrderEvent, Traded, Unknown
from dolphin_realtime.model.plan import Plan
from dolphin_realtime.model.position_change import PositionChange
from dolphin_realtime.model.position_orders import PositionOrder

RECOVERED: Final = "RECOVERED"
"""Reason of an order whose process died and whose scan is nowhere to be had."""
CATCH_UP: Final = "CATCH_UP"
"""Reason of every asset at a scan that came too late to act on."""


class Rows:
    """Gathers the rows of a scan, from `open_scan` to `close_scan`.

    Attributes:
        reasons: Decisions of the last scan, by reason.
        opening: The desk as it stood before the scan that begins a day.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.reasons: Counter[str] = Counter()
        self.opening = b""
        self._now_us = 0
        self._rows: dict[str, list[Row]] = {table: [] for table in (*TABLES, "meta")}
        self._last_reason: dict[str, str] = {}
        self._has_start_cash = False
        self._day: str | None = None

    def begins_day(self, timestamp_us: int) -> bool:
        """Return whether a scan is the first of its day that these rows are made for."""
        return day_of(timestamp_us) != self._day

    def open_scan(self, now_us: int) -> None:
        """Begin a scan's rows."""
        self._now_us = now_us

    def fill(self, order: InFlight, fill: Traded, quote: Quote, realised: float) -> None:
        """Keep a fill."""
        o = order.order
        self._rows["fills"].append(
            (fill.fill_id, order.client_order_id, order.epoch, order.scan_number, quote.at_us,
             o.asset, o.side, fill.quantity, fill.price, quote.mid, fill.fee, realised,
             quote.source, self._now_us, self.desk.digits(o.asset))
        )  # fmt: skip

    def order_event(self, order: InFlight, event: OrderEvent) -> None:
        """Keep an order's end, or that nobody knows of it; on paper an acknowledgement tells nothing."""
        if isinstance(event, Acked | Traded):
            return
        state, why = _told(event)
        self._rows["order_events"].append(
            (order.client_order_id, order.order.asset, self._now_us, state, why, order.filled)
        )

    def sent(self, orders: list[InFlight], reason: str) -> None:
        """Keep orders that no scan's signal asked for, e.g. those of a flatten."""
        for o in orders:
            self._rows["orders"].append(_order_row(o))
            self._rows["decisions"].append(
                (o.epoch, o.scan_number, o.decided_us, o.order.asset, 0.0, 0.0, -o.left,
                 o.order.side, o.order.quantity, reason, None, None)
            )  # fmt: skip

    def position_change(self, order: PositionOrder, change: PositionChange) -> None:
        """Keep what a person changed of a position, and what they said."""
        c = change
        self._rows["position_changes"].append(
            (c.id, self._now_us, order.at.isoformat(), c.act.value, c.asset, c.value, c.undoes,
             c.quantity_before, c.quantity, c.average_before, c.average, c.price_before, c.price,
             c.realised, self.desk.digits(c.asset), order.who, order.reason)
        )  # fmt: skip

    def close_scan(self, plan: Plan, *, is_acted_on: bool) -> dict[str, list[Row]]:
        """Mark the books at a scan and return all of its rows by table."""
        key = plan.key
        day = self.desk.mark()
        account, rows = self.desk.account, self._rows
        rows["decisions"] += self._decision_rows(plan, key, is_acted_on)
        rows["orders"] += [_order_row(o) for o in plan.orders]
        rows["refusals"] += [
            (*key, self._now_us, r.asset, r.side, r.quantity, r.code, r.value, r.bound)
            for r in plan.refusals
        ]
        rows["funding"] = [
            (f.settlement_us, f.asset, f.quantity, f.rate, f.amount, self._now_us)
            for f in plan.funding
        ]
        unrealised = account.unrealised(self.desk.prices)
        rows["equity"] = [
            (*key, self._now_us, account.cash, account.realised, unrealised, account.fees,
             account.funding, account.cash + unrealised, plan.limits.posture.value,
             int(is_acted_on), plan.scan.simulated, *self._market_columns(plan),
             plan.limits.entry_block)
        ]  # fmt: skip
        rows["openings"] = self._opening_rows(plan, day.day)
        rows["days"] = [
            (day.day, account.realised - day.start_realised, unrealised, account.fees - day.start_fees,
             account.funding - day.start_funding, day.equity, day.trades, day.max_drawdown)
        ]  # fmt: skip
        if not self._has_start_cash:
            faults = msgspec.json.encode(self.desk.venue.faults).decode()
            rows["meta"] = [("start_cash", repr(account.start_cash)), (FAULTS, faults)]
            self._has_start_cash = True
        return self.take()

    def _market_columns(self, plan: Plan) -> Row:
        """Return exposure, the signal's scalers, how much of it was gated, and the latency."""
        exposures = self.desk.account.exposures(self.desk.prices)
        signal = plan.signal
        reasons = Counter(signal.reason)
        gated = sum(n for reason, n in reasons.items() if reason.startswith("GATE_"))
        return (
            sum(x for x in exposures if x > 0.0), -sum(x for x in exposures if x < 0.0),
            signal.r_ar, signal.r_vol, len(signal.assets), gated, plan.latency_us,
        )  # fmt: skip

    def _opening_rows(self, plan: Plan, day: str) -> list[Row]:
        """Return the desk as it stood before the first scan of a day, and that scan's prices."""
        if day == self._day:
            return []
        self._day = day
        prices = msgspec.json.encode(plan.prices).decode()
        return [(day, self._now_us, self.opening, prices)]

    def take(self) -> dict[str, list[Row]]:
        """Return what was kept since the last call."""
        rows, self._rows = self._rows, {table: [] for table in (*TABLES, "meta")}
        return rows

    def _decision_rows(self, plan: Plan, key: tuple[int, int], is_acted_on: bool) -> list[Row]:
        """Return a row for each order, and for each asset with a signal, a position or news."""
        signal, last = plan.signal, self._last_reason
        scores = zip(signal.s_score, signal.direction, strict=True)
        read = dict(zip(signal.assets, scores, strict=True))
        rows, decided = [], set()
        reasons: list[str] = []
        for d in plan.decisions:
            decided.add(d.asset)
            reasons.append(d.reason)
            is_news, last[d.asset] = last.get(d.asset) != d.reason, d.reason
            if not (d.orders or d.signal or d.held or is_news or d.reason.startswith("GATE_")):
                continue
            head = (*key, self._now_us, d.asset, d.signal, d.target, d.held)
            tail = (d.reason, *read.get(d.asset, (None, None)))
            rows += [(*head, o.side, o.quantity, *tail) for o in d.orders] or [
                (*head, None, 0.0, *tail)
            ]
        for asset, found in zip(signal.assets, signal.reason, strict=True):
            if asset in decided:
                continue
            reason = found if is_acted_on else CATCH_UP
            reasons.append(reason)
            if last.get(asset) != reason or reason.startswith("GATE_"):
                last[asset] = reason
                rows.append(
                    (*key, self._now_us, asset, 0.0, 0.0, 0.0, None, 0.0, reason, *read[asset])
                )
        self.reasons = Counter(reasons)
        return rows


def _order_row(o: InFlight) -> Row:
    return (o.client_order_id, o.epoch, o.scan_number, o.decided_us, o.order.asset, o.order.side,
            o.order.quantity, o.order.leg, int(o.order.is_reduce_only))  # fmt: skip


def _told(event: Ended | Unknown) -> tuple[str, str]:
    if isinstance(event, Ended):
        return event.kind.value, event.reason
    return "UNKNOWN", event.why
