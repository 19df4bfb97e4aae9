"""The trading desk: everything a trader remembers, and what one scan makes it do. Pure.

The order of work at a scan (signal, funding, decision, limits, then fills) and orders in
flight belong here; the fill rule (fill_rule.py), sending orders to a venue (strategy.py)
and keeping the journal (journal/) do not. Scan timestamps decide everything; wall time
comes in only as `Limits`.
"""

from collections.abc import Mapping

import msgspec

from dolphin_realtime.model.account import Account, DayPnl
from dolphin_realtime.model.decision import (
    Limits,
    Market,
    OrderIntent,
    TargetParams,
)
from dolphin_realtime.model.fill_rule import Execution, Tape, due
from dolphin_realtime.model.funding import FundingCharge, funding_charges, may_settle
from dolphin_realtime.model.gates import Book, Factors
from dolphin_realtime.model.instrument import InstrumentSpec, spec_of
from dolphin_realtime.model.market_posture import MarketPosture
from dolphin_realtime.model.marks import Marks
from dolphin_realtime.model.plan import (
    FLATTEN_LEG,
    CostParams,
    InFlight,
    Plan,
    order_id,
    usable_prices,
)
from dolphin_realtime.model.pre_trade import (
    Pace,
    PreTradeParams,
    Standing,
    check,
    let_through,
)
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.model.signal import SignalState
from dolphin_realtime.model.signal_params import SignalParams
from dolphin_realtime.model.target import Decisions, Wanted


class Desk:
    """State of one instance; `take` a scan, then `due` orders fill by `fill`."""

    def __init__(
        self,
        instance: str,
        signal: SignalParams | None = None,
        target: TargetParams | None = None,
        costs: CostParams | None = None,
        pre_trade: PreTradeParams | None = None,
    ) -> None:
        self.instance = instance
        self.signals = SignalState(signal)
        self.target = target or TargetParams()
        self.costs = costs or CostParams()
        self.pre_trade = pre_trade or PreTradeParams()
        self.account = Account(start_cash=self.costs.start_cash_usd, positions={})
        self.in_flight: dict[str, InFlight] = {}
        self.prices: dict[str, float] = {}
        self.instruments: dict[str, InstrumentSpec] = {}
        self.last_key: tuple[int, int] | None = None
        self.last_us = 0
        self.market_posture = MarketPosture()
        self.marks = Marks(peak=self.costs.start_cash_usd, sound=self.costs.start_cash_usd)
        self.pace = Pace()
        self.flattened_id, self.n_flattened = "", 0

    def take(
        self,
        scan: Scan,
        limits: Limits,
        book: Mapping[str, Book] | None = None,
        factors: Factors | None = None,
    ) -> Plan:
        """Step the signal, charge funding and decide; the orders are now in flight.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one.
        """
        plan = self._advance(scan, limits, book, factors)
        if plan.draft is not None:
            market = self._market(plan.prices)
            plan.rest = Decisions(Wanted.of(plan.draft), market, plan.limits, self.target)
            plan.decisions = list(plan.rest.first)
            self._send(plan, market)
        return plan

    def settle(self, plan: Plan) -> None:
        """Learn from a scan what only later ones need: after its orders have left."""
        if plan.draft is None:
            return
        self.signals.end()
        self.marks.is_doubtful = self._has_leapt(plan.prices)
        plan.decisions, plan.rest = plan.complete(), None
        self._learn(plan.prices)

    def follow(
        self,
        scan: Scan,
        orders: list[InFlight],
        book: Mapping[str, Book] | None = None,
        factors: Factors | None = None,
    ) -> Plan:
        """Take a scan that is too old to act on: everything but decisions.

        Args:
            scan: A scan that was missed, or handled by a process that died.
            orders: What that process had sent at this scan; they are in flight again.
            book: Order books at the scan.
            factors: External factors at the scan.
        """
        plan = self._advance(scan, Limits(), book, factors)
        plan.orders = orders
        if plan.is_new:
            self.in_flight.update({o.client_order_id: o for o in orders})
        return plan

    def _advance(
        self,
        scan: Scan,
        limits: Limits,
        book: Mapping[str, Book] | None,
        factors: Factors | None,
    ) -> Plan:
        """Step the signal and charge funding."""
        draft = self.signals.begin(scan, book, factors)
        plan = Plan(scan=scan, draft=draft, decisions=[], orders=[], funding=[], limits=limits)
        if draft is None:
            return plan
        plan.prices = usable_prices(draft)
        self.marks.begin_scan(scan.timestamp_us, self.account, self.equity)
        plan.funding = self._settle_funding(scan.timestamp_us, plan.prices, factors)
        self.market_posture.take(draft.flags, scan.timestamp_us)
        plan.limits = self.market_posture.tighten(limits, scan.timestamp_us)
        return plan

    def warm_up(self, scan: Scan) -> None:
        """Step only the signal with an archived scan, whatever epoch its reader gave it."""
        self.signals.order.epoch = 0
        draft = self.signals.begin(scan)
        if draft is not None:
            self.signals.end()
            self._learn(usable_prices(draft))
        self.signals.order.epoch = 0

    def equity(self) -> float:
        """Return cash plus open profit at the last prices seen."""
        return self.account.cash + self.account.unrealised(self.prices)

    def projected(self) -> dict[str, float]:
        """Return positions with everything in flight counted as filled, in units."""
        held = self.account.held()
        for order in self.in_flight.values():
            asset = order.order.asset
            held[asset] = held.get(asset, 0.0) + order.signed_quantity
        return {a: 0.0 if abs(q) < 1e-9 else q for a, q in held.items()}

    def due(self, tape: Tape) -> tuple[list[Execution], list[InFlight]]:
        """Return the orders of earlier scans that (fill, lapse unfilled) at this scan."""
        gap_us = round(self.signals.params.gap_max_s * 1e6)
        return due(self.in_flight.values(), tape, gap_us, self.costs, self.instruments)

    def fill(self, order_id: str, quantity: float, price: float, fee: float, mid: float) -> float:
        """Book a fill of an order in flight and return the profit it realised.

        Raises:
            KeyError: If the order is not in flight: a fill is booked once.
        """
        order = self.in_flight.pop(order_id)
        signed = quantity if order.order.side == "BUY" else -quantity
        realised = self.account.apply_fill(order.order.asset, signed, price, fee)
        self.account.slippage += quantity * abs(price - mid)
        if self.marks.day is not None:
            self.marks.day.trades += 1
        return realised

    def lapse(self, order_id: str) -> None:
        """Forget an order that was cancelled or refused."""
        self.in_flight.pop(order_id, None)

    def mark(self) -> DayPnl:
        """Close the books of a scan: return the day's figures at the last prices."""
        return self.marks.mark(self.equity())

    def flatten(self) -> list[InFlight]:
        """Close every position, decided at the last scan; each time with ids of its own."""
        self.n_flattened += 1
        epoch, number = self.last_key or (0, 0)
        orders = []
        for asset, held in self.account.held().items():
            side = "SELL" if held > 0.0 else "BUY"
            intent = OrderIntent(
                asset=asset,
                side=side,
                quantity=abs(held),
                leg=f"{FLATTEN_LEG}{self.n_flattened}",
                is_reduce_only=True,
            )
            orders.append(self._fly(intent, epoch, number, self.last_us))
        return orders

    def add_instruments(self, assets: list[str]) -> None:
        """Make new names tradable."""
        for asset in assets:
            if asset not in self.instruments:
                spec = spec_of(asset)
                if spec is not None:
                    self.instruments[asset] = spec

    def _has_leapt(self, prices: Mapping[str, float]) -> bool:
        """Return whether a held asset's price moved beyond the collar: no peak is made of it."""
        collar = self.pre_trade.max_price_move
        return any(
            abs(prices[a] / self.prices[a] - 1.0) > collar
            for a in self.account.held()
            if a in prices and self.prices.get(a)
        )

    def _learn(self, prices: Mapping[str, float]) -> None:
        self.add_instruments(list(prices))
        self.prices.update(prices)
        order = self.signals.order
        self.last_key, self.last_us = (order.epoch, order.scan_number), order.timestamp_us

    def _market(self, prices: Mapping[str, float]) -> Market:
        return Market(
            prices=prices,
            last_prices=self.prices,
            held=self.projected(),
            equity=self.account.cash + self.account.unrealised(prices, self.prices),
            instruments=self.instruments,
        )

    def _send(self, plan: Plan, market: Market) -> None:
        """Put what the limits let through in flight; a stopped order gives its code as reason."""
        if not any(d.orders for d in plan.decisions):
            return
        standing = self._standing(plan.scan.timestamp_us, market)
        for n, decision in enumerate(plan.decisions):
            kept, code = [], None
            for intent in decision.orders:
                refusal = check(intent, standing, self.pre_trade)
                if refusal is not None:
                    plan.refusals.append(refusal)
                    code = refusal.code
                    continue
                let_through(intent, standing)
                kept.append(intent)
                number, now_us = plan.scan.scan_number, plan.scan.timestamp_us
                plan.orders.append(self._fly(intent, plan.key[0], number, now_us))
            if code is not None:
                plan.decisions[n] = msgspec.structs.replace(
                    decision, orders=tuple(kept), reason=code
                )

    def _standing(self, now_us: int, market: Market) -> Standing:
        self.pace.at(now_us)
        now, before = market.prices, market.last_prices
        return Standing(
            now_us=now_us,
            prices=market.prices,
            last_prices=market.last_prices,
            notionals={
                a: q * (now.get(a) or before.get(a, 0.0)) for a, q in market.held.items() if q
            },
            equity=market.equity,
            day_loss_share=self.marks.day_loss(market.equity, now_us),
            instruments=self.instruments,
            pace=self.pace,
        )

    def _fly(self, intent: OrderIntent, epoch: int, scan_number: int, now_us: int) -> InFlight:
        order = InFlight(
            client_order_id=order_id(self.instance, epoch, scan_number, intent),
            order=intent,
            epoch=epoch,
            scan_number=scan_number,
            decided_us=now_us,
        )
        self.in_flight[order.client_order_id] = order
        return order

    def _settle_funding(
        self, now_us: int, prices: Mapping[str, float], factors: Factors | None
    ) -> list[FundingCharge]:
        if not may_settle(self.last_us, now_us):
            return []
        known = {**self.prices, **prices}
        charges = funding_charges(self.account.held(), known, factors, self.last_us, now_us)
        self.account.funding += sum(charge.amount for charge in charges)
        return charges
