"""A report on its asset's page: numbers for plots, a sparkline, a table, a path."""

from pathlib import Path
from typing import Any, Final

import dagster as dg

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.reports.address import url_of
from dolphin_realtime.reports.figures import Figures
from dolphin_realtime.reports.sparkline import sparkline
from dolphin_realtime.reports.write import Report

MONEY: Final = ("net", "gross", "slippage", "fees", "funding", "start_equity", "end_equity")
COUNTS: Final = ("scans", "orders", "fills", "cancels", "refusals", "open_positions")


def link(page: Path, settings: Settings) -> dict[str, Any]:
    """Return a page as metadata: a link that opens it in the browser, and its place on the disk."""
    return {
        "open": dg.MetadataValue.url(url_of(page, settings)),
        "report": dg.MetadataValue.path(str(page)),
    }


def metadata_of(report: Report, settings: Settings) -> dict[str, Any]:
    """Return a report's headline, net first."""
    f = report.figures
    found: dict[str, Any] = {name: getattr(f, name) for name in (*MONEY, *COUNTS)}
    found |= {
        "return_pct": 100.0 * f.total_return,
        "max_drawdown_pct": 100.0 * f.max_drawdown,
        "turnover": f.turnover,
        "headline": dg.MetadataValue.md(_headline(f)),
        **link(report.html, settings),
        "simulated": "; ".join(f.notes) or "no",
    }
    if f.trades is not None and f.trades.win_rate is not None:
        found["win_rate"] = f.trades.win_rate
    picture = sparkline(report.equity)
    if picture:
        found["equity"] = dg.MetadataValue.md(picture)
    return found


def _headline(f: Figures) -> str:
    rows = [("**net**", f"**{f.net:,.2f}**"), ("gross", f"{f.gross:,.2f}")]
    rows += [(f"− {name}", f"{getattr(f, name):,.2f}") for name in ("slippage", "fees", "funding")]
    rows += [("fills", f"{f.fills:,}"), ("max drawdown", f"{100 * f.max_drawdown:.3f} %")]
    body = "\n".join(f"| {name} | {value} |" for name, value in rows)
    why = ""
    if not f.fills:
        said = ", ".join(f"{reason} {n:,}" for reason, n in list(f.reasons.items())[:6])
        why = f"\n\nNothing was traded: {said or 'no scan in the period'}."
    return f"| USDT | |\n|---|---|\n{body}{why}"
