"""What a payment at a real venue does to an account: funding, transfers, other charges. Pure.

Money is USDT. Funding is a row of its own in the journal (table ``funding``), as on paper.
"""

from typing import Final

from dolphin_realtime.model.portfolio.account import Account

QUOTE: Final = "USDT"
TOLD_BY_TRADES: Final = ("REALIZED_PNL", "COMMISSION")
"""Kinds of payment that only repeat what a trade's own row says."""
FUNDING: Final = "FUNDING_FEE"


def is_transfer(kind: str) -> bool:
    """Return whether a payment is money that was moved in or out (TRANSFER, INTERNAL_TRANSFER, …)."""
    return "TRANSFER" in kind


def take_paid(account: Account, kind: str, asset: str, amount: float) -> None:
    """Book a payment other than funding: a transfer is no profit and no loss, the rest a cost."""
    if asset != QUOTE or kind in (*TOLD_BY_TRADES, FUNDING):
        return
    if is_transfer(kind):
        account.transfers += amount
    else:
        account.fees -= amount
