"""An explanation as lines of text and as a page: the same rows in the same order."""

from collections.abc import Iterator
from typing import Final

from dolphin_realtime.model.instant import from_us
from dolphin_realtime.reports.page import page
from dolphin_realtime.reports.tables import table
from dolphin_realtime.why.explain import Explanation

Rows = list[tuple[str, str]]
TURNS_SHOWN: Final = 6


def sections(e: Explanation) -> Iterator[tuple[str, Rows]]:
    """Yield the parts of an explanation, from the scan to the cost, each as rows of two columns."""
    yield "The decision", _decision(e)
    yield "Price", [(name.replace("_", " "), _word(value)) for name, value in e.price.items()]
    yield "Score", [(name.replace("_", " "), f"{value:.6g}") for name, value in e.score.items()]
    yield "Gates", [(g.name, f"{g.value:.4g}   {g.input}{_age(g.age_s)}") for g in e.gates]
    yield "Target", _target(e)
    yield (
        "Limits",
        [
            (
                f"{x.order} {x.code}",
                f"{x.value:.6g} of {x.bound:.6g}{'' if x.holds else '   REFUSED'}",
            )
            for x in e.limits
        ]
        or [("none was checked", "there was no order to check")],
    )
    yield "What became of it", _fate(e)
    yield (
        "The smallest change of one input that would have turned it",
        [
            (t.input, f"{_word(t.was)} → {_word(t.would_be)}   then: {t.becomes}")
            for t in e.turns[:TURNS_SHOWN]
        ]
        or [("no single input", "turns it within its range, or nothing was decided")],
    )
    yield "Journal", _journal(e)


def _decision(e: Explanation) -> Rows:
    orders = ", ".join(f"{side} {quantity:g}" for side, quantity in e.decided.orders)
    return [
        ("done", orders or "no order"),
        ("reason", e.decided.reason),
        ("signal", f"{e.signal:+.6f}"),
        ("posture", e.posture),
        ("entry block", e.entry_block or "none"),
    ]


def _target(e: Explanation) -> Rows:
    rows = [(s.name, f"{s.weight:+.6f} of equity   {s.usd:+,.2f} USDT") for s in e.stages]
    return [
        *rows,
        ("held", f"{e.decided.held:g}   {e.held_usd:+,.2f} USDT"),
        ("least change worth an order", f"{e.band_usd:,.2f} USDT"),
        ("equity", f"{e.equity:,.2f} USDT"),
    ]


def _fate(e: Explanation) -> Rows:
    rows: Rows = []
    for order in e.fate:
        name = f"{order['side']} {order['quantity']:g} ({order['order']})"
        for fill in order["fills"]:
            text = f"{fill['quantity']:g} at {fill['price']:g} (mid {fill['mid']:g}), fee "
            text += f"{fill['fee']:.4f}, slippage {fill['slippage']:.4f}, after {fill['after_s']:.1f} s"  # fmt: skip
            rows.append((name, text))
        if order["end"] or not order["fills"]:
            rows.append((name, order["end"] or "no fill and no end is journalled"))
    return rows or [("no order", "nothing was sent")]


def _journal(e: Explanation) -> Rows:
    if e.journalled is None:
        return [("row", "none: nothing was new about this asset at this scan")]
    if not e.differences:
        return [("recomputed", "equal to what was journalled, to the last digit")]
    return [("recomputed", one) for one in e.differences]


def _word(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "–" if value is None else str(value)


def _age(age_s: float | None) -> str:
    return "" if age_s is None else f", {age_s:.1f} s old"


def title_of(e: Explanation) -> str:
    """Return what is explained."""
    return f"{e.instance} {e.asset}, {from_us(e.timestamp_us):%Y-%m-%d %H:%M:%S} UTC, scan {e.scan_number}"  # fmt: skip


def as_text(e: Explanation) -> str:
    """Return an explanation as lines."""
    lines = [title_of(e)]
    for heading, rows in sections(e):
        lines += ["", heading]
        width = max((len(name) for name, _ in rows), default=0)
        lines += [f"  {name:<{width}}  {text}" for name, text in rows]
    return "\n".join(lines)


def as_page(e: Explanation) -> str:
    """Return an explanation as a page."""
    body = "".join(table(heading, rows) for heading, rows in sections(e))
    return page(
        f"Why: {title_of(e)}",
        "Recomputed from the archive and the journal. Money is USDT.",
        [],
        f"<div class='tables'>{body}</div>",
    )
