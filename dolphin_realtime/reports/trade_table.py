"""The round trips of a period as a table on its page."""

import html
from collections.abc import Iterable
from typing import Final

from dolphin_realtime.model.instant import from_us
from dolphin_realtime.reports.period import Period
from dolphin_realtime.reports.tables import colour
from dolphin_realtime.reports.trades import Trade

SHOWN: Final = 300
HEAD: Final = ("asset", "side", "opened", "closed", "quantity", "in", "out", "fees", "net")


def trade_table(period: Period) -> str:
    """Return the trades that were open or closed in a period, the newest first; "" if none."""
    trades = sorted([*period.closed, *period.still_open], key=lambda t: t.opened_us, reverse=True)
    if not trades:
        return ""
    left = len(trades) - SHOWN
    more = f"<p class='quiet'>{left:,} older ones: positions.parquet</p>" if left > 0 else ""
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    body = "".join(_row(trade) for trade in trades[:SHOWN])
    return (
        f"<section><h2>Round trips ({len(trades):,})</h2><p class='quiet'>Net of fees, spread and "
        f"slippage, before funding. USDT.</p><div class='scroll'><table><tr>{head}</tr>{body}"
        f"</table></div>{more}</section>"
    )


def _row(t: Trade) -> str:
    closed = "open" if t.closed_us is None else f"{from_us(t.closed_us):%m-%d %H:%M:%S}"
    out = "–" if t.average_close is None else f"{t.average_close:.8g}"
    css = colour(t.net)
    cells: Iterable[str] = (
        html.escape(t.asset), t.side.lower(), f"{from_us(t.opened_us):%m-%d %H:%M:%S}", closed,
        f"{t.quantity:.8g}", f"{t.average_open:.8g}", out, f"{t.fees:,.2f}",
        f"<span class='{css}'>{t.net:,.2f}</span>",
    )  # fmt: skip
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
