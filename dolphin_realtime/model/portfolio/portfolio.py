"""The trading portfolio: the state of one trader, and what it does at one scan. Pure.

The sequence of work at a scan (signal, funding, decision, limits, then fills) and orders in
flight belong here; the fill rule (fill_rule.py), sending orders (engine/), the turn (trading/) and
the journal do not. Scan timestamps are the only clock; wall time is in `TradingPermission` alone.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from dolphin_realtime.model.market.instrument import OTHER, InstrumentSpec
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.market.venue import Venue, paper_venue
from dolphin_realtime.model.orders import (
    FLATTEN_LEG,
    InFlight,
    OrderEvent,
    OrderIntent,
    OrderState,
    Traded,
    advanced,
    base36,
    closing,
    order_id,
    owner_of,
    unknown_assets,
)
from dolphin_realtime.model.portfolio.account import Account, DayPnl
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.decision import Market, TargetParams
from dolphin_realtime.model.portfolio.equity_curve import EquityCurve
from dolphin_realtime.model.portfolio.fill_rule import Execution, MarketSnapshot, due
from dolphin_realtime.model.portfolio.funding import FundingClock
from dolphin_realtime.model.portfolio.plan import Plan, sound_prices
from dolphin_realtime.model.portfolio.position_change import PositionChange
from dolphin_realtime.model.portfolio.screening import screen
from dolphin_realtime.model.portfolio.sizing import Decisions, TargetWeights
from dolphin_realtime.model.portfolio.unpriced import Unpriced, unpriced
from dolphin_realtime.model.risk.exposure import Exposure, Pace
from dolphin_realtime.model.risk.market_posture import MarketPosture
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.pre_trade import PreTradeParams
from dolphin_realtime.model.signal.gates import Book, Factors
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.model.signal.state import SignalState

NO_LIFE: Final = "0000"
"""Life of a portfolio that has no journal life, as in a backtest."""


class Portfolio:
    """State of one instance: `decide` on a scan, `match` its orders later, `book` what happens.

    Attributes:
        life: Four random characters of the journal; part of every order's id.
        unpriced: Held assets that had no sound price at the last scan.
        changes: The operator's last change of each asset's position, until it is traded again.
    """

    def __init__(
        self,
        instance: str,
        signal: SignalParams | None = None,
        target: TargetParams | None = None,
        costs: CostParams | None = None,
        pre_trade: PreTradeParams | None = None,
        venue: Venue | None = None,
    ) -> None:
        self.instance = instance
        self.signals = SignalState(signal)
        self.target = target or TargetParams()
        self.costs = costs or CostParams()
        self.pre_trade = pre_trade or PreTradeParams()
        self.venue = venue or paper_venue(self.costs)
        self.life = NO_LIFE
        self.account = Account(start_cash=self.costs.start_cash_usd, positions={})
        self.in_flight: dict[str, InFlight] = {}
        self.prices: dict[str, float] = {}
        self.instruments: dict[str, InstrumentSpec] = {}
        self.last_key: tuple[int, int] | None = None
        self.last_us = 0
        self.market_posture = MarketPosture()
        self.marks = EquityCurve(peak=self.costs.start_cash_usd)
        self.unpriced: dict[str, Unpriced] = {}
        self.changes: dict[str, PositionChange] = {}
        self.pace = Pace()
        self.funding = FundingClock()
        self.flattened_id, self.n_flattened = "", 0

    def decide(
        self, scan: Scan, limits: TradingPermission, book: Mapping[str, Book] | None = None,
        factors: Factors | None = None,
    ) -> Plan:  # fmt: skip
        """Step the signal, charge funding and decide; afterwards the orders are in flight.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one.
        """
        plan = self._advance(scan, limits, book, factors)
        if plan.draft is not None:
            market = self._market(plan.prices)
            plan.rest = Decisions(TargetWeights.of(plan.draft), market, plan.limits, self.target)
            plan.decisions = list(plan.rest.first)
            self._send(plan, market)
        return plan

    def finish_scan(self, plan: Plan) -> None:
        """Update what only later scans need; called after this scan's orders were sent."""
        if plan.draft is None:
            return
        self.signals.end()
        plan.decisions, plan.rest = plan.complete(), None
        self._learn(plan.prices)
        self.funding.learn(self.account.held(), plan.factors)
        self.unpriced = unpriced(
            self.account.held(), plan.draft, self.signals.sound, self.unpriced, self.last_us
        )

    def catch_up(
        self, scan: Scan, orders: list[InFlight], limits: TradingPermission,
        book: Mapping[str, Book] | None = None, factors: Factors | None = None,
    ) -> Plan:  # fmt: skip
        """Process a scan that is too old to act on: all steps but the decisions.

        ``orders`` had been sent at it by a process that died: they are in flight again. The other
        arguments are as they were at the scan.
        """
        plan = self._advance(scan, limits, book, factors)
        plan.orders = orders
        if plan.is_new:
            self.in_flight.update({o.client_order_id: o for o in orders})
        return plan

    def _advance(
        self, scan: Scan, limits: TradingPermission, book: Mapping[str, Book] | None,
        factors: Factors | None,
    ) -> Plan:  # fmt: skip
        """Step the signal and charge funding."""
        draft = self.signals.begin(scan, book, factors)
        plan = Plan(scan=scan, draft=draft, decisions=[], orders=[], funding=[], limits=limits)
        if draft is None:
            return plan
        plan.prices = sound_prices(draft)
        self.marks.begin_scan(scan.timestamp_us, self.account, self.equity)
        known, held = {**self.prices, **plan.prices}, self.account.held()
        if not self.venue.is_real:
            before_us, now_us = self.last_us, scan.timestamp_us
            plan.funding = self.funding.settle(held, known, factors, before_us, now_us)
        self.account.funding += sum(charge.amount for charge in plan.funding)
        plan.factors = factors
        self.market_posture.update(draft.flags, scan.timestamp_us)
        plan.limits = self.market_posture.tighten(limits, scan.timestamp_us)
        return plan

    def warm_up(self, scan: Scan) -> None:
        """Step only the signal with an archived scan; its epoch is ignored."""
        self.signals.order.epoch = 0
        draft = self.signals.begin(scan)
        if draft is not None:
            self.signals.end()
            self._learn(sound_prices(draft))
        self.signals.order.epoch = 0

    def equity(self) -> float:
        """Return cash plus unrealised profit at the last sound prices."""
        return self.account.cash + self.account.unrealised(self.prices)

    def projected(self) -> dict[str, float]:
        """Return the positions in units, with all orders in flight counted as filled."""
        held = self.account.held()
        for order in self.in_flight.values():
            asset = order.order.asset
            held[asset] = held.get(asset, 0.0) + order.left
        return {a: round(q, self.digits(a)) for a, q in held.items()}

    def digits(self, asset: str) -> int:
        """Return the decimal places of an asset's size: its step is the last of them."""
        return self.instruments.get(asset, OTHER).size_precision

    def match(self, snapshot: MarketSnapshot) -> tuple[list[Execution], list[InFlight]]:
        """Return (fills, orders to cancel as UNFILLED) among the orders of earlier scans."""
        gap_us = round(self.signals.params.gap_max_s * 1e6)
        return due(self.in_flight.values(), snapshot, gap_us, self.costs, self.instruments)

    def book(self, event: OrderEvent, mid: float = 0.0) -> float:
        """Book an event of an order in flight; return the profit that a fill realised.

        Args:
            event: The event.
            mid: The market's mid at a fill, for its slippage.

        Raises:
            KeyError: If the order is not in flight: a fill is booked once.
            OrderMismatch: If the event contradicts the order; nothing is booked.
        """
        order = self.in_flight[event.order_id]
        after = advanced(order, event, self.digits(order.order.asset))
        if after is None:
            del self.in_flight[event.order_id]
        else:
            self.in_flight[event.order_id] = after
        return self._book_fill(order, event, mid) if isinstance(event, Traded) else 0.0

    def _book_fill(self, order: InFlight, fill: Traded, mid: float) -> float:
        asset, quantity = order.order.asset, fill.quantity
        self.changes.pop(asset, None)
        signed = quantity if order.order.side == "BUY" else -quantity
        digits = self.digits(asset)
        said = None if fill.venue is None else fill.venue.realised
        realised = self.account.apply_fill(asset, signed, fill.price, fill.fee, digits, said)
        self.account.slippage += quantity * abs(fill.price - mid)
        if self.marks.day is not None:
            self.marks.day.trades += 1
        return realised

    def mark_sent(self, order_ids: Iterable[str]) -> None:
        """Note that orders have been handed over."""
        for i in order_ids:
            order = self.in_flight.get(i)
            if order is not None and order.state is OrderState.INTENDED:
                self.in_flight[i] = msgspec.structs.replace(order, state=OrderState.SENT)

    def take_back(self, orders: Iterable[InFlight]) -> None:
        """Remove orders that were never sent."""
        for order in orders:
            self.in_flight.pop(order.client_order_id, None)

    def mark(self) -> DayPnl:
        """Mark the portfolio at the last prices and return the day's figures."""
        return self.marks.mark(self.equity())

    def flatten(self) -> list[InFlight]:
        """Put orders in flight that close every position, each time under new ids; return them."""
        self.n_flattened += bool(self.account.held())
        epoch, number = self.last_key or (0, 0)
        leg = f"{FLATTEN_LEG}{base36(self.n_flattened, 1)}"
        return [
            self._fly(closing(asset, held, self.digits(asset), leg), epoch, number, self.last_us)
            for asset, held in self.account.held().items()
        ]

    def add_instruments(self, assets: list[str]) -> None:
        """Add the instruments of new assets."""
        for asset in assets:
            if asset not in self.instruments:
                spec = self.venue.spec(asset)
                if spec is not None:
                    self.instruments[asset] = spec

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
        """Put the orders that the pre-trade limits allow in flight."""
        if not any(d.orders for d in plan.decisions):
            return
        (epoch, number), now_us = plan.key, plan.scan.timestamp_us
        standing = self._standing(market, now_us, self.pace, self.in_flight.values())
        fly = lambda intent: self._fly(intent, epoch, number, now_us)  # noqa: E731
        screen(plan, standing, self.pre_trade, fly)

    def standing(self, plan: Plan, pace: Pace, in_flight: Iterable[InFlight]) -> Exposure | None:
        """Return what a plan's orders were checked against, from pace and orders as they were before.

        None if nothing was decided.
        """
        if plan.rest is None:
            return None
        return self._standing(plan.rest.market, plan.scan.timestamp_us, pace, in_flight)

    def _standing(
        self, market: Market, now_us: int, pace: Pace, in_flight: Iterable[InFlight]
    ) -> Exposure:
        pace.at(now_us)
        day_loss = self.marks.day_loss(market.equity, now_us)
        return Exposure.of(market, now_us, day_loss, pace, unknown_assets(in_flight))

    def _fly(self, intent: OrderIntent, epoch: int, scan_number: int, now_us: int) -> InFlight:
        name = order_id(owner_of(self.instance, self.life), epoch, scan_number, intent)
        order = InFlight(client_order_id=name, order=intent, epoch=epoch, scan_number=scan_number,
                         decided_us=now_us)  # fmt: skip
        self.in_flight[name] = order
        return order
