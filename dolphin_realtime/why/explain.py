"""One decision from its scan to its cost: every input, every step, every limit, and what became of it.

Pure. Numbers are those of the replay; beside them stands what the journal says, and whether they
are equal to the last digit.
"""

from typing import Any

import msgspec
import numpy as np

from dolphin_realtime.journal.rows import CATCH_UP, RECOVERED
from dolphin_realtime.model.portfolio.decision import Decision, least_usd
from dolphin_realtime.model.portfolio.sizing import Decisions, capped_weights
from dolphin_realtime.model.risk.pre_trade import LIMITS, check, record_sent
from dolphin_realtime.model.signal.gates import Reading
from dolphin_realtime.why.replay import DayRows, Moment


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One gate: its factor in [0, 1], what it was computed from, and how old that was."""

    name: str
    value: float
    input: str
    age_s: float | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A target on its way through the caps: a fraction of equity, and USDT."""

    name: str
    weight: float
    usd: float


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A pre-trade limit as one order met it."""

    order: str
    code: str
    value: float
    bound: float
    holds: bool


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as a row of the journal says it; orders are (side, quantity)."""

    signal: float
    target: float
    held: float
    reason: str
    score: float | None
    direction: int | None
    orders: tuple[tuple[str, float], ...] = ()


class Explanation(msgspec.Struct, kw_only=True):
    """Everything that is known of one decision.

    Attributes:
        journalled: What the journal says, None if it kept no row: nothing was new.
        differences: Where the replay differs from it; empty: equal to the last digit.
        score: The score and its parts.
        stages: The target before and after each cap.
        fate: What became of each order.
    """

    instance: str
    asset: str
    timestamp_us: int
    epoch: int
    scan_number: int
    equity: float
    posture: str
    entry_block: str | None
    price: dict[str, float | str | None]
    score: dict[str, float]
    gates: list[Gate]
    signal: float
    stages: list[Stage]
    held_usd: float
    band_usd: float
    limits: list[Limit]
    decided: Decided
    journalled: Decided | None
    differences: list[str]
    fate: list[dict[str, Any]]
    turns: list[Any] = []


def explain(instance: str, moment: Moment, asset: str, known: DayRows) -> Explanation:
    """Return the explanation of one asset's decision at a moment."""
    plan, scan = moment.plan, moment.plan.scan
    decided = decided_of(moment, asset)
    journalled = journalled_of(known, scan.timestamp_us, asset)
    rest = moment.rest
    return Explanation(
        instance=instance, asset=asset, timestamp_us=scan.timestamp_us, epoch=plan.key[0],
        scan_number=scan.scan_number,
        equity=rest.market.equity if rest else moment.portfolio.equity(),
        posture=plan.limits.posture.value,
        entry_block=plan.limits.entry_block,
        price=_price(moment, asset), score=_score(moment, asset), gates=_gates(moment, asset),
        signal=decided.signal,
        stages=stages(rest, asset) if rest else [],
        held_usd=decided.held * (plan.prices.get(asset) or moment.prices_before.get(asset, 0.0)),
        band_usd=least_usd(rest.market, rest.p) if rest else 0.0,
        limits=_limits(moment, asset), decided=decided, journalled=journalled,
        differences=[] if journalled is None else _differences(decided, journalled),
        fate=_fate(known, scan.timestamp_us, asset),
    )  # fmt: skip


def decided_of(moment: Moment, asset: str) -> Decided:
    """Return the replay's decision as the journal would have a row of it."""
    plan, signal = moment.plan, moment.plan.signal
    at = signal.assets.index(asset) if asset in signal.assets else None
    score = None if at is None else signal.s_score[at]
    direction = None if at is None else signal.direction[at]
    found = next((d for d in plan.decisions if d.asset == asset), None)
    if found is None:
        reason = "ABSENT" if at is None else signal.reason[at]
        reason = reason if moment.is_acted_on else CATCH_UP
        found = Decision(asset=asset, signal=0.0, target=0.0, held=0.0, reason=reason)
    return Decided(
        signal=found.signal,
        target=found.target,
        held=found.held,
        reason=found.reason,
        score=score,
        direction=direction,
        orders=tuple((o.side, o.quantity) for o in found.orders),
    )


def journalled_of(known: DayRows, at_us: int, asset: str) -> Decided | None:
    """Return the journal's row of a decision at a scan, None if it kept none."""
    rows = [r for r in known.decisions.get(at_us, []) if r["asset"] == asset]
    rows = [r for r in rows if r["reason"] not in ("FLATTEN", RECOVERED)]
    if not rows:
        return None
    first = rows[0]
    return Decided(
        signal=first["signal"],
        target=first["target"],
        held=first["held"],
        reason=str(first["reason"]),
        score=first["score"],
        direction=first["direction"],
        orders=tuple((str(r["side"]), r["quantity"]) for r in rows if r["side"] is not None),
    )


def _differences(ours: Decided, theirs: Decided) -> list[str]:
    return [
        f"{name}: {getattr(ours, name)!r} recomputed, {getattr(theirs, name)!r} journalled"
        for name in Decided.__struct_fields__
        if getattr(ours, name) != getattr(theirs, name)
    ]


def _price(moment: Moment, asset: str) -> dict[str, float | str | None]:
    scan, before = moment.plan.scan, moment.prices_before.get(asset)
    listed = dict(zip(scan.assets, scan.prices, strict=True))
    now = listed.get(asset)
    move = now / before - 1.0 if now and before else None
    return {
        "in_scan": now,
        "sound": moment.plan.prices.get(asset),
        "before": before,
        "move": move,
        "scan": moment.plan.draft.failed if moment.plan.draft else "repeated",
    }


def _score(moment: Moment, asset: str) -> dict[str, float]:
    plan, p = moment.plan, moment.portfolio.signals.params
    draft, signals = plan.draft, moment.portfolio.signals
    at = draft.position.get(asset) if draft is not None and draft.failed is None else None
    found = {"s_in": p.s_in, "s_out": p.s_out, "s_full": p.s_full}
    if draft is None or at is None:
        return found
    score = float(draft.s[at])
    slot = signals.assets.slot(asset)
    parts = {
        "residual_sum": float(signals.assets.x[slot]),
        "its_deviation": float(np.sqrt(signals.assets.x_var[slot])),
        "score": score,
        "direction_before": moment.directions.get(asset, 0.0),
        "direction": float(draft.direction[at]),
        "strength": min(1.0, abs(score) / p.s_full),
        "is_warm": float(draft.ready.warm[at]) if draft.ready else 0.0,
        "mean_correlation": draft.rho,
        "correlation_short": signals.short.m,
        "correlation_long": signals.long.m,
        "r_ar": draft.r_ar,
        "r_vol": draft.r_vol,
    }
    return found | parts


def _gates(moment: Moment, asset: str) -> list[Gate]:
    draft, now_us = moment.plan.draft, moment.plan.scan.timestamp_us
    at = draft.position.get(asset) if draft is not None and draft.failed is None else None
    if draft is None or at is None or draft.gates is None:
        return []
    gates, book = draft.gates, moment.books.get(asset)
    factors = moment.factors
    rate = factors.funding.get(asset) if factors else None
    dvol = factors.dvol_btc if factors else None
    book_age = None if book is None else (now_us - book.event_us) / 1e6
    lean = "no book: neutral" if book is None else f"imbalance {book.imbalance_5:+.4f}"
    spread = "no book: neutral" if book is None else f"spread {book.spread_bps:.2f} bp"
    return [
        Gate(name="book", value=float(gates.book[at]), input=lean, age_s=book_age),
        Gate(name="spread", value=float(gates.spread[at]), input=spread, age_s=book_age),
        Gate(name="funding", value=float(gates.funding[at]), **_read(rate, now_us)),
        Gate(name="dvol", value=gates.dvol, **_read(dvol, now_us)),
        Gate(name="calendar", value=gates.calendar, input="the scan's own time", age_s=0.0),
    ]


def _read(reading: Reading | None, now_us: int) -> dict[str, Any]:
    if reading is None:
        return {"input": "no reading: neutral"}
    stale = "" if reading.is_current(now_us) else ", expired: neutral"
    return {"input": f"{reading.value:g}{stale}", "age_s": (now_us - reading.fetch_us) / 1e6}


def stages(rest: Decisions, asset: str) -> list[Stage]:
    """Return a target before and after each cap; the last one is the decision's."""
    at = rest.wanted.position.get(asset)
    if at is None:
        return []
    p, equity = rest.p, rest.market.equity
    full = np.where(rest.wanted.is_active, rest.wanted.signal, 0.0) * p.asset_cap
    gross, net = rest.left_weights()
    free = msgspec.structs.replace(p, net_cap=10.0)
    after_gross = capped_weights(full, gross, net, free)
    after_net = capped_weights(full, gross, net, p)
    after_posture = after_net * rest.limits.posture.target_multiplier
    rows = (
        ("signal times asset cap", full),
        ("after the gross cap", after_gross),
        ("after the net cap", after_net),
        ("after the posture", after_posture),
    )
    return [Stage(name=n, weight=float(w[at]), usd=float(w[at]) * equity) for n, w in rows]


def _limits(moment: Moment, asset: str) -> list[Limit]:
    """Return every limit of each order of an asset, as the order met it."""
    if moment.rest is None or moment.standing is None:
        return []
    rest, exposure = moment.rest, moment.standing.copied()
    p, found = moment.portfolio.pre_trade, []
    for decision in rest.first:
        for order in decision.orders:
            if decision.asset == asset:
                name = f"{order.side} {order.quantity:g} ({order.leg})"
                for limit in LIMITS:
                    if order.is_reduce_only and not limit.guards_exits:
                        continue
                    value, bound = limit.measure(order, exposure, p)
                    found.append(Limit(order=name, code=limit.code, value=value, bound=bound, holds=value <= bound))  # fmt: skip
            if check(order, exposure, p) is None:
                record_sent(order, exposure)
    return found


def _fate(known: DayRows, at_us: int, asset: str) -> list[dict[str, Any]]:
    """Return what became of each order: fills with price, fee and slippage, or its end."""
    found = []
    for order in known.orders.get(at_us, []):
        if order["asset"] != asset:
            continue
        order_id = order["client_order_id"]
        done, end = known.fate_of(order_id)
        found.append(
            {
                "order": order_id,
                "side": order["side"],
                "quantity": order["quantity"],
                "fills": [
                    {
                        **{
                            name: f[name]
                            for name in ("price", "mid", "quantity", "fee", "realised")
                        },
                        "slippage": f["quantity"] * abs(f["price"] - f["mid"]),
                        "after_s": (f["booked_us"] - at_us) / 1e6,
                    }
                    for f in done
                ],
                "end": None if end is None else f"{end['state']}: {end['reason']}",
            }
        )
    return found
