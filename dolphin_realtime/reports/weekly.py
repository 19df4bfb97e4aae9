"""A week of an instance: equity, drawdown, months, costs, and drift from the backtests.

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
from dolphin_realtime.journal.database import reading
from dolphin_realtime.model.instant import DAY_US, day_of, day_us, from_us
from dolphin_realtime.reports import plotly_script, plots
from dolphin_realtime.reports.daily_returns import heat_map, months_of, rolling
from dolphin_realtime.reports.figures import Figures, figures_of
from dolphin_realtime.reports.page import page
from dolphin_realtime.reports.period import Period, daily_returns, read_period
from dolphin_realtime.reports.plotly_script import write_page
from dolphin_realtime.reports.span import Span
from dolphin_realtime.reports.tables import number, share, table, usd
from dolphin_realtime.reports.versus import Versus, read_versus
from dolphin_realtime.reports.write import HTML, JSON


class Week(msgspec.Struct, kw_only=True):
    """An instance's week as written.

    Attributes:
        first: Its Monday.
        last: Its Sunday.
        months: Return of each month of the whole journal, by YYYY-MM.
        days: Comparisons with backtests, by day.
    """

    instance: str
    first: str
    last: str
    figures: Figures
    months: dict[str, float]
    days: dict[str, Versus]
    folder: Path

    @property
    def drift(self) -> float:
        """Net of paper minus net of its backtests, over the days compared."""
        return math.fsum(d.drift for d in self.days.values())

    @property
    def html(self) -> Path:
        """The page."""
        return self.folder / HTML


def weekly_folder(settings: Settings, instance: str, monday: str) -> Path:
    """Return the folder of an instance's weekly summary."""
    return settings.reports / "weekly" / instance / monday


def write_weekly(settings: Settings, instance: str, first: str, last: str) -> Week:
    """Write an instance's summary of the days ``first`` to ``last``.

    Raises:
        JournalError: If it has no journal, or its journal cannot be read.
        OSError: If the summary cannot be written.
    """
    with reading(settings.journal_dir(instance)) as db:
        period = read_period(db, Span.of_days(first, last))
        returns = daily_returns(db)
    week = Week(
        instance=instance,
        first=first,
        last=last,
        figures=figures_of(period),
        months=months_of(returns),
        days=_compared(settings, instance, first),
        folder=weekly_folder(settings, instance, first),
    )
    week.folder.mkdir(parents=True, exist_ok=True)
    plotly_script.place(settings.reports)
    facts = msgspec.json.format(msgspec.json.encode(_facts(week)), indent=2)
    files.replace(week.folder / JSON, facts)
    write_page(week.html, _render(week, period, returns))
    return week


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
    days = {
        day: {"drift": one.drift, "unexplained": one.unexplained} for day, one in week.days.items()
    }
    found = msgspec.to_builtins(week, enc_hook=str)
    del found["folder"]
    return {**found, "days": days, "drift": week.drift, "costs": cost_shares(week.figures)}


def _render(week: Week, period: Period, returns: dict[str, float]) -> str:
    notes = [f"Simulated: {note}" for note in week.figures.notes]
    plot = plots.markup(_equity(week.instance, period), "equity", 380) if period.n_scans else ""
    tables = f'<div class="tables">{heat_map(week.months)}{"".join(_tables(week))}</div>'
    body = f'<div class="plot">{plot}</div>{rolling(returns)}{tables}'
    title = f"{week.instance}, week {week.first} to {week.last}"
    return page(title, "Money is USDT; net is after all costs.", notes, body)


def _equity(name: str, period: Period) -> go.Figure:
    at = plots.steps(period.n_scans)
    x = [from_us(int(us)) for us in period.series["timestamp_us"][at]]
    y = (period.series["equity"][at] / period.start_equity - 1.0) * 100.0
    figure = go.Figure([go.Scatter(x=x, y=y.tolist(), name=name, mode="lines")])
    figure.update_layout(title_text="Equity since the week began, %")
    return figure


def _tables(week: Week) -> list[str]:
    f, costs = week.figures, cost_shares(week.figures)
    return [
        table(
            "The week",
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
            "Costs of the notional traded",
            [
                (cost, "–" if value is None else f"{1e4 * value:.2f} bp")
                for cost, value in costs.items()
            ],
        ),
        table(
            "Paper minus backtest",
            [
                (day, f"{number(d.drift)} USDT, {d.unexplained} unexplained")
                for day, d in week.days.items()
            ]
            or [("no day compared", "–")],
        ),
    ]
