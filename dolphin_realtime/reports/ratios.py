"""Ratios of returns: volatility, Sharpe, Sortino, and the significance of a Sharpe ratio. Pure.

Returns are fractions of one period. Crypto trades every day, so a year has 365 daily
returns. Sources: Sortino and van der Meer (1991); Bailey and Lopez de Prado, "The Sharpe
Ratio Efficient Frontier" (2012) and "The Deflated Sharpe Ratio" (2014).
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import Final

DAYS_A_YEAR: Final = 365
MIN_DAYS: Final = 30
"""Fewest daily returns for an annualised ratio."""
EULER_GAMMA: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation, 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    mean = fmean(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def volatility(returns: Sequence[float], periods: float = DAYS_A_YEAR) -> float:
    """Return the annualised standard deviation."""
    return deviation(returns) * math.sqrt(periods)


def sharpe(returns: Sequence[float], periods: float = DAYS_A_YEAR) -> float | None:
    """Return the annualised Sharpe ratio (no risk-free rate), None if the returns do not vary."""
    spread = deviation(returns)
    return fmean(returns) / spread * math.sqrt(periods) if spread > 0.0 else None


def sortino(returns: Sequence[float], periods: float = DAYS_A_YEAR) -> float | None:
    """Return annualised mean over annualised root mean square of losses, None without a loss."""
    if not returns:
        return None
    downside = math.sqrt(math.fsum(min(r, 0.0) ** 2 for r in returns) / len(returns))
    return fmean(returns) / downside * math.sqrt(periods) if downside > 0.0 else None


def skewness(values: Sequence[float]) -> float:
    """Return the third standardised moment of the population, 0 if the values do not vary."""
    return _moment(values, 3)


def kurtosis(values: Sequence[float]) -> float:
    """Return the population's fourth standardised moment, 3 if normal or if values do not vary."""
    return _moment(values, 4) or 3.0


def _moment(values: Sequence[float], order: int) -> float:
    mean = fmean(values)
    variance = fmean([(v - mean) ** 2 for v in values])
    if variance <= 0.0:
        return 0.0
    return fmean([(v - mean) ** order for v in values]) / float(variance ** (order / 2))


def probabilistic_sharpe(
    ratio: float, benchmark: float, n: int, skew: float, kurt: float
) -> float | None:
    """Return the probability that the true Sharpe ratio is above ``benchmark``.

    Args:
        ratio: Observed Sharpe ratio of one period, not annualised.
        benchmark: The ratio to beat, of one period.
        n: Number of returns.
        skew: Skewness of the returns.
        kurt: Kurtosis of the returns, 3 for a normal distribution.
    """
    spread = 1.0 - skew * ratio + (kurt - 1.0) / 4.0 * ratio**2
    if n < 2 or spread <= 0.0:
        return None
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(n - 1) / math.sqrt(spread))


def expected_maximum(trials: int) -> float:
    """Return the approximate expected maximum of ``trials`` independent standard normal values."""
    if trials < 2:
        return 0.0
    first = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    second = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return (1.0 - EULER_GAMMA) * first + EULER_GAMMA * second


def expected_max_sharpe(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of ``trials`` worthless ones would show.

    Args:
        trials: Number of sets tried.
        variance: Variance of the trials' Sharpe ratios of one period.
    """
    return math.sqrt(variance) * expected_maximum(trials)


def deflated_sharpe(
    ratio: float, trials: int, variance: float, n: int, skew: float, kurt: float
) -> float | None:
    """Return the probability that the best of many trials is better than chance."""
    return probabilistic_sharpe(ratio, expected_max_sharpe(trials, variance), n, skew, kurt)
