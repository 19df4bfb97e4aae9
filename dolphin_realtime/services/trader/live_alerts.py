"""Alerts of a live trader: each start, and each finding when it comes and when it is over."""

from typing import Any, Final

from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.live_findings import Finding
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.trader.live_account import LiveAccount

UNSEEN: Final = "VENUE_UNSEEN"
"""The finding of a start, until the account was looked at."""
RUNBOOK: Final = "docs/runbook.md#when-the-venue-is-not-well"


def tell_start(context: ServiceContext, account: LiveAccount, portfolio: Portfolio) -> None:
    """Tell that live trading began, with account, caps and positions."""
    facts: dict[str, Any] = {
        "why": f"live trading began at {account.live.venue}, account …{account.trade_key.key[-4:]}",
        "max_order_usd": portfolio.pre_trade.max_order_usd,
        "max_gross_usd": portfolio.pre_trade.max_gross_usd,
        "positions": portfolio.account.held(),
    }
    context.alert(context.name, "live_start", "red", facts, RUNBOOK)
    context.alert(context.name, "live_start", "recovered", facts, RUNBOOK)


def tell_findings(context: ServiceContext, before: set[str], found: list[Finding]) -> None:
    """Tell of each finding that was not there before, and of each that is over; not of a start."""
    now = {f.code: f for f in found if f.code != UNSEEN}
    before = before - {UNSEEN}
    for code in now.keys() - before:
        why = {"why": f"{code}: {now[code].why}"}
        context.alert(context.name, f"venue_{code.lower()}", "red", why, RUNBOOK)
    for code in before - now.keys():
        facts = {"why": f"{code} is over"}
        context.alert(context.name, f"venue_{code.lower()}", "recovered", facts, RUNBOOK)
