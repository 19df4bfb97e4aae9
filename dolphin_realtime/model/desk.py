"""The trading desk: everything a trader remembers, and what one scan makes it do. Pure.

The order of work at a scan (signal, funding, decision, then fills), orders in flight and
the fill rule belong here; sending orders to a venue (strategy.py) and keeping the journal
(journal.py) do not. Two clocks: scan timestamps decide everything; wall time comes in only
as `Limits`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dolphin_realtime.model.account import Account, DayPnl
from dolphin_realtime.model.funding import FundingCharge, funding_charges
from dolphin_realtime.model.gates import Book, Factors
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.instrument import InstrumentSpec, spec_of
from dolphin_realtime.model.plan import (
    CostParams,
    InFlight,
    Plan,
    Quote,
    order_id,
    usable_prices,
)
from dolphin_realtime.model.posture import Posture
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.model.signal import SignalState
from dolphin_realtime.model.signal_params import SignalParams
from dolphin_realtime.model.signal_result import Signal
from dolphin_realtime.model.target import (
    Decision,
    Limits,
    Market,
    TargetParams,
    decide,
)

FROZEN_SCANS: Final = 3
SHOCK_REDUCED_US: Final = 900 * 1_000_000


class Desk:
    """State of one instance; `take` a scan, then `due` orders fill by `fill`."""

    def __init__(
        self,
        instance: str,
        signal: SignalParams | None = None,
        target: TargetParams | None = None,
        costs: CostParams | None = None,
    ) -> None:
        self.instance = instance
        self.signals = SignalState(signal)
        self.target = target or TargetParams()
        self.costs = costs or CostParams()
        self.account = Account(start_cash=self.costs.start_cash_usd, positions={})
        self.in_flight: dict[str, InFlight] = {}
        self.prices: dict[str, float] = {}
        self.instruments: dict[str, InstrumentSpec] = {}
        self.last_key: tuple[int, int] | None = None
        self.last_us = 0
        self.frozen_run = 0
        self.shock_until_us = 0
        self.day: DayPnl | None = None

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
        plan, prices, known = self._advance(scan, limits, book, factors)
        if plan.is_new:
            plan.decisions = self._decide(plan.signal, prices, known, plan.limits)
            plan.orders = self._send(scan, plan.signal, plan.decisions)
            self._learn(prices)
        return plan

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
        plan, prices, _ = self._advance(scan, Limits(), book, factors)
        plan.orders = orders
        if plan.is_new:
            self.in_flight.update({o.client_order_id: o for o in orders})
            self._learn(prices)
        return plan

    def _advance(
        self,
        scan: Scan,
        limits: Limits,
        book: Mapping[str, Book] | None,
        factors: Factors | None,
    ) -> tuple[Plan, dict[str, float], dict[str, float]]:
        """Step the signal and charge funding; return plan, this scan's prices, newest prices."""
        before = self.signals.last
        signal = self.signals.step(scan, book, factors)
        plan = Plan(scan=scan, signal=signal, decisions=[], orders=[], funding=[], limits=limits)
        if signal is before:
            plan.is_new = False
            return plan, {}, {}
        prices = usable_prices(scan, signal)
        known = {**self.prices, **prices}
        plan.funding = self._settle(scan.timestamp_us, known, factors)
        plan.limits = self._own_limits(signal, limits)
        return plan, prices, known

    def warm_up(self, scan: Scan) -> None:
        """Step only the signal with an archived scan, whatever epoch its reader gave it."""
        self.signals.order.epoch = 0
        self._learn(usable_prices(scan, self.signals.step(scan)))
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

    def due(self, scan: Scan, prices: Mapping[str, float]) -> tuple[list[InFlight], list[InFlight]]:
        """Return the orders of earlier scans that (fill, lapse unfilled) at this scan."""
        latency_us = round(self.costs.venue_latency_ms * 1000)
        gap_us = round(self.signals.params.gap_max_s * 1e6)
        fills, lapses = [], []
        for order in self.in_flight.values():
            waited_us = scan.timestamp_us - order.decided_us
            if waited_us <= 0:
                continue
            if waited_us > gap_us:
                lapses.append(order)
            elif waited_us >= latency_us and order.order.asset in prices:
                fills.append(order)
        return fills, lapses

    def quote(self, asset: str, mid: float) -> Quote:
        """Return the modelled book of an asset: mid +- half spread, at the price precision."""
        digits = self.instruments[asset].price_precision
        half = mid * self.costs.half_spread_bps * 1e-4
        return Quote(
            asset=asset, mid=mid, bid=round(mid - half, digits), ask=round(mid + half, digits)
        )

    def fill(self, order_id: str, quantity: float, price: float, fee: float, mid: float) -> float:
        """Book a fill of an order in flight and return the profit it realised.

        Raises:
            KeyError: If the order is not in flight: a fill is booked once.
        """
        order = self.in_flight.pop(order_id)
        signed = quantity if order.order.side == "BUY" else -quantity
        realised = self.account.apply_fill(order.order.asset, signed, price, fee)
        self.account.slippage += quantity * abs(price - mid)
        if self.day is not None:
            self.day.trades += 1
        return realised

    def lapse(self, order_id: str) -> None:
        """Forget an order that was cancelled or refused."""
        self.in_flight.pop(order_id, None)

    def mark(self, timestamp_us: int) -> DayPnl:
        """Close the books of a scan: return the day's figures at the last prices."""
        day = from_us(timestamp_us).date().isoformat()
        equity = self.equity()
        if self.day is None or self.day.day != day:
            a = self.account
            start = equity if self.day is None else self.day.equity
            self.day = DayPnl(day, start, a.realised, a.fees, a.funding)
        self.day.mark(equity)
        return self.day

    def add_instruments(self, assets: list[str]) -> None:
        """Make new names tradable."""
        for asset in assets:
            if asset not in self.instruments:
                spec = spec_of(asset)
                if spec is not None:
                    self.instruments[asset] = spec

    def _learn(self, prices: Mapping[str, float]) -> None:
        self.add_instruments(list(prices))
        self.prices.update(prices)
        order = self.signals.order
        self.last_key, self.last_us = (order.epoch, order.scan_number), order.timestamp_us

    def _own_limits(self, signal: Signal, limits: Limits) -> Limits:
        self.frozen_run = self.frozen_run + 1 if "frozen" in signal.flags else 0
        if "shock" in signal.flags:
            self.shock_until_us = signal.timestamp_us + SHOCK_REDUCED_US
        posture = limits.posture
        if signal.timestamp_us < self.shock_until_us and posture is Posture.NORMAL:
            posture = Posture.REDUCED
        if self.frozen_run > FROZEN_SCANS and posture.rank < Posture.CLOSE_ONLY.rank:
            posture = Posture.CLOSE_ONLY
        return Limits(posture=posture, entry_block=limits.entry_block)

    def _decide(
        self,
        signal: Signal,
        prices: Mapping[str, float],
        known: Mapping[str, float],
        limits: Limits,
    ) -> list[Decision]:
        held = self.projected()
        rows = {
            asset: (value, reason)
            for asset, value, reason in zip(
                signal.assets, signal.signal, signal.reason, strict=True
            )
            if value or held.get(asset)
        }
        unlisted = {a: (0.0, "ABSENT") for a, q in held.items() if q != 0.0 and a not in rows}
        market = Market(
            prices=prices,
            last_prices=self.prices,
            held=held,
            equity=self.account.cash + self.account.unrealised(known),
            instruments=self.instruments,
        )
        return decide({**rows, **unlisted}, market, limits, self.target)

    def _send(self, scan: Scan, signal: Signal, decisions: list[Decision]) -> list[InFlight]:
        orders = []
        for decision in decisions:
            for intent in decision.orders:
                order = InFlight(
                    client_order_id=order_id(self.instance, signal.epoch, scan.scan_number, intent),
                    order=intent,
                    epoch=signal.epoch,
                    scan_number=scan.scan_number,
                    decided_us=scan.timestamp_us,
                )
                orders.append(order)
                self.in_flight[order.client_order_id] = order
        return orders

    def _settle(
        self, now_us: int, prices: Mapping[str, float], factors: Factors | None
    ) -> list[FundingCharge]:
        charges = funding_charges(self.account.held(), prices, factors, self.last_us, now_us)
        self.account.funding += sum(charge.amount for charge in charges)
        return charges

    def save(self) -> bytes:
        """Return everything but the parameters as MessagePack; nothing is rounded."""
        saved: dict[str, Any] = {
            "instance": self.instance,
            "signals": self.signals.save(),
            "account": self.account,
            "in_flight": list(self.in_flight.values()),
            "prices": self.prices,
            "instruments": self.instruments,
            "last_key": self.last_key,
            "last_us": self.last_us,
            "frozen_run": self.frozen_run,
            "shock_until_us": self.shock_until_us,
            "day": self.day,
        }
        return msgspec.msgpack.encode(saved)

    def restore(self, saved: bytes) -> None:
        """Take the state held in what `save` returned; the parameters stay this desk's."""
        raw = msgspec.msgpack.decode(saved)
        params = self.signals.params
        self.signals = SignalState.load(raw["signals"])
        self.signals.params = params
        self.account = msgspec.convert(raw["account"], Account)
        flying = msgspec.convert(raw["in_flight"], list[InFlight])
        self.in_flight = {o.client_order_id: o for o in flying}
        self.prices = raw["prices"]
        self.instruments = msgspec.convert(raw["instruments"], dict[str, InstrumentSpec])
        self.last_key = None if raw["last_key"] is None else tuple(raw["last_key"])
        self.last_us = raw["last_us"]
        self.frozen_run, self.shock_until_us = raw["frozen_run"], raw["shock_until_us"]
        self.day = None if raw["day"] is None else msgspec.convert(raw["day"], DayPnl)
