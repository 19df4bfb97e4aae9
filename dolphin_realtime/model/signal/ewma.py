"""The exponentially weighted mean and variance of the signal, for one series and for many.

w <- (1 - a) w + a; g = a / w (1 while w = 0); d = x - m; m <- m + g d;
v <- (1 - g)(v + g d^2): the exactly weighted mean and variance from the first value on.
Weights a = 1 - exp(-dt/tau) are given by the caller, dimensionless.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def weight(dt_s: float, tau_s: float) -> float:
    """Return the weight a = 1 - exp(-dt/tau) of a value ``dt_s`` after the last one."""
    return -math.expm1(-dt_s / tau_s)


class Ewma(msgspec.Struct):
    """Weighted mean ``m`` and variance ``v`` of one series; ``w`` is the weight seen so far."""

    w: float = 0.0
    m: float = 0.0
    v: float = 0.0

    def update(self, x: float, a: float) -> None:
        """Take one value with weight ``a`` in [0, 1)."""
        self.w = (1.0 - a) * self.w + a
        g = a / self.w if self.w > 0.0 else 1.0
        d = x - self.m
        self.m += g * d
        self.v = (1.0 - g) * (self.v + g * d * d)


def step_weights(w: Floats, a: float) -> tuple[Floats, Floats]:
    """Return the next weights of many series and the gains g for their means.

    Args:
        w: Weight seen so far, one per series, in [0, 1).
        a: Weight of this value, in (0, 1).
    """
    after = (1.0 - a) * w + a
    return after, a / after
