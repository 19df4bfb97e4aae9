"""How far the best of many trials can be trusted. Pure.

Three answers beside the best set's own figures: the probability that its Sharpe ratio beats
the best of as many worthless sets (deflated Sharpe ratio), the probability that the best in
one half of the time is below the median in the other (CSCV), and the result of choosing a set
again each day from the days before alone (walk-forward). Returns are hourly.
Sources: Bailey and Lopez de Prado, "The Deflated Sharpe Ratio" (2014); Bailey, Borwein,
Lopez de Prado, Zhu, "The Probability of Backtest Overfitting" (2015).
"""

import itertools
import math
from statistics import fmean, variance
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.reports import ratios
from dolphin_realtime.sweep.trial import TrialResult

Floats = NDArray[np.float64]
BLOCKS: Final = 10
MIN_OBSERVATIONS: Final = 30
MEDIAN: Final = 0.5
MIN_DSR: Final = 0.95
"""Least deflated Sharpe probability at which the best set counts as better than chance."""


class SetFigures(msgspec.Struct, kw_only=True):
    """One parameter set over all days; ``sharpe`` is of one hour, not annualised."""

    name: str
    days: int
    net: float
    gross: float
    fees: float
    slippage: float
    funding: float
    orders: int
    fills: int
    worst_drawdown: float
    sharpe: float
    failures: list[str] = []


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A day of the walk-forward: the set chosen on the days before, and its net on this day."""

    day: str
    chosen: str
    net: float


class Verdict(msgspec.Struct, kw_only=True):
    """The best set and how far to trust it; None if there is too little data.

    Attributes:
        trials: Parameter sets tried, failed ones included.
        expected_max_sharpe: Hourly Sharpe ratio that the best of as many worthless sets would show.
        deflated_sharpe: Probability that the best set is better than that.
        overfitting: Probability that the best in-sample is below the median out of sample.
        walk_forward: Each day traded with the set that was best on the days before.
        warning: The sentence that a reader must see first.
    """

    trials: int
    observations: int
    best: str | None = None
    best_net: float = 0.0
    best_sharpe: float = 0.0
    expected_max_sharpe: float | None = None
    deflated_sharpe: float | None = None
    overfitting: float | None = None
    walk_forward: list[Choice] = []
    walk_forward_net: float | None = None
    warning: str = ""


def hourly_sharpe(returns: list[float]) -> float:
    """Return the Sharpe ratio of one hour, 0 if the returns do not vary."""
    return ratios.sharpe(returns, 1.0) or 0.0


def figures_of_sets(
    names: list[str], days: list[str], results: list[TrialResult]
) -> list[SetFigures]:
    """Return every set's figures, best Sharpe ratio first; sets with a failure come last."""
    by_set: dict[str, dict[str, TrialResult]] = {name: {} for name in names}
    for result in results:
        by_set[result.set_name][result.day] = result
    rows = [_figures(name, [by_set[name][d] for d in days if d in by_set[name]]) for name in names]
    return sorted(rows, key=lambda row: (bool(row.failures), -row.sharpe, row.name))


def _figures(name: str, results: list[TrialResult]) -> SetFigures:
    good = [r for r in results if r.failure is None]
    return SetFigures(
        name=name,
        days=len(good),
        net=math.fsum(r.net for r in good),
        gross=math.fsum(r.gross for r in good),
        fees=math.fsum(r.fees for r in good),
        slippage=math.fsum(r.slippage for r in good),
        funding=math.fsum(r.funding for r in good),
        orders=sum(r.orders for r in good),
        fills=sum(r.fills for r in good),
        worst_drawdown=max((r.max_drawdown for r in good), default=0.0),
        sharpe=hourly_sharpe([x for r in good for x in r.returns]),
        failures=[f"{r.day}: {r.failure}" for r in results if r.failure is not None],
    )


def judge(sets: list[SetFigures], days: list[str], results: list[TrialResult]) -> Verdict:
    """Return the verdict over the sets that ran on every day."""
    whole = [s.name for s in sets if not s.failures and s.days == len(days)]
    matrix, spans = _matrix(whole, days, results)
    verdict = Verdict(trials=len(sets), observations=len(matrix))
    if not whole:
        verdict.warning = "No set ran on every day: nothing can be said."
        return verdict
    best = next(s for s in sets if s.name == whole[0])
    verdict.best, verdict.best_net, verdict.best_sharpe = best.name, best.net, best.sharpe
    if len(matrix) < MIN_OBSERVATIONS:
        verdict.warning = (
            f"Not enough data: {len(matrix)} hourly returns, {MIN_OBSERVATIONS} needed."
        )
        return verdict
    _deflate(verdict, matrix)
    verdict.overfitting = overfitting(matrix)
    verdict.walk_forward = walk_forward(whole, matrix, spans, results)
    if verdict.walk_forward:
        verdict.walk_forward_net = math.fsum(c.net for c in verdict.walk_forward)
    verdict.warning = _warning(verdict)
    return verdict


def _matrix(
    names: list[str], days: list[str], results: list[TrialResult]
) -> tuple[Floats, dict[str, slice]]:
    """Return hourly returns (hours, sets) and each day's rows."""
    found = {(r.set_name, r.day): r.returns for r in results if r.failure is None}
    parts, spans, at = [], {}, 0
    for day in days if names else []:
        block = np.array([found[(name, day)] for name in names], dtype=np.float64).T
        parts.append(block)
        spans[day] = slice(at, at + len(block))
        at += len(block)
    return (np.vstack(parts) if parts else np.empty((0, 0))), spans


def _deflate(verdict: Verdict, matrix: Floats) -> None:
    all_sharpes = [hourly_sharpe(column.tolist()) for column in matrix.T]
    spread = variance(all_sharpes) if len(all_sharpes) > 1 else 0.0
    best = matrix[:, int(np.argmax(all_sharpes))].tolist()
    verdict.expected_max_sharpe = ratios.expected_max_sharpe(verdict.trials, spread)
    verdict.deflated_sharpe = ratios.deflated_sharpe(
        verdict.best_sharpe, verdict.trials, spread, len(best),
        ratios.skewness(best), ratios.kurtosis(best),
    )  # fmt: skip


def overfitting(matrix: Floats, blocks: int = BLOCKS) -> float | None:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    Args:
        matrix: Returns (times, sets); fewer than two sets, or two rows a block, give None.
        blocks: Number of blocks that time is divided into; even.
    """
    n_rows, n_sets = matrix.shape
    if n_sets < 2 or n_rows < 2 * blocks:
        return None
    parts = np.array_split(np.arange(n_rows), blocks)
    below = 0
    choices = list(itertools.combinations(range(blocks), blocks // 2))
    for chosen in choices:
        inside = np.concatenate([parts[n] for n in chosen])
        outside = np.concatenate([parts[n] for n in range(blocks) if n not in chosen])
        winner = int(np.argmax(_sharpes(matrix[inside])))
        rest = _sharpes(matrix[outside])
        rank = (rest < rest[winner]).sum() + ((rest == rest[winner]).sum() + 1) / 2.0
        below += bool(rank / (n_sets + 1) <= MEDIAN)
    return below / len(choices)


def _sharpes(matrix: Floats) -> Floats:
    spread = matrix.std(axis=0, ddof=1)
    mean = matrix.mean(axis=0)
    ratio: Floats = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0.0)
    return ratio


def walk_forward(
    names: list[str], matrix: Floats, spans: dict[str, slice], results: list[TrialResult]
) -> list[Choice]:
    """Return each day after the first traded with the set that was best on all days before."""
    nets = {(r.set_name, r.day): r.net for r in results}
    choices = []
    for day, span in list(spans.items())[1:]:
        best = names[int(np.argmax(_sharpes(matrix[: span.start])))]
        choices.append(Choice(day=day, chosen=best, net=nets[(best, day)]))
    return choices


def _warning(v: Verdict) -> str:
    dsr = "unknown" if v.deflated_sharpe is None else f"{v.deflated_sharpe:.2f}"
    pbo = "unknown" if v.overfitting is None else f"{v.overfitting:.2f}"
    net = "unknown" if v.walk_forward_net is None else f"{v.walk_forward_net:,.2f} USDT"
    is_luck = v.deflated_sharpe is None or v.deflated_sharpe < MIN_DSR
    loses = "" if v.best_net > 0.0 else "No set earned anything after costs. "
    said = "no more than luck would give" if is_luck else "more than luck alone would give"
    return (
        f"{loses}The best of {v.trials} sets shows {said}: deflated Sharpe probability {dsr}, "
        f"probability of overfitting {pbo}; walk-forward, choosing again on each of "
        f"{len(v.walk_forward)} days, gave {net}."
    )


def mean_seconds(results: list[TrialResult]) -> float:
    """Return the mean wall time of the trials that ran."""
    times = [r.seconds for r in results if r.failure is None]
    return fmean(times) if times else 0.0
