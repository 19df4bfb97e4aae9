"""A report as a page of tables and plots.

How figures are shown belongs here; computing them does not. plotly's script lies beside the pages
(plotly_script.py), so that they open without a network.
"""

import html
from collections.abc import Iterable
from typing import Final

from dolphin_realtime.reports import plotly_script, plots
from dolphin_realtime.reports.figures import Figures
from dolphin_realtime.reports.live_tables import live_tables
from dolphin_realtime.reports.period import Period
from dolphin_realtime.reports.tables import Row, colour, instant, number, share, table, usd
from dolphin_realtime.reports.trade_table import trade_table
from dolphin_realtime.reports.trades import TradeFigures

_DECISIONS: Final = "Decisions without an order (news, or with a signal or position)"
_STYLE: Final = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1100px; padding: 24px;
       color: #1b2733; background: #fff; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 28px 0 8px; }
p { margin: 4px 0; } .quiet { color: #5b6b7a; }
.note { background: #fff4d6; border-left: 4px solid #d99a00; padding: 8px 12px; margin: 12px 0; }
.head { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.tile { border: 1px solid #d7dee5; border-radius: 6px; padding: 8px 14px; min-width: 120px; }
.tile b { display: block; font-size: 19px; font-variant-numeric: tabular-nums; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 8px 28px; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: 3px 6px; border-bottom: 1px solid #e6ebf0; text-align: left;
         overflow-wrap: anywhere; }
td + td, th + th { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: #b3261e; } .good { color: #1a7f37; }
.plot { margin: 8px 0 20px; }
.scroll { max-height: 420px; overflow: auto; } .wide { grid-column: 1 / -1; }
.heat td, .heat th { text-align: right; padding: 3px 5px; font-size: 12px; }
nav { margin: 4px 0 12px; } nav a { margin-right: 14px; } form input { width: 9em; margin-right: 6px; }
"""


def page(title: str, subtitle: str, notes: list[str], body: str) -> str:
    """Return a whole page; ``body`` is markup, everything else is text."""
    script = plotly_script.PLACE if "plotly-graph-div" in body else ""
    noted = "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"{script}</head><body><h1>{html.escape(title)}</h1>"
        f"<p class='quiet'>{html.escape(subtitle)}</p>{noted}{body}</body></html>"
    )


def render(title: str, figures: Figures, period: Period, foot: str = "") -> str:
    """Return the page of one period.

    Args:
        title: Title of the report.
        figures: The period's figures.
        period: The period, for the plots.
        foot: Markup at the end.
    """
    simulated = [f"Simulated: {note}" for note in figures.notes]
    subtitle = (
        f"{instant(figures.first_us)} to {instant(figures.last_us)} · {figures.scans:,} scans · "
        f"{figures.assets} assets. Money is USDT; net is after fees, spread, slippage and funding."
    )
    body = _headline(figures) + _why_no_trade(figures)
    drawn = "".join(f'<div class="plot">{plot}</div>' for plot in plots.all_of(period, figures))
    tables = "".join(_tables(figures))
    return page(
        title,
        subtitle,
        [*simulated, *figures.caveats],
        f"{body}{drawn}<div class='tables'>{tables}</div>{trade_table(period)}{foot}",
    )


def _headline(f: Figures) -> str:
    tiles = [
        ("Net", usd(f.net), colour(f.net)),
        ("Return", share(f.total_return), ""),
        ("Max drawdown", share(f.max_drawdown), ""),
        ("Gross", usd(f.gross), ""),
        ("Fees", usd(f.fees), ""),
        ("Slippage", usd(f.slippage), ""),
        ("Funding", usd(f.funding), ""),
    ]
    cells = "".join(
        f"<div class='tile'>{name}<b class='{css}'>{text}</b></div>" for name, text, css in tiles
    )
    return f"<div class='head'>{cells}</div>"


def _why_no_trade(f: Figures) -> str:
    if f.fills:
        return ""
    if not f.scans:
        return "<p class='note'>No scan was handled in this period, so nothing was traded.</p>"
    why = ", ".join(f"{reason} {n:,}" for reason, n in list(f.reasons.items())[:6])
    said = html.escape(why or "no asset had a signal")
    return f"<p class='note'>Nothing was traded. Decisions by reason: {said}.</p>"


def _tables(f: Figures) -> Iterable[str]:
    yield table(
        "Equity",
        [
            ("start", usd(f.start_equity)),
            ("end", usd(f.end_equity)),
            ("gross", usd(f.gross)),
            ("− slippage", usd(f.slippage)),
            ("− fees", usd(f.fees)),
            ("− funding", usd(f.funding)),
            ("= net", usd(f.net)),
            ("moved in or out, in none of these", usd(f.transferred)),
            ("turnover of start equity", number(f.turnover)),
            ("drawdown from", instant(f.drawdown_peak_us)),
            ("drawdown to", instant(f.drawdown_trough_us)),
        ],
    )
    ratio = f.ratios_note
    yield table(
        "Ratios (daily, 365 days a year)",
        [
            ("days", str(f.days)),
            ("volatility", ratio or share(f.volatility)),
            ("Sharpe", ratio or number(f.sharpe)),
            ("Sortino", ratio or number(f.sortino)),
            ("hold the equal-weight basket", share(f.benchmark.basket)),
            ("hold BTC", share(f.benchmark.btc)),
        ],
    )
    yield from live_tables(f)
    for title, trades in (
        ("Trades", f.trades), ("Long", f.long_trades), ("Short", f.short_trades)
    ):  # fmt: skip
        if trades is not None:
            yield table(title, _trade_rows(trades))
    yield table(
        "Orders",
        [
            ("orders", f"{f.orders:,}"),
            ("fills", f"{f.fills:,}"),
            ("cancelled or unfilled", f"{f.cancels:,}"),
            ("refused by a limit", f"{f.refusals:,}"),
            ("positions open at the end", str(f.open_positions)),
            ("best asset", f.best_asset or "–"),
            ("worst asset", f.worst_asset or "–"),
        ],
    )
    yield table(_DECISIONS, [(r, f"{n:,}") for r, n in f.reasons.items()])
    yield table("Signal, posture, latency", _health_rows(f))


def _trade_rows(t: TradeFigures) -> list[Row]:
    return [
        ("closed", f"{t.count:,}"),
        ("net of fees", usd(t.net)),
        ("win rate", share(t.win_rate)),
        ("payoff", number(t.payoff)),
        ("profit factor", number(t.profit_factor)),
        ("median hold", _minutes(t.hold_median_s)),
        ("longest hold", _minutes(t.hold_max_s)),
    ]


def _minutes(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds / 60.0:,.1f} min"


def _health_rows(f: Figures) -> list[Row]:
    rows = [
        ("mean R_ar", number(f.signal.r_ar, 3)),
        ("mean R_vol", number(f.signal.r_vol, 3)),
        ("gates closed", share(f.signal.gated)),
    ]
    if f.exposure is not None:
        rows += [
            ("mean gross exposure", share(f.exposure.gross_mean)),
            ("largest gross exposure", share(f.exposure.gross_max)),
            ("mean net exposure", share(f.exposure.net_mean)),
        ]
    rows += [(f"scans in {posture}", f"{n:,}") for posture, n in f.postures.items()]
    n = int(f.latency_us.get("n", 0))
    rows += [
        (f"callback → last order {q}", f"{f.latency_us[q]:,.0f} µs")
        for q in ("p50", "p90", "p99", "max")
        if n
    ]
    return [*rows, ("scans with a measured latency", f"{n:,}")]
