"""A period's figures, computed here for every view that shows them. Pure.

Money is USDT; shares and returns are fractions. net = gross - slippage - fees - funding =
end equity - start equity - what was moved in. Backtest and paper journals give the same figures.
"""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.journal.database import reading
from dolphin_realtime.model.instant import day_of
from dolphin_realtime.model.percentiles import percentiles
from dolphin_realtime.model.portfolio.saved import Books
from dolphin_realtime.reports import ratios
from dolphin_realtime.reports.live import LiveFigures
from dolphin_realtime.reports.period import Period, read_period
from dolphin_realtime.reports.span import Span
from dolphin_realtime.reports.trades import LONG, TradeFigures, figures_of_trades

NOT_ENOUGH: Final = f"not enough data: fewer than {ratios.MIN_DAYS} daily returns"
BTC: Final = ("BTCUSDT", "BTC")


class Exposure(msgspec.Struct, kw_only=True):
    """Notional of the positions as shares of equity, over all scans."""

    gross_mean: float
    gross_max: float
    net_mean: float


class Benchmark(msgspec.Struct, kw_only=True):
    """Returns of buying at the first scan and holding; None if the prices are unknown."""

    basket: float | None = None
    btc: float | None = None


class SignalHealth(msgspec.Struct, kw_only=True):
    """Means over all scans; ``gated`` is the share of (scan, asset) pairs that a gate closed."""

    r_ar: float | None = None
    r_vol: float | None = None
    gated: float | None = None


class Figures(msgspec.Struct, kw_only=True):
    """Headline figures; times are UTC microseconds, None before the first scan.

    Attributes:
        returns: Return from one UTC day's close to the next; the first is from the period's start.
        volatility: Annualised, of daily returns; None for fewer than 30, like the ratios.
        max_drawdown: Largest fall from a peak of equity, as a fraction of the peak.
        turnover: Notional filled over start equity.
        per_asset: Net by asset; None if the portfolio state at the period's ends is unknown.
        reasons: Decisions without an order, by reason.
        notes: What is simulated.
        transferred: Money moved in (out: negative); no profit, no loss, and not in returns.
        live: What a real venue made of the orders; None on paper.
        off_usd: The larger of two errors: gross against the profit at the fills' mids, and net
            against the sum over assets; None if the portfolio state at the ends is unknown.
        caveats: What else a reader must know, e.g. that the day is not over.
    """

    start_equity: float
    end_equity: float
    net: float
    gross: float
    slippage: float
    fees: float
    funding: float
    total_return: float
    scans: int
    assets: int
    orders: int
    fills: int
    cancels: int
    refusals: int
    turnover: float
    max_drawdown: float
    drawdown_peak_us: int | None = None
    drawdown_trough_us: int | None = None
    first_us: int | None = None
    last_us: int | None = None
    days: int = 0
    returns: dict[str, float] = {}
    volatility: float | None = None
    sharpe: float | None = None
    sortino: float | None = None
    ratios_note: str | None = None
    exposure: Exposure | None = None
    trades: TradeFigures | None = None
    long_trades: TradeFigures | None = None
    short_trades: TradeFigures | None = None
    open_positions: int = 0
    per_asset: dict[str, float] | None = None
    best_asset: str | None = None
    worst_asset: str | None = None
    benchmark: Benchmark = msgspec.field(default_factory=Benchmark)
    signal: SignalHealth = msgspec.field(default_factory=SignalHealth)
    latency_us: dict[str, float] = {}
    reasons: dict[str, int] = {}
    postures: dict[str, int] = {}
    notes: list[str] = []
    transferred: float = 0.0
    live: LiveFigures | None = None
    off_usd: float | None = None
    caveats: list[str] = []


def figures(folder: Path, span: Span | None = None) -> Figures:
    """Return the figures of a journal over a span, by default the whole journal.

    Raises:
        JournalError: If there is no journal.
    """
    with reading(folder) as db:
        return figures_of(read_period(db, span))


def figures_of(period: Period) -> Figures:
    """Return the figures of a period."""
    found = _money(period)
    _add_returns(found, period)
    _add_trades(found, period)
    _add_assets(found, period)
    _add_means(found, period)
    return found


def _money(period: Period) -> Figures:
    s, start, n = period.series, period.start_equity, period.n_scans
    end = float(s["equity"][-1]) if n else start
    fees = float(s["fees"][-1]) - period.start_fees if n else 0.0
    funding = float(s["funding"][-1]) - period.start_funding if n else 0.0
    slippage = math.fsum(f["quantity"] * abs(f["price"] - f["mid"]) for f in period.fills)
    volume = math.fsum(f["quantity"] * f["price"] for f in period.fills)
    return Figures(
        start_equity=start,
        end_equity=end + period.transferred,
        transferred=period.transferred,
        live=period.live,
        net=end - start,
        gross=end - start + slippage + fees + funding,
        slippage=slippage,
        fees=fees,
        funding=funding,
        total_return=end / start - 1.0 if start > 0.0 else 0.0,
        scans=n,
        assets=int(np.nanmax(s["assets"])) if n and not np.isnan(s["assets"]).all() else 0,
        turnover=volume / start if start > 0.0 else 0.0,
        max_drawdown=0.0,
        first_us=int(s["timestamp_us"][0]) if n else None,
        last_us=int(s["timestamp_us"][-1]) if n else None,
        reasons=period.reasons,
        postures=period.postures,
        notes=period.notes,
        orders=period.counts["orders"],
        fills=period.counts["fills"],
        cancels=period.counts["cancels"],
        refusals=period.counts["refusals"],
    )


def _add_returns(found: Figures, period: Period) -> None:
    times, equity = period.series["timestamp_us"], period.series["equity"]
    closes = {day_of(int(at)): float(value) for at, value in zip(times, equity, strict=True)}
    path = [period.start_equity, *closes.values()]
    found.returns = {
        day: after / before - 1.0 if before > 0.0 else 0.0
        for day, (before, after) in zip(closes, pairwise(path), strict=True)
    }
    found.days = len(closes)
    values = list(found.returns.values())
    if len(values) < ratios.MIN_DAYS:
        found.ratios_note = NOT_ENOUGH
    else:
        found.volatility = ratios.volatility(values)
        found.sharpe, found.sortino = ratios.sharpe(values), ratios.sortino(values)
    if period.n_scans:
        falls = drawdowns(period)
        trough = int(falls.argmax())
        found.max_drawdown = float(falls[trough])
        if found.max_drawdown > 0.0:
            before = equity[: trough + 1]
            found.drawdown_trough_us = int(times[trough])
            is_start = before.max() < period.start_equity
            found.drawdown_peak_us = int(times[0] if is_start else times[before.argmax()])


def drawdowns(period: Period) -> NDArray[np.float64]:
    """Return the drawdown after each scan, as a fraction; start equity counts as a peak."""
    equity = period.series["equity"]
    peaks = np.maximum(np.maximum.accumulate(equity), period.start_equity)
    left: NDArray[np.float64] = np.divide(
        equity, peaks, out=np.ones_like(equity), where=peaks > 0.0
    )
    return 1.0 - left


def _add_trades(found: Figures, period: Period) -> None:
    closed = period.closed
    found.trades = figures_of_trades(closed)
    found.long_trades = figures_of_trades([t for t in closed if t.side == LONG])
    found.short_trades = figures_of_trades([t for t in closed if t.side != LONG])
    found.open_positions = len(period.still_open)


def _add_assets(found: Figures, period: Period) -> None:
    if period.opening is None or period.closing is None:
        return
    before, after = period.opening, period.closing
    net: dict[str, float] = {}
    for books, sign in ((before, -1.0), (after, 1.0)):
        for asset, position in books.account.positions.items():
            unrealised = position.unrealised(books.prices.get(asset, position.average_price))
            net[asset] = net.get(asset, 0.0) + sign * (position.realised + unrealised)
    for rows, column in ((period.fills, "fee"), (period.funding, "amount")):
        for row in rows:
            net[row["asset"]] = net.get(row["asset"], 0.0) - row[column]
    found.per_asset = {a: v for a, v in sorted(net.items(), key=lambda kv: -kv[1]) if v != 0.0}
    if found.per_asset:
        found.best_asset, *_, found.worst_asset = [*found.per_asset, *found.per_asset]
    found.off_usd = max(
        abs(found.gross - _profit_at_mids(before, after, period)),
        abs(found.net - math.fsum(net.values())),
    )
    growth = {
        a: after.prices[a] / price - 1.0
        for a, price in period.first_prices.items()
        if price > 0.0 and a in after.prices
    }
    if growth:
        found.benchmark.basket = math.fsum(growth.values()) / len(growth)
        found.benchmark.btc = next((growth[name] for name in BTC if name in growth), None)


def _profit_at_mids(before: Books, after: Books, period: Period) -> float:
    """Return the change in the value held, minus what was spent on it at the fills' mids.

    A position that an operator command closed without an order counts at the command's price.
    """

    def worth(books: Books) -> float:
        return math.fsum(q * books.prices.get(a, 0.0) for a, q in books.account.held().items())

    spent = math.fsum(
        f["quantity"] * f["mid"] * (1.0 if f["side"] == "BUY" else -1.0) for f in period.fills
    )
    spent -= math.fsum(
        c["realised"] + c["quantity_before"] * c["average_before"] - c["quantity"] * c["average"]
        for c in period.changes
    )
    return worth(after) - worth(before) - spent


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _add_means(found: Figures, period: Period) -> None:
    s = period.series
    found.latency_us = percentiles([x for x in s["latency_us"].tolist() if not math.isnan(x)])
    gated, assets = np.nansum(s["gated"]), np.nansum(s["assets"])
    found.signal = SignalHealth(
        r_ar=_mean(s["r_ar"]),
        r_vol=_mean(s["r_vol"]),
        gated=float(gated / assets) if assets > 0 else None,
    )
    gross, net = exposures(period)
    if len(gross) and not np.isnan(gross).all():
        found.exposure = Exposure(
            gross_mean=float(np.nanmean(gross)),
            gross_max=float(np.nanmax(gross)),
            net_mean=float(np.nanmean(net)),
        )


def exposures(period: Period) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (gross, net) notional after each scan as shares of equity."""
    s = period.series
    equity = np.where(s["equity"] > 0.0, s["equity"], np.nan)
    return (s["long_usd"] + s["short_usd"]) / equity, (s["long_usd"] - s["short_usd"]) / equity


def to_dict(found: Figures) -> dict[str, Any]:
    """Return all figures as JSON-ready values with stable keys."""
    raw: dict[str, Any] = msgspec.to_builtins(found)
    return raw
