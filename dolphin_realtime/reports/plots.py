"""The plots of a report: equity with its drawdown, exposure, profit by asset, latency.

Each returns markup for a page that contains plotly's script. Lines are thinned to about 1,500
points; the drawdown keeps the worst value of each step.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.io import to_html
from plotly.subplots import make_subplots

from dolphin_realtime.model.instant import from_us
from dolphin_realtime.reports.figures import Figures, drawdowns, exposures
from dolphin_realtime.reports.period import Period

POINTS: Final = 1500
"""Approximate maximum number of points of a line."""
DIGITS: Final = 4
"""Decimal places of a line's values: more than a screen shows."""
BLUE: Final = "#1f6fb2"
RED: Final = "#b3261e"
GREEN: Final = "#1a7f37"
GREY: Final = "#8795a1"
_HEIGHT: Final = 320
BARS: Final = 40


def all_of(period: Period, figures: Figures) -> Iterator[str]:
    """Yield the plots of a period; a period without scans has no plots."""
    if not period.n_scans:
        return
    yield markup(_equity(period), "equity", 420)
    yield markup(_exposure(period), "exposure")
    if figures.per_asset:
        yield markup(_per_asset(figures.per_asset), "per-asset")
    if figures.latency_us.get("n"):
        yield markup(_latency(period), "latency")


def markup(figure: go.Figure, name: str, height: int = _HEIGHT) -> str:
    """Return a figure as markup with the common layout; ``name`` gives it a stable id."""
    figure.update_layout(
        template="plotly_white", height=height, margin={"l": 70, "r": 20, "t": 40, "b": 40},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
        font={"family": "system-ui, sans-serif", "size": 12},
    )  # fmt: skip
    text: str = to_html(
        figure, include_plotlyjs=False, full_html=False, div_id=f"plot-{name}",
        config={"displaylogo": False, "responsive": True},
    )  # fmt: skip
    return text


def steps(n: int) -> NDArray[np.int64]:
    """Return which of ``n`` points are drawn: about POINTS of them, always with the last one."""
    stride = max(1, -(-n // POINTS))
    return np.unique(np.append(np.arange(0, n, stride), n - 1))


def _times(period: Period, at: NDArray[np.int64]) -> list[Any]:
    """Return instants as short text: a page holds thousands of them."""
    return [f"{from_us(int(us)):%Y-%m-%dT%H:%M:%S}" for us in period.series["timestamp_us"][at]]


def _line(x: list[Any], y: Any, name: str, colour: str, **more: Any) -> go.Scatter:
    values = np.asarray(y, dtype=np.float64).round(DIGITS).tolist()
    return go.Scatter(
        x=x, y=values, name=name, mode="lines", line={"color": colour, "width": 1.4}, **more
    )


def _equity(period: Period) -> go.Figure:
    at = steps(period.n_scans)
    worst = np.maximum.reduceat(drawdowns(period), at)
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.06
    )
    x = _times(period, at)
    figure.add_trace(_line(x, period.series["equity"][at], "equity", BLUE), row=1, col=1)
    figure.add_trace(_line(x, -100.0 * worst, "drawdown", RED, fill="tozeroy"), row=2, col=1)
    figure.update_yaxes(title_text="equity, USDT", tickformat=",~f", row=1, col=1)
    figure.update_yaxes(title_text="drawdown, %", row=2, col=1)
    figure.update_layout(title_text="Equity and drawdown")
    return figure


def _exposure(period: Period) -> go.Figure:
    at = steps(period.n_scans)
    gross, net = exposures(period)
    x = _times(period, at)
    figure = go.Figure([
        _line(x, 100.0 * gross[at], "gross", BLUE),
        _line(x, 100.0 * net[at], "net", GREY),
    ])  # fmt: skip
    figure.update_layout(title_text="Exposure")
    figure.update_yaxes(title_text="% of equity")
    return figure


def _per_asset(per_asset: dict[str, float]) -> go.Figure:
    """Draw the net of each asset; of many, those with the largest and the sum of the others."""
    shown = largest(per_asset, BARS)
    names, values = list(shown), list(shown.values())
    colours = [GREEN if v > 0.0 else RED for v in values]
    figure = go.Figure([go.Bar(x=names, y=values, marker={"color": colours}, name="net")])
    of = f", the largest {BARS} of {len(per_asset)}" if len(per_asset) > BARS else ""
    figure.update_layout(title_text=f"Net by asset{of}", showlegend=False)
    figure.update_yaxes(title_text="USDT")
    figure.update_xaxes(automargin=True)
    return figure


def largest(per_asset: dict[str, float], most: int) -> dict[str, float]:
    """Return the ``most`` values that are farthest from 0, in their order, and the sum of the others."""
    if len(per_asset) <= most:
        return per_asset
    by_size = sorted(per_asset, key=lambda asset: -abs(per_asset[asset]))
    kept = set(by_size[:most])
    found = {asset: value for asset, value in per_asset.items() if asset in kept}
    rest = [value for asset, value in per_asset.items() if asset not in kept]
    return {**found, f"{len(rest)} others": sum(rest)}


def _latency(period: Period) -> go.Figure:
    values = period.series["latency_us"]
    known = np.flatnonzero(~np.isnan(values))
    at = known[steps(len(known))]
    dots = go.Scatter(
        x=_times(period, at), y=values[at].tolist(), mode="markers", name="callback to last order",
        marker={"size": 4, "color": BLUE, "opacity": 0.6},
    )  # fmt: skip
    figure = go.Figure([dots])
    figure.update_layout(title_text="Latency over the day")
    figure.update_yaxes(title_text="µs", type="log")
    return figure
