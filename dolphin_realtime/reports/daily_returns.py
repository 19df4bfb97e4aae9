"""Months as a heat map and rolling figures, from daily returns: what a tear sheet shows."""

import html
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import plotly.graph_objects as go

from dolphin_realtime.reports import plots, ratios

WINDOW: Final = 30
"""Days of a rolling figure: the fewest that an annualised ratio is computed of."""
MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def months_of(returns: Mapping[str, float]) -> dict[str, float]:
    """Return the compounded return of each month of daily returns, by YYYY-MM."""
    months: dict[str, float] = {}
    for day, value in returns.items():
        months[day[:7]] = (1.0 + months.get(day[:7], 0.0)) * (1.0 + value) - 1.0
    return months


def heat_map(months: Mapping[str, float]) -> str:
    """Return months as a table: a row a year, coloured by return, with the year's own at its end."""
    years = sorted({month[:4] for month in months})
    worst = max((abs(value) for value in months.values()), default=0.0)
    rows = "".join(_year(year, months, worst) for year in years)
    head = "".join(f"<th>{name}</th>" for name in ("", *MONTHS, "year"))
    return (
        "<section class='wide'><h2>Returns by month, %</h2>"
        f"<table class='heat'><tr>{head}</tr>{rows}</table></section>"
    )


def _year(year: str, months: Mapping[str, float], worst: float) -> str:
    values = [months.get(f"{year}-{month:02}") for month in range(1, 13)]
    whole = 1.0
    for value in values:
        whole *= 1.0 + (value or 0.0)
    cells = "".join(_cell(value, worst) for value in values)
    return f"<tr><td>{html.escape(year)}</td>{cells}<td>{100.0 * (whole - 1.0):+.2f}</td></tr>"


def _cell(value: float | None, worst: float) -> str:
    if value is None:
        return "<td></td>"
    depth = 0.6 * abs(value) / worst if worst else 0.0
    colour = "26,127,55" if value >= 0.0 else "179,38,30"
    return f"<td style='background:rgba({colour},{depth:.2f})'>{100.0 * value:+.2f}</td>"


def rolling(returns: Mapping[str, float]) -> str:
    """Return rolling volatility, Sharpe ratio and drawdown as a plot; "" before WINDOW days."""
    days, values = list(returns), list(returns.values())
    if len(values) < WINDOW:
        return ""
    at = range(WINDOW, len(values) + 1)
    windows = [values[end - WINDOW : end] for end in at]
    x = [days[end - 1] for end in at]
    lines = {
        "Sharpe": [ratios.sharpe(window) for window in windows],
        "volatility, %": [100.0 * ratios.volatility(window) for window in windows],
        "drawdown within, %": [-100.0 * deepest(window) for window in windows],
    }
    figure = go.Figure([
        go.Scatter(x=x, y=y, name=name, mode="lines", yaxis="y2" if name == "Sharpe" else "y")
        for name, y in lines.items()
    ])  # fmt: skip
    figure.update_layout(
        title_text=f"Rolling {WINDOW} days (annualised, 365 days a year)",
        yaxis={"title": "%"}, yaxis2={"title": "Sharpe", "overlaying": "y", "side": "right"},
    )  # fmt: skip
    return f'<div class="plot">{plots.markup(figure, "rolling")}</div>'


def deepest(returns: Sequence[float]) -> float:
    """Return the largest drawdown of compounded returns, as a fraction of the peak."""
    worth = [1.0]
    for value in returns:
        worth.append(worth[-1] * (1.0 + value))
    peak, found = worth[0], 0.0
    for _, now in pairwise(worth):
        peak = max(peak, now)
        found = max(found, 1.0 - now / peak)
    return found
