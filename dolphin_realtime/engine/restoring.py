"""Internal orders that bring a core's position to the portfolio's; they are never reported.

The core derives positions from fills only. A position from the journal, or one that an operator
changed, is set in the core by such an order.
"""

from typing import Final

from dolphin_realtime.model.orders import InFlight, OrderIntent

RESTORED: Final = "RESTORED"
"""Prefix of their ids."""


def restoring(asset: str, signed: float, n: int) -> InFlight:
    """Return the order that changes a core's position by ``signed`` units; ``n`` is its number."""
    intent = OrderIntent(
        asset=asset,
        side="BUY" if signed > 0.0 else "SELL",
        quantity=abs(signed),
        leg="O",
        is_reduce_only=False,
    )
    return InFlight(
        client_order_id=f"{RESTORED}-{n}-{asset}",
        order=intent,
        epoch=0,
        scan_number=0,
        decided_us=0,
    )
