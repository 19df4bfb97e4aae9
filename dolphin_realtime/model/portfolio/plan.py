"""What one scan makes a portfolio do: orders, funding, costs, as records.

Records and their small rules belong here; deciding is portfolio.py's and target.py's.
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
    """What one scan made the portfolio do: all of it goes to the journal.

    Attributes:
        decisions: Of the assets that move; `complete` adds every other one with a signal or
            a position. The reason of the rest is the signal's own.
        refusals: Orders that a pre-trade limit stopped.
        draft: The scan's signals; None for a repeat.
        prices: The scan's sound prices.
        sent_ns: When the first and the last order had been handed over, monotonic; None: none was.
        latency_us: From the scan's callback to the last order, None where not measured.
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
        """The whole signal; there once the portfolio has settled the scan."""
        if self.draft is None or self.draft.record is None:
            raise AssertionError("the scan is not settled")
        return self.draft.record

    def give_up(self, reason: str) -> None:
        """Drop the orders, none of which has left; their decisions say why."""
        self.orders = []
        self.decisions = [
            msgspec.structs.replace(d, orders=(), reason=reason) if d.orders else d
            for d in self.decisions
        ]

    def complete(self) -> list[Decision]:
        """Return all decisions in scan order; those that move as they stand by now."""
        if self.rest is None:
            return self.decisions
        done = {d.asset: d for d in self.decisions}
        return [done.get(d.asset, d) for d in self.rest.all()]


def sound_prices(draft: SignalInProgress) -> dict[str, float]:
    """Return the sound prices of a scan: none of a failed scan's."""
    if draft.verdict is None and draft.failed is None:
        return dict(zip(draft.names, draft.scan.prices, strict=True))  # type: ignore[arg-type]
    return dict(zip(draft.names, draft.prices.tolist(), strict=True))
