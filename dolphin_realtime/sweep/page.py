"""A sweep as a page: the verdict first, then every set, worst included."""

import html

import plotly.graph_objects as go

from dolphin_realtime.reports import plots
from dolphin_realtime.reports.page import page
from dolphin_realtime.reports.tables import number, table, usd
from dolphin_realtime.sweep.verdict import SetFigures, Verdict

_HEAD = (
    "set", "days", "net", "gross", "fees", "slippage", "funding", "fills", "Sharpe, hourly"
)  # fmt: skip


def render(title: str, days: list[str], sets: list[SetFigures], verdict: Verdict) -> str:
    """Return the page of a sweep."""
    subtitle = (
        f"{verdict.trials} parameter sets, {len(days)} days ({days[0]} to {days[-1]}), each day "
        "from flat. Money is USDT; net is after fees, spread, slippage and funding."
    )
    bars = go.Figure([go.Bar(x=[s.name for s in sets], y=[s.net for s in sets], name="net")])
    bars.update_layout(title_text="Net by set, best Sharpe ratio first", showlegend=False)
    bars.update_xaxes(automargin=True)
    bars.update_yaxes(title_text="USDT")
    plot = f'<div class="plot">{plots.markup(bars, "sets", 420)}</div>'
    tables = table("Verdict", _verdict_rows(verdict)) + table("Walk-forward", [
        (f"{c.day}: {c.chosen}", usd(c.net)) for c in verdict.walk_forward
    ] or [("no earlier day to choose a set by", "–")])  # fmt: skip
    return page(title, subtitle, [verdict.warning], f"{tables}{plot}{_all_sets(sets)}")


def _verdict_rows(v: Verdict) -> list[tuple[str, str]]:
    return [
        ("best set", v.best or "–"),
        ("its net", usd(v.best_net)),
        ("its Sharpe ratio of an hour", number(v.best_sharpe, 4)),
        ("expected best Sharpe ratio by chance", number(v.expected_max_sharpe, 4)),
        ("deflated Sharpe probability", number(v.deflated_sharpe, 3)),
        ("probability of overfitting (CSCV)", number(v.overfitting, 3)),
        ("walk-forward net", "–" if v.walk_forward_net is None else usd(v.walk_forward_net)),
        ("hourly returns", f"{v.observations:,}"),
    ]


def _all_sets(sets: list[SetFigures]) -> str:
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(one)) + "</tr>"
        for one in sets
    )
    return f"<h2>Every set</h2><table><tr>{head}</tr>{rows}</table>"


def _cells(s: SetFigures) -> list[str]:
    failed = f" (failed: {'; '.join(s.failures)})" if s.failures else ""
    return [
        s.name + failed, str(s.days), usd(s.net), usd(s.gross), usd(s.fees), usd(s.slippage),
        usd(s.funding), f"{s.fills:,}", number(s.sharpe, 4),
    ]  # fmt: skip
