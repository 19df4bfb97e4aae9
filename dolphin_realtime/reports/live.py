"""What a real venue made of a period's orders: outcomes, and what they cost against the model. Pure.

Implementation shortfall of a trade, in USDT against us, side by side with what it consists of:
from the scan's price to the market's mid at the modelled fill (delay), from there to the venue's
price (spread and impact), and the fee. The parts add up exactly. Orders that did not fill in full
missed, or were spared, the move from the scan's price to that mid (opportunity).
Source of the split: Perold, "The Implementation Shortfall: Paper versus Reality" (1988).
"""

import math
import sqlite3
from collections import Counter
from typing import Any, Final

import msgspec

from dolphin_realtime.journal.database import meta
from dolphin_realtime.journal.fold import rows_of
from dolphin_realtime.journal.venue_rows import APART
from dolphin_realtime.model.percentiles import percentiles
from dolphin_realtime.reports.span import Span

BPS: Final = 1e4


class Shortfall(msgspec.Struct, kw_only=True):
    """Cost of the trades against the scans' prices, USDT; positive is against us.

    Attributes:
        trades: Trades with a modelled fill beside them.
        without: Trades without one; they are not in the sums.
        notional: At the scans' prices.
        opportunity: What the parts of orders that did not fill would have gained (lost: negative).
    """

    trades: int = 0
    without: int = 0
    notional: float = 0.0
    delay: float = 0.0
    spread_and_impact: float = 0.0
    fee: float = 0.0
    total: float = 0.0
    opportunity: float = 0.0


class LiveFigures(msgspec.Struct, kw_only=True):
    """A period at a real venue.

    Attributes:
        transfers: Money moved in (out: negative).
        net: Change of wallet and of unrealised profit, transfers left out.
        shadow_net: Net if every trade had been the modelled one; None without a modelled fill.
        error_bps: Mean of the venue's price against the modelled one, against us positive.
        unknown_s: Percentiles of how long orders were unknown.
        outside: Trades from outside by cause.
        node_differences: Trades that only one of NautilusTrader and the reader had in time, since
            the trader's last start.
        backtest_net: Net of the day's backtest; None if it was not compared.
        adopted: What persons adopted, in words.
    """

    net: float
    transfers: float
    shortfall: Shortfall
    shadow_net: float | None
    error_bps: float | None
    outcomes: dict[str, int]
    unknown_s: dict[str, float]
    outside: dict[str, int]
    adopted: list[str]
    node_differences: int = 0
    backtest_net: float | None = None


def read_live(db: sqlite3.Connection, span: Span, net: float) -> LiveFigures:
    """Return the figures of a live journal's span.

    Args:
        db: The journal.
        span: The span.
        net: Net of the span: change of wallet and of unrealised profit, transfers left out.
    """
    within = (span.first_us, span.last_us)
    fills = [f for f in rows_of(db, "SELECT * FROM fills ORDER BY rowid")
             if span.first_us <= f["booked_us"] < span.last_us]  # fmt: skip
    shadows = {r["client_order_id"]: r for r in rows_of(db, "SELECT * FROM shadow_fills")}
    ours = [f for f in fills if f["client_order_id"]]
    pairs = [(f, shadows[f["client_order_id"]]) for f in ours if f["client_order_id"] in shadows]
    gained = [_against_model(f, s) for f, s in pairs]
    notional = math.fsum(f["quantity"] * s["price"] for f, s in pairs)
    found = shortfall(pairs, len(ours) - len(pairs))
    found.opportunity = _opportunity(db, span, shadows)
    transfers = db.execute(
        "SELECT coalesce(sum(amount), 0.0) FROM income WHERE kind LIKE '%TRANSFER%' AND asset = 'USDT'"
        " AND booked_us >= ? AND booked_us < ?",
        within,
    ).fetchone()[0]
    return LiveFigures(
        net=net, transfers=transfers, shortfall=found,
        shadow_net=net + math.fsum(gained) if pairs else None,
        error_bps=BPS * math.fsum(_worse(f, s) for f, s in pairs) / notional if notional else None,
        outcomes=_outcomes(db, span), unknown_s=_unknown_s(db, span),
        outside=dict(Counter(f["source"].split(":")[0] for f in fills if not f["client_order_id"])),
        adopted=_adopted(db), node_differences=int(meta(db, APART) or 0),
    )  # fmt: skip


def shortfall(pairs: list[tuple[dict[str, Any], dict[str, Any]]], without: int) -> Shortfall:
    """Return the shortfall of trades with the modelled fills of their orders."""
    found = Shortfall(trades=len(pairs), without=without)
    for fill, shadow in pairs:
        size = fill["quantity"] if fill["side"] == "BUY" else -fill["quantity"]
        found.notional += fill["quantity"] * shadow["decided"]
        found.delay += size * (shadow["mid"] - shadow["decided"])
        found.spread_and_impact += size * (fill["price"] - shadow["mid"])
        found.fee += fill["fee"]
        found.total += size * (fill["price"] - shadow["decided"]) + fill["fee"]
    return found


def _worse(fill: dict[str, Any], shadow: dict[str, Any]) -> float:
    """Return by how much a trade's price was worse than the modelled one, USDT."""
    size: float = fill["quantity"] if fill["side"] == "BUY" else -fill["quantity"]
    worse: float = size * (fill["price"] - shadow["price"])
    return worse


def _against_model(fill: dict[str, Any], shadow: dict[str, Any]) -> float:
    """Return what the modelled fill would have gained over a trade, fee included."""
    share = fill["quantity"] / shadow["quantity"]
    gained: float = _worse(fill, shadow) + fill["fee"] - share * shadow["fee"]
    return gained


def _opportunity(db: sqlite3.Connection, span: Span, shadows: dict[str, dict[str, Any]]) -> float:
    """Return what the parts of orders that did not fill would have gained by the modelled fill."""
    filled = dict(
        db.execute(
            "SELECT client_order_id, sum(quantity) FROM fills WHERE client_order_id <> ''"
            " GROUP BY client_order_id"
        ).fetchall()
    )
    missed = 0.0
    for order_id, shadow in shadows.items():
        if not span.first_us <= shadow["booked_us"] < span.last_us:
            continue
        left = shadow["quantity"] - filled.get(order_id, 0.0)
        signed = left if shadow["side"] == "BUY" else -left
        missed += signed * (shadow["mid"] - shadow["decided"])
    return missed


def _outcomes(db: sqlite3.Connection, span: Span) -> dict[str, int]:
    """Return the ends by kind, refusals with their code."""
    query = (
        "SELECT CASE WHEN state = 'REJECTED' THEN state || ' ' || reason ELSE state END, count(*)"
        " FROM order_events WHERE timestamp_us >= ? AND timestamp_us < ? GROUP BY 1"
    )
    found: Counter[str] = Counter()
    for what, n in db.execute(query, (span.first_us, span.last_us)):
        found[what.split(":")[0]] += n
    return dict(found.most_common())


def _unknown_s(db: sqlite3.Connection, span: Span) -> dict[str, float]:
    """Return percentiles of the time from UNKNOWN to an order's end, seconds."""
    query = (
        "SELECT u.heard_us, min(e.heard_us) FROM order_events u JOIN order_events e"
        " ON e.client_order_id = u.client_order_id AND e.seq > u.seq AND e.state <> 'UNKNOWN'"
        " WHERE u.state = 'UNKNOWN' AND u.timestamp_us >= ? AND u.timestamp_us < ?"
        " GROUP BY u.client_order_id, u.seq"
    )
    waits = db.execute(query, (span.first_us, span.last_us))
    return percentiles([(end - begin) / 1e6 for begin, end in waits])


def _adopted(db: sqlite3.Connection) -> list[str]:
    rows = db.execute(
        "SELECT value FROM meta WHERE name LIKE 'adopted %' ORDER BY rowid"
    ).fetchall()
    facts = [msgspec.json.decode(row[0]) for row in rows]
    return [
        f"{f['who']} adopted what came from outside at {f['at'][:19]}: {f['reason']}" for f in facts
    ]
