"""What one scan makes a desk do: orders, funding, costs, as records.

Records and their small rules belong here; deciding is desk.py's and target.py's.
"""

from typing import Annotated, Final

import msgspec

from dolphin_realtime.model.decision import Decision, Limits, OrderIntent
from dolphin_realtime.model.funding import FundingCharge
from dolphin_realtime.model.pre_trade import Refusal
from dolphin_realtime.model.scan import Scan
from dolphin_realtime.model.signal_draft import Draft
from dolphin_realtime.model.signal_result import Signal
from dolphin_realtime.model.target import Decisions

NonNegative = Annotated[float, msgspec.Meta(ge=0)]


class CostParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cost model, shared by paper and backtest."""

    start_cash_usd: Annotated[float, msgspec.Meta(gt=0)] = 100_000.0
    half_spread_bps: NonNegative = 2.0
    taker_fee_bps: NonNegative = 5.0
    maker_fee_bps: NonNegative = 2.0
    venue_latency_ms: NonNegative = 50.0


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was sent and has no outcome yet."""

    client_order_id: str
    order: OrderIntent
    epoch: int
    scan_number: int
    decided_us: int

    @property
    def signed_quantity(self) -> float:
        """Quantity in units, positive for BUY."""
        return self.order.quantity if self.order.side == "BUY" else -self.order.quantity


class Plan(msgspec.Struct, kw_only=True):
    """What one scan made the desk do: all of it goes to the journal.

    Attributes:
        decisions: Of the assets that move; `complete` adds every other one with a signal or
            a position. The reason of the rest is the signal's own.
        refusals: Orders that a pre-trade limit stopped.
        draft: The scan's signals; None for a repeat.
        prices: The scan's usable prices.
    """

    scan: Scan
    draft: Draft | None
    decisions: list[Decision]
    orders: list[InFlight]
    funding: list[FundingCharge]
    limits: Limits
    refusals: list[Refusal] = []
    rest: Decisions | None = None
    prices: dict[str, float] = {}

    @property
    def is_new(self) -> bool:
        """Whether the scan was not one already handled."""
        return self.draft is not None

    @property
    def key(self) -> tuple[int, int]:
        """(epoch, scan_number) of a scan that is new."""
        if self.draft is None:
            raise AssertionError("a repeated scan has no key of its own")
        return self.draft.epoch, self.scan.scan_number

    @property
    def signal(self) -> Signal:
        """The whole signal; there once the desk has settled the scan."""
        if self.draft is None or self.draft.record is None:
            raise AssertionError("the scan is not settled")
        return self.draft.record

    def complete(self) -> list[Decision]:
        """Return all decisions in scan order; those that move as they stand by now."""
        if self.rest is None:
            return self.decisions
        done = {d.asset: d for d in self.decisions}
        return [done.get(d.asset, d) for d in self.rest.all()]


FLATTEN_LEG: Final = "F"


def order_id(instance: str, epoch: int, scan_number: int, intent: OrderIntent) -> str:
    """Return the client order id: the same order of the same scan always has the same one."""
    return f"{instance}-{epoch}-{scan_number}-{intent.asset}-{intent.leg}"


def usable_prices(draft: Draft) -> dict[str, float]:
    """Return the prices of a scan that may be traded at: none of a failed scan's."""
    if draft.usable is None and draft.failed is None:
        return dict(zip(draft.names, draft.scan.prices, strict=True))  # type: ignore[arg-type]
    return dict(zip(draft.names, draft.prices.tolist(), strict=True))
