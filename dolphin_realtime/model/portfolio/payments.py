"""What a payment at a real venue does to an account: funding, transfers, other charges. Pure.

Money is USDT. Funding is a row of its own in the journal (table ``funding``), as on paper.
"""

from typing import Final

from dolphin_realtime.model.portfolio.account import Account

QUOTE: Final = "USDT"
TOLD_BY_TRADES: Final = ("REALIZED_PNL", "COMMISSION")
"""Kinds of payment that only repeat what a trade's own row says."""
FUNDING: Final = "FUNDING_FEE"
TRANSFER: Final = "TRANSFER"


def take_paid(account: Account, kind: str, asset: str, amount: float) -> None:
    """Book a payment other than funding: a transfer is no profit and no loss, the rest a cost."""
    if asset != QUOTE or kind in (*TOLD_BY_TRADES, FUNDING):
        return
    if kind == TRANSFER:
        account.transfers += amount
    else:
        account.fees -= amount
