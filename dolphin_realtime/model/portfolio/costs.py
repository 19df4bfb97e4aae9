"""What trading costs: the settings of the paper venue's cost model."""

from typing import Annotated

import msgspec

NonNegative = Annotated[float, msgspec.Meta(ge=0)]


class CostParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cost model, shared by paper and backtest; basis points are of the notional.

    Attributes:
        start_cash_usd: Starting cash of the account, USDT.
        half_spread_bps: Half of the modelled spread.
        taker_fee_bps: Fee of a market order.
        maker_fee_bps: Fee of a resting order; not used yet: every order is a market order.
        venue_latency_ms: An order fills at the first quote at least this much later.
    """

    start_cash_usd: Annotated[float, msgspec.Meta(gt=0)] = 100_000.0
    half_spread_bps: NonNegative = 2.0
    taker_fee_bps: NonNegative = 5.0
    maker_fee_bps: NonNegative = 2.0
    venue_latency_ms: NonNegative = 50.0
