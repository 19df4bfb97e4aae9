"""Pre-trade screening of a plan's orders: which may be sent, and the refusal code of the others.

Applying the limits to one scan's orders belongs here; the limits are in risk/pre_trade.py. An
order that is refused, or gets no id, never stops another.
"""

from collections.abc import Callable

import msgspec

from dolphin_realtime.model.errors import NoOrderId
from dolphin_realtime.model.orders import SCANS, InFlight, OrderIntent
from dolphin_realtime.model.portfolio.plan import Plan
from dolphin_realtime.model.risk.exposure import Exposure
from dolphin_realtime.model.risk.pre_trade import (
    PreTradeParams,
    Refusal,
    check,
    record_sent,
    refusal_of,
)


def screen(
    plan: Plan, exposure: Exposure, p: PreTradeParams, fly: Callable[[OrderIntent], InFlight]
) -> None:
    """Add the orders of a plan's decisions that may be sent to it, and the refusals of the others.

    Args:
        plan: The plan; a decision with a refused order gets the refusal's code as its reason.
        exposure: The exposure that the limits are checked against.
        p: The limits' bounds.
        fly: Gives an order its id and puts it in flight.
    """
    for n, decision in enumerate(plan.decisions):
        kept, code = [], None
        for intent in decision.orders:
            order = _let_through(intent, exposure, p, fly)
            if isinstance(order, Refusal):
                plan.refusals.append(order)
                code = order.code
            else:
                kept.append(intent)
                plan.orders.append(order)
        if code is not None:
            plan.decisions[n] = msgspec.structs.replace(decision, orders=tuple(kept), reason=code)


def _let_through(
    intent: OrderIntent,
    exposure: Exposure,
    p: PreTradeParams,
    fly: Callable[[OrderIntent], InFlight],
) -> InFlight | Refusal:
    refusal = check(intent, exposure, p)
    if refusal is not None:
        return refusal
    try:
        order = fly(intent)
    except NoOrderId:
        return refusal_of(intent, "NO_ORDER_ID", 1.0 + SCANS, float(SCANS))
    record_sent(intent, exposure)
    return order
