"""One scan's rows for the journal, and the fills it books into the desk on the way.

Shared by the trader and the backtest, so that both keep the same book of the same events.
Writing the rows is writer.py's, deciding and filling are the desk's and the fill rule's.
"""

import math
from collections import Counter, deque
from typing import Final

import msgspec

from dolphin_realtime import fault_points
from dolphin_realtime.journal.database import TABLES, Row
from dolphin_realtime.model.decision import Decision
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.fill_rule import Execution, Quote
from dolphin_realtime.model.plan import InFlight, Plan

OUTCOMES_KEPT: Final = 10
SAME_QUANTITY: Final = 1e-12
"""The engine counts in decimal steps: its double may differ from ours in the last place."""
RECOVERED: Final = "RECOVERED"
"""Reason of an order whose process died and whose scan is nowhere to be had."""
CATCH_UP: Final = "CATCH_UP"
"""Reason of every asset at a scan that came too late to act on."""
REJECTED: Final = ("REJECTED", "DENIED")


class Recorder:
    """Takes outcomes of orders as they come and closes the book of each scan.

    Attributes:
        refused: Orders that had no fill, and orders that a limit stopped, by reason.
        reasons: Decisions of the last scan, by reason.
        outcomes: Whether each of the last ten orders with an outcome was rejected.
        mismatch: Why the desk and the venue's engine disagree, or None.
        saved: The desk as it stood before the scan at hand; the opening of a day is made of it.
        latency_us: Callback to last order of the scan at hand, None where not measured.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.refused: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.outcomes: deque[bool] = deque(maxlen=OUTCOMES_KEPT)
        self.mismatch: str | None = None
        self.n_fills = 0
        self.quotes: dict[str, Quote] = {}
        self.cancel_reasons: dict[str, str] = {}
        self._now_us = 0
        self._rows: dict[str, list[Row]] = {table: [] for table in (*TABLES, "meta")}
        self._last_reason: dict[str, str] = {}
        self._has_start_cash = False
        self.saved = b""
        self.latency_us: float | None = None
        self._day: str | None = None

    def open_scan(self, now_us: int) -> None:
        """Begin a scan's rows."""
        self._now_us = now_us

    def expect(self, execution: Execution) -> None:
        """Remember the quote that an order is about to fill at."""
        self.quotes[execution.order.client_order_id] = execution.quote

    def filled(self, order_id: str, quantity: float, price: float, fee: float) -> None:
        """Book a fill that the venue's engine reports."""
        order, quote = self.desk.in_flight.get(order_id), self.quotes.pop(order_id, None)
        if order is None or quote is None:
            self.mismatch = f"a fill of {order_id}, which is not in flight"
            return
        if math.isclose(quantity, order.order.quantity, rel_tol=SAME_QUANTITY):
            quantity = order.order.quantity
        if fault_points.reach("fill") == "skew":
            quantity *= 1.5
        realised = self.desk.fill(order_id, quantity, price, fee, quote.mid)
        self.n_fills += 1
        self.outcomes.append(False)
        o = order.order
        self._rows["fills"].append(
            (order_id, order.epoch, order.scan_number, quote.at_us, o.asset, o.side, quantity,
             price, quote.mid, fee, realised, quote.source, self._now_us)
        )  # fmt: skip

    def unfilled(self, order_id: str, reason: str) -> None:
        """Forget an order that the engine or the venue refused or cancelled; keep why."""
        self.desk.lapse(order_id)
        code = reason.split(":", maxsplit=1)[0]
        self.refused[code] += 1
        if code in REJECTED:
            self.outcomes.append(True)
        self._rows["cancels"].append((order_id, self._now_us, reason))

    def cancelled(self, order_id: str) -> None:
        """Forget an order that was cancelled for the reason given before."""
        self.unfilled(order_id, self.cancel_reasons.pop(order_id, "CANCELED: by the venue"))

    def sent(self, orders: list[InFlight], reason: str) -> None:
        """Keep orders that no scan's signal asked for, e.g. those of a flatten."""
        for o in orders:
            self._rows["orders"].append(_order_row(o))
            self._rows["decisions"].append(
                (o.epoch, o.scan_number, o.decided_us, o.order.asset, 0.0, 0.0, -o.signed_quantity,
                 o.order.side, o.order.quantity, reason, None, None)
            )  # fmt: skip

    def close_scan(self, plan: Plan, *, is_acted_on: bool) -> dict[str, list[Row]]:
        """Mark the books at a scan and return all of its rows by table."""
        key = plan.key
        day = self.desk.mark()
        account, rows = self.desk.account, self._rows
        rows["decisions"] += self._decision_rows(plan, key, is_acted_on)
        rows["orders"] += [_order_row(o) for o in plan.orders]
        for r in plan.refusals:
            self.refused[r.code] += 1
            rows["refusals"].append(
                (*key, self._now_us, r.asset, r.side, r.quantity, r.code, r.value, r.bound)
            )
        rows["funding"] = [
            (f.settlement_us, f.asset, f.quantity, f.rate, f.amount) for f in plan.funding
        ]
        unrealised = account.unrealised(self.desk.prices)
        rows["equity"] = [
            (*key, self._now_us, account.cash, account.realised, unrealised, account.fees,
             account.funding, account.cash + unrealised, plan.limits.posture.value,
             int(is_acted_on), plan.scan.simulated, *self._market_columns(plan))
        ]  # fmt: skip
        rows["openings"] = self._opening_rows(plan, day.day)
        rows["days"] = [
            (day.day, account.realised - day.start_realised, unrealised, account.fees - day.start_fees,
             account.funding - day.start_funding, day.equity, day.trades, day.max_drawdown)
        ]  # fmt: skip
        if not self._has_start_cash:
            rows["meta"] = [("start_cash", repr(account.start_cash))]
            self._has_start_cash = True
        return self.take_rows()

    def _market_columns(self, plan: Plan) -> Row:
        """Return exposure, the signal's scalers, how much of it was gated, and the latency."""
        exposures = self.desk.account.exposures(self.desk.prices)
        signal, latency_us = plan.signal, self.latency_us
        self.latency_us = None
        reasons = Counter(signal.reason)
        gated = sum(n for reason, n in reasons.items() if reason.startswith("GATE_"))
        return (
            sum(x for x in exposures if x > 0.0), -sum(x for x in exposures if x < 0.0),
            signal.r_ar, signal.r_vol, len(signal.assets), gated, latency_us,
        )  # fmt: skip

    def _opening_rows(self, plan: Plan, day: str) -> list[Row]:
        """Return the desk as it stood before the first scan of a day, and that scan's prices."""
        if day == self._day:
            return []
        self._day = day
        prices = msgspec.json.encode(plan.prices).decode()
        return [(day, self._now_us, self.saved, prices)]

    def take_rows(self) -> dict[str, list[Row]]:
        """Return what was kept since the last call."""
        rows, self._rows = self._rows, {table: [] for table in (*TABLES, "meta")}
        return rows

    def _decision_rows(self, plan: Plan, key: tuple[int, int], is_acted_on: bool) -> list[Row]:
        """Return a row for each order, and for each asset with a signal, a position or news."""
        known = plan.decisions
        decided = {d.asset for d in known}
        idle = [
            Decision(
                asset=asset,
                signal=0.0,
                target=0.0,
                held=0.0,
                reason=reason if is_acted_on else CATCH_UP,
            )
            for asset, reason in zip(plan.signal.assets, plan.signal.reason, strict=True)
            if asset not in decided
        ]
        decisions = [*known, *idle]
        self.reasons = Counter(d.reason for d in decisions)
        signal = plan.signal
        read = dict(
            zip(signal.assets, zip(signal.s_score, signal.direction, strict=True), strict=True)
        )
        rows: list[Row] = []
        for d in decisions:
            is_news = self._last_reason.get(d.asset) != d.reason
            self._last_reason[d.asset] = d.reason
            if not (d.orders or d.signal or d.held or is_news or d.reason.startswith("GATE_")):
                continue
            head = (*key, self._now_us, d.asset, d.signal, d.target, d.held)
            tail = (d.reason, *read.get(d.asset, (None, None)))
            rows += [(*head, o.side, o.quantity, *tail) for o in d.orders] or [
                (*head, None, 0.0, *tail)
            ]
        return rows


def _order_row(o: InFlight) -> Row:
    return (o.client_order_id, o.epoch, o.scan_number, o.decided_us, o.order.asset, o.order.side,
            o.order.quantity, o.order.leg, int(o.order.is_reduce_only))  # fmt: skip
