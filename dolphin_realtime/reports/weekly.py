"""A week of every instance: equity, drawdown, months, costs, and drift from the backtests.

What a week shows belongs here, its figures in figures.py; the drift comes from the stored daily
comparisons of paper and backtest.
"""

import math
from pathlib import Path
from typing import Any

import msgspec
import plotly.graph_objects as go

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra import files
from dolphin_realtime.journal import database
from dolphin_realtime.journal.database import reading
from dolphin_realtime.model.instant import DAY_US, day_of, day_us, from_us
from dolphin_realtime.reports import plots
from dolphin_realtime.reports.figures import Figures, figures_of
from dolphin_realtime.reports.page import page
from dolphin_realtime.reports.period import Period, daily_returns, read_period
from dolphin_realtime.reports.span import Span
from dolphin_realtime.reports.tables import number, share, table, usd
from dolphin_realtime.reports.versus import Versus, read_versus
from dolphin_realtime.reports.write import HTML, JSON


class InstanceWeek(msgspec.Struct, kw_only=True):
    """One instance's week.

    Attributes:
        months: Return of each month of the whole journal, by YYYY-MM.
        days: Comparisons with backtests, by day.
    """

    figures: Figures
    months: dict[str, float]
    days: dict[str, Versus]

    @property
    def drift(self) -> float:
        """Net of paper minus net of its backtests, over the days compared."""
        return math.fsum(d.drift for d in self.days.values())


class Week(msgspec.Struct, kw_only=True):
    """A week as written."""

    first: str
    last: str
    instances: dict[str, InstanceWeek]
    folder: Path

    @property
    def html(self) -> Path:
        """The page."""
        return self.folder / HTML


def write_weekly(settings: Settings, first: str, last: str) -> Week:
    """Write the summary of the days ``first`` to ``last`` for every instance with a journal.

    Raises:
        JournalError: If a journal cannot be read.
        OSError: If the summary cannot be written.
    """
    span = Span.of_days(first, last)
    week = Week(first=first, last=last, instances={}, folder=settings.reports / "weekly" / first)
    periods: dict[str, Period] = {}
    for instance in settings.instance_names:
        folder = settings.journal_dir(instance)
        if not database.path_of(folder).is_file():
            continue
        with reading(folder) as db:
            period = read_period(db, span)
            months = months_of(daily_returns(db))
        periods[instance] = period
        week.instances[instance] = InstanceWeek(
            figures=figures_of(period),
            months=months,
            days=_compared(settings, instance, first),
        )
    week.folder.mkdir(parents=True, exist_ok=True)
    files.replace(
        week.folder / JSON, msgspec.json.format(msgspec.json.encode(_facts(week)), indent=2)
    )
    files.replace(week.html, _render(week, periods).encode())
    return week


def months_of(returns: dict[str, float]) -> dict[str, float]:
    """Return the compounded return of each month of daily returns."""
    months: dict[str, float] = {}
    for day, value in returns.items():
        months[day[:7]] = (1.0 + months.get(day[:7], 0.0)) * (1.0 + value) - 1.0
    return months


def cost_shares(f: Figures) -> dict[str, float | None]:
    """Return each cost as a fraction of the notional traded."""
    volume = f.turnover * f.start_equity
    costs = {"slippage": f.slippage, "fees": f.fees, "funding": f.funding}
    return {name: value / volume if volume > 0.0 else None for name, value in costs.items()}


def _compared(settings: Settings, instance: str, monday: str) -> dict[str, Versus]:
    """Return the comparisons of a week's days with their backtests, by day."""
    days = [day_of(day_us(monday) + n * DAY_US) for n in range(7)]
    found = {day: read_versus(settings, instance, day) for day in days}
    return {day: one for day, one in found.items() if one is not None}


def _facts(week: Week) -> dict[str, Any]:
    return {
        "first": week.first,
        "last": week.last,
        "instances": {
            name: {
                **msgspec.to_builtins(row),
                "days": {
                    day: {"drift": one.drift, "unexplained": one.unexplained}
                    for day, one in row.days.items()
                },
                "drift": row.drift,
                "costs": cost_shares(row.figures),
            }
            for name, row in week.instances.items()
        },
    }


def _render(week: Week, periods: dict[str, Period]) -> str:
    notes = sorted(
        {f"Simulated: {n}" for row in week.instances.values() for n in row.figures.notes}
    )
    if not week.instances:
        notes.append("No instance has a journal: nothing was traded.")
    parts = [plots.markup(_equity(periods), "equity", 380)] if any(
        p.n_scans for p in periods.values()
    ) else []  # fmt: skip
    tables = [t for name, row in week.instances.items() for t in _tables(name, row)]
    body = "".join(f'<div class="plot">{p}</div>' for p in parts)
    title = f"Week {week.first} to {week.last}"
    subtitle = "Paper trading of every instance. Money is USDT; net is after all costs."
    return page(title, subtitle, notes, f"{body}<div class='tables'>{''.join(tables)}</div>")


def _equity(periods: dict[str, Period]) -> go.Figure:
    figure = go.Figure()
    for name, period in periods.items():
        if not period.n_scans:
            continue
        at = plots.steps(period.n_scans)
        x = [from_us(int(us)) for us in period.series["timestamp_us"][at]]
        y = (period.series["equity"][at] / period.start_equity - 1.0) * 100.0
        figure.add_trace(go.Scatter(x=x, y=y.tolist(), name=name, mode="lines"))
    figure.update_layout(title_text="Equity since the week began, %", showlegend=True)
    return figure


def _tables(name: str, row: InstanceWeek) -> list[str]:
    f, costs = row.figures, cost_shares(row.figures)
    return [
        table(
            f"{name}: the week",
            [
                ("net", usd(f.net)),
                ("return", share(f.total_return)),
                ("max drawdown", share(f.max_drawdown)),
                ("gross", usd(f.gross)),
                ("fills", f"{f.fills:,}"),
                ("end equity", usd(f.end_equity)),
            ],
        ),
        table(
            f"{name}: costs of the notional traded",
            [
                (cost, "–" if value is None else f"{1e4 * value:.2f} bp")
                for cost, value in costs.items()
            ],
        ),
        table(f"{name}: months", [(m, share(r)) for m, r in row.months.items()]),
        table(
            f"{name}: paper minus backtest",
            [
                (day, f"{number(d.drift)} USDT, {d.unexplained} unexplained")
                for day, d in row.days.items()
            ]
            or [("no day compared", "–")],
        ),
    ]
