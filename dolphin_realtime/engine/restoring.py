"""Orders that only bring a core's position to what the portfolio already holds: nobody hears of them.

The core knows positions by fills alone: one that the journal has, or that a person changed, is
opened or closed in it by such an order.
"""

from typing import Final

from dolphin_realtime.model.orders import InFlight, OrderIntent

RESTORED: Final = "RESTORED"
"""What their ids begin with."""


def restoring(asset: str, signed: float, n: int) -> InFlight:
    """Return the order that changes a core's position by ``signed`` units; ``n`` makes it one of its kind."""
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
