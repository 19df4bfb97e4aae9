"""What a real venue's state calls for: entry blocks and postures, as one table. Pure.

Facts in, findings out; measuring is in services/trader/live_watch.py. Ages are seconds of wall
time, money is USDT. A finding ends when its cause ends; HALTED is left by an operator's resume.
"""

from typing import Final

import msgspec

from dolphin_realtime.model.portfolio.venue_account import Cause
from dolphin_realtime.model.risk.posture import Posture

UNKNOWN_MANY: Final = 3
UNKNOWN_BLOCK_S: Final = 30.0
UNKNOWN_CLOSE_S: Final = 120.0
ADL_S: Final = 900.0
UNPLACED_S: Final = 2.0
STREAM_BLOCK_S: Final = 5.0
STREAM_CLOSE_S: Final = 60.0
NODE_BLOCK_S: Final = 60.0
UNANSWERED: Final = 3
WALLET_USD: Final = 0.01
WALLET_S: Final = 60.0
WALLET_SHARE: Final = 0.001
MARGIN_REDUCED: Final = 0.3
MARGIN_CLOSE: Final = 0.5
CLOCK_MS: Final = 500.0
NODE_APART: Final = 3
KEY_CODES: Final = (-2014, -2015, -1022)
"""Codes of a key that is not accepted."""


class OutsideTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade from outside that no person has adopted."""

    asset: str
    cause: Cause
    age_s: float


class LiveFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the venue and the account.

    Attributes:
        unknown_s: Ages of the orders whose state is unknown.
        unplaced_s: For how long a trade is known whose order is not: the book lacks it.
        outside: Trades from outside that nobody has adopted.
        apart: Positions in which ledger and venue differ, in words.
        book_apart: Names in which the portfolio holds another quantity than the ledger.
        wallet_apart: By how much the wallets differ, and ``wallet_apart_s`` since when.
        stream_lost_s: Since when the reader's stream is not whole, 0 while it is.
        node_stream_lost_s: The same of the node's.
        node_away: Why there is no node to send with; empty while there is one.
        unanswered: Questions in a row without an answer.
        refused: Code with which the venue refused the last question, 0 if it did not.
        blocked_s: For how much longer the venue wants no question.
        clock_ms: By how much the host's clock is off for sure.
        wrong_modes: Modes of the account that must not be.
        wrong_leverage: Names whose leverage is another one than the settings'.
        margin: Maintenance margin over margin balance.
        node_apart: Names in which the node's own position is another one than the ledger's.
    """

    unknown_s: tuple[float, ...] = ()
    unplaced_s: float = 0.0
    outside: tuple[OutsideTrade, ...] = ()
    apart: tuple[str, ...] = ()
    book_apart: tuple[str, ...] = ()
    wallet_apart: float = 0.0
    wallet_apart_s: float = 0.0
    equity: float = 0.0
    stream_lost_s: float = 0.0
    node_stream_lost_s: float = 0.0
    node_away: str = ""
    unanswered: int = 0
    refused: int = 0
    blocked_s: float = 0.0
    clock_ms: float = 0.0
    wrong_modes: tuple[str, ...] = ()
    wrong_leverage: tuple[str, ...] = ()
    margin: float = 0.0
    node_apart: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding: its code, the posture it calls for (None: it blocks entries alone), and why."""

    code: str
    posture: Posture | None
    why: str


def findings(facts: LiveFacts) -> list[Finding]:
    """Return what the facts call for; any finding blocks entries."""
    return [
        *_account(facts),
        *_orders(facts),
        *_outside([one for one in facts.outside if _stands(one)]),
        *_books(facts),
        *_connections(facts),
    ]


def _account(f: LiveFacts) -> list[Finding]:
    found = []
    if f.wrong_modes:
        found.append(_of("ACCOUNT_MODE", Posture.HALTED, ", ".join(f.wrong_modes)))
    if f.refused in KEY_CODES:
        found.append(_of("KEY_REFUSED", Posture.HALTED, f"the venue refuses a key: {f.refused}"))
    if f.margin > MARGIN_REDUCED:
        posture = Posture.CLOSE_ONLY if f.margin > MARGIN_CLOSE else Posture.REDUCED
        found.append(_of("MARGIN", posture, f"maintenance is {f.margin:.0%} of the margin"))
    if f.wrong_leverage:
        found.append(_of("LEVERAGE", None, f"changed: {', '.join(f.wrong_leverage)}"))
    return found


def _orders(f: LiveFacts) -> list[Finding]:
    found = []
    if f.unplaced_s > UNPLACED_S:
        posture = Posture.CLOSE_ONLY if f.unplaced_s > STREAM_CLOSE_S else None
        why = f"the order of a trade is sought for {f.unplaced_s:.0f} s"
        found.append(_of("TRADE_UNPLACED", posture, why))
    return found + _unknown(f)


def _unknown(f: LiveFacts) -> list[Finding]:
    oldest_s = max(f.unknown_s, default=0.0)
    if len(f.unknown_s) <= UNKNOWN_MANY and oldest_s <= UNKNOWN_BLOCK_S:
        return []
    posture = Posture.CLOSE_ONLY if oldest_s > UNKNOWN_CLOSE_S else None
    why = f"{len(f.unknown_s)} orders are unknown, the oldest for {oldest_s:.0f} s"
    return [_of("ORDER_UNKNOWN", posture, why)]


def _stands(one: OutsideTrade) -> bool:
    """Return whether a trade from outside still counts: an ADL ends by itself."""
    return one.cause is not Cause.ADL or one.age_s < ADL_S


def _outside(trades: list[OutsideTrade]) -> list[Finding]:
    """Return one finding for all trades from outside: the last one of each cause is named."""
    if not trades:
        return []
    named = {one.cause: f"{one.cause} in {one.asset}" for one in trades}
    ends = "it ends by itself" if set(named) == {Cause.ADL} else "dolphin live adopt --reason TEXT"
    why = f"{', '.join(named.values())} ({len(trades)} trades): {ends}"
    return [_of("OUTSIDE", Posture.CLOSE_ONLY, why)]


def _books(f: LiveFacts) -> list[Finding]:
    found = []
    if f.apart:
        found.append(_of("LEDGER_APART", Posture.HALTED, "; ".join(f.apart)))
    if f.book_apart:
        found.append(_of("BOOK_APART", Posture.HALTED, f"{', '.join(f.book_apart)}: not booked"))
    if f.wallet_apart > max(WALLET_USD, WALLET_SHARE * f.equity):
        found.append(_of("WALLET_APART", Posture.CLOSE_ONLY, f"by {f.wallet_apart:.2f}"))
    elif f.wallet_apart > WALLET_USD and f.wallet_apart_s >= WALLET_S:
        found.append(_of("WALLET_APART", Posture.REDUCED, f"by {f.wallet_apart:.2f}"))
    if len(f.node_apart) > NODE_APART:
        found.append(_of("NODE_APART", None, f"in {', '.join(f.node_apart)}: it is built anew"))
    return found


def _connections(f: LiveFacts) -> list[Finding]:
    found = []
    if f.stream_lost_s > STREAM_BLOCK_S:
        posture = Posture.CLOSE_ONLY if f.stream_lost_s > STREAM_CLOSE_S else None
        found.append(_of("VENUE_STREAM", posture, f"not whole for {f.stream_lost_s:.0f} s"))
    if f.node_away:
        found.append(_of("NODE_AWAY", Posture.CLOSE_ONLY, f"NautilusTrader: {f.node_away}"))
    if f.node_stream_lost_s > NODE_BLOCK_S:
        found.append(_of("NODE_STREAM", None, f"away for {f.node_stream_lost_s:.0f} s"))
    if f.unanswered >= UNANSWERED:
        found.append(_of("VENUE_AWAY", None, f"{f.unanswered} questions without an answer"))
    if f.blocked_s > 0.0:
        found.append(_of("VENUE_BLOCKED", None, f"no question for {f.blocked_s:.0f} s"))
    if f.clock_ms > CLOCK_MS:
        found.append(_of("VENUE_CLOCK", None, f"the host's clock is off by {f.clock_ms:.0f} ms"))
    return found


def _of(code: str, posture: Posture | None, why: str) -> Finding:
    return Finding(code=code, posture=posture, why=why)
