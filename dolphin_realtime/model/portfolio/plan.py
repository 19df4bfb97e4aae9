"""The plan of one scan: decisions, orders, refusals and funding charges, as records.

Records and their small rules belong here; decisions are made in portfolio.py and sizing.py.
"""

import msgspec

from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.portfolio.decision import Decision
from dolphin_realtime.model.portfolio.funding import FundingCharge
from dolphin_realtime.model.portfolio.sizing import Decisions
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.pre_trade import Refusal
from dolphin_realtime.model.signal.gates import Factors
from dolphin_realtime.model.signal.in_progress import SignalInProgress
from dolphin_realtime.model.signal.result import Signal


class Plan(msgspec.Struct, kw_only=True):
    """Everything that the portfolio does at one scan; all of it is journalled.

    Attributes:
        decisions: Decisions of the assets that move; `complete` adds every other asset with a
            signal or a position. For all remaining assets the reason is the signal's own.
        refusals: Orders that a pre-trade limit stopped.
        draft: The signal in progress; None for a repeated scan.
        prices: The scan's sound prices.
        sent_ns: When the first and the last order had been handed over, monotonic; None if no
            order was sent.
        latency_us: From the scan's callback to the last order, None if not measured.
    """

    scan: Scan
    draft: SignalInProgress | None
    decisions: list[Decision]
    orders: list[InFlight]
    funding: list[FundingCharge]
    limits: TradingPermission
    refusals: list[Refusal] = []
    rest: Decisions | None = None
    prices: dict[str, float] = {}
    factors: Factors | None = None
    sent_ns: tuple[int, int] | None = None
    latency_us: float | None = None

    @property
    def is_new(self) -> bool:
        """Whether the scan had not been handled before."""
        return self.draft is not None

    @property
    def key(self) -> tuple[int, int]:
        """(epoch, scan_number) of a new scan."""
        if self.draft is None:
            raise AssertionError("a repeated scan has no key of its own")
        return self.draft.epoch, self.scan.scan_number

    @property
    def signal(self) -> Signal:
        """The complete signal; available once `finish_scan` was called."""
        if self.draft is None or self.draft.record is None:
            raise AssertionError("the scan is not settled")
        return self.draft.record

    def give_up(self, reason: str) -> None:
        """Drop all orders (none was sent) and give their decisions the reason."""
        self.orders = []
        self.decisions = [
            msgspec.structs.replace(d, orders=(), reason=reason) if d.orders else d
            for d in self.decisions
        ]

    def complete(self) -> list[Decision]:
        """Return all decisions in scan order, those in ``decisions`` as they are now."""
        if self.rest is None:
            return self.decisions
        done = {d.asset: d for d in self.decisions}
        return [done.get(d.asset, d) for d in self.rest.all()]


def sound_prices(draft: SignalInProgress) -> dict[str, float]:
    """Return the sound prices of a scan; empty for a failed scan."""
    if draft.verdict is None and draft.failed is None:
        return dict(zip(draft.names, draft.scan.prices, strict=True))  # type: ignore[arg-type]
    return dict(zip(draft.names, draft.prices.tolist(), strict=True))
