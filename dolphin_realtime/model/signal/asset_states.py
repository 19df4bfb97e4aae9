"""The signal's state per asset, as arrays with one slot per asset.

The recursions over single assets (variance, beta, residual sum, direction, usual spread)
belong here; the steps over a whole scan do not (state.py). Returns are logarithmic, variances
per second, instants microseconds since the Unix epoch.
"""

from typing import ClassVar, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.model.market.sound_prices import SoundPrices
from dolphin_realtime.model.signal.ewma import Ewma, step_weights, weight
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.model.signal.slots import Floats, Ints, SlotArrays, Slots

NEVER_US: Final = -1
WARM_SPANS: Final = 3.0
"""The returns of a warm asset span at least this many tau_x."""
LEAST_VARIANCE: Final = 1e-20
"""Variances at or below it, per second, count as unknown."""
LEAST_SCORE_VARIANCE: Final = 1e-16
"""Below this V there is no score (0)."""
CLIP_DEVIATIONS: Final = 10.0
LEAST_DEVIATION: Final = 1e-5
"""Returns are clipped at CLIP_DEVIATIONS max(sigma, LEAST_DEVIATION) per root of a second."""
BETA_MAX: Final = 3.0
BOOKS_KNOWN: Final = 20
SPREAD_LIMIT: Final = 3.0
"""A spread over SPREAD_LIMIT times the usual one, known after BOOKS_KNOWN books, closes the gate."""


class Ready(msgspec.Struct, frozen=True):
    """The next scan's inputs that depend on the state alone: computed before the scan arrives.

    Attributes:
        slots: The slots of the assets.
        warm: Which assets have enough returns over enough time.
        are_all_warm: Whether all assets are warm.
        limit: Largest return per square root of a second; infinite where not warm.
        beta: Sensitivity to the market's return.
        inverse_var: 1 / variance, 0 if the variance is not known.
        n_known: Number of known variances.
    """

    slots: Slots
    warm: NDArray[np.bool_]
    are_all_warm: bool
    limit: Floats
    beta: Floats
    inverse_var: Floats
    n_known: int


def directions_of(s: Floats, held: Floats | Ints, p: SignalParams) -> Floats:
    """Return the directions by hysteresis: entered at s_in against the score, kept down to s_out."""
    size = np.abs(s)
    stays = np.where((size > p.s_out) & (s * held < 0.0), held, 0.0)
    return np.where(size >= p.s_in, -np.sign(s), stays)


class AssetStates(SlotArrays):
    """State arrays of all assets ever seen and not forgotten.

    Attributes:
        price: Last price.
        price_us: When it was seen; NEVER_US if there is none.
        n_returns: Number of returns since the asset was first seen or last reset.
        span_s: Time those returns span.
        var: Mean squared return per second (own weight var_w).
        cov: Mean of own times market return per second (weight beta_w).
        market: Mean squared market return per second over the asset's own scans.
        x: Decaying sum of residual returns.
        x_var: Mean squared x (weight beta_w).
        direction: -1, 0 or +1.
        spread_m: Mean log spread in ln bps, over n_books books.
    """

    FLOATS: ClassVar = dict.fromkeys(
        (
            "price", "span_s", "var", "var_w", "cov", "market", "beta_w", "x", "x_var",
            "spread_w", "spread_m",
        ),
        0.0,
    )  # fmt: skip
    INTS: ClassVar = {"price_us": NEVER_US, "n_returns": 0, "direction": 0, "n_books": 0}

    price: Floats
    span_s: Floats
    var: Floats
    var_w: Floats
    cov: Floats
    market: Floats
    beta_w: Floats
    x: Floats
    x_var: Floats
    spread_w: Floats
    spread_m: Floats
    price_us: Ints
    n_returns: Ints
    direction: Ints
    n_books: Ints

    def __init__(self) -> None:
        super().__init__()
        self._ready: Ready | None = None

    def forget_older(self, now_us: int, tau_x_s: float) -> bool:
        """Reset assets whose last price is older than ``tau_x_s``; return whether any was reset."""
        if not len(self._names) or now_us - int(self.price_us.min()) <= round(tau_x_s * 1e6):
            return False
        old = (self.price_us != NEVER_US) & (now_us - self.price_us > round(tau_x_s * 1e6))
        if old.any():
            self.clear(old)
            self._ready = None
        return bool(old.any())

    def ready(self, slots: Slots, params: SignalParams) -> Ready:
        """Return the inputs of a scan over ``slots``, computed beforehand if possible."""
        if self._ready is not None and self._ready.slots is slots:
            return self._ready
        enough = self.n_returns[slots] >= params.warm_up_returns
        warm: NDArray[np.bool_] = enough & (self.span_s[slots] >= WARM_SPANS * params.tau_x_s)
        var, market = self.var[slots], self.market[slots]
        beta = np.ones(len(warm))
        np.divide(self.cov[slots], market, out=beta, where=warm & (market >= LEAST_VARIANCE))
        inverse, is_known = np.zeros(len(warm)), warm & (var > LEAST_VARIANCE)
        np.divide(1.0, var, out=inverse, where=is_known)
        self._ready = Ready(
            slots=slots,
            warm=warm,
            are_all_warm=bool(warm.all()),
            limit=np.where(
                warm, CLIP_DEVIATIONS * np.maximum(np.sqrt(var), LEAST_DEVIATION), np.inf
            ),
            beta=np.minimum(np.maximum(beta, 0.0), BETA_MAX),
            inverse_var=inverse,
            n_known=int(is_known.sum()),
        )
        return self._ready

    def take_residuals(
        self, ready: Ready, r: Floats, r_m: float, dt_s: float, p: SignalParams
    ) -> Floats:
        """Update the residual sums with this scan's returns; return the gains of its averages."""
        slots = ready.slots
        beta_w, gains = step_weights(self.beta_w[slots], weight(dt_s, p.tau_beta_s))
        self.beta_w[slots] = beta_w
        x = (1.0 - weight(dt_s, p.tau_x_s)) * self.x[slots] + (r - ready.beta * r_m)
        self.x[slots] = x
        self.x_var[slots] += gains * (x * x - self.x_var[slots])
        return gains

    def learn(
        self, slots: Slots, r: Floats, r_m: float, dt_s: float, gains: Floats, tau_v_s: float
    ) -> None:
        """Update what only the next scan reads: variance, beta, counts."""
        var_w, g = step_weights(self.var_w[slots], weight(dt_s, tau_v_s))
        self.var_w[slots] = var_w
        self.var[slots] += g * (r * r / dt_s - self.var[slots])
        self.cov[slots] += gains * (r * (r_m / dt_s) - self.cov[slots])
        self.market[slots] += gains * (r_m * r_m / dt_s - self.market[slots])
        self.n_returns[slots] += 1
        self.span_s[slots] += dt_s

    def see(self, slots: Slots, prices: Floats, now_us: int) -> None:
        """Store the prices of a scan; this invalidates what `ready` computed."""
        self.price[slots] = prices
        self.price_us[slots] = now_us
        self._ready = None

    def update_direction(self, ready: Ready, params: SignalParams) -> tuple[Floats, Floats]:
        """Update the directions with hysteresis; return (scores s = x / sqrt(V), directions)."""
        slots = ready.slots
        v, held = self.x_var[slots], self.direction[slots]
        s = np.zeros(len(v))
        np.divide(self.x[slots], np.sqrt(v), out=s, where=v >= LEAST_SCORE_VARIANCE)
        direction = directions_of(s, held, params)
        if not ready.are_all_warm:
            direction = np.where(ready.warm, direction, 0.0)
        self.direction[slots] = direction
        return s, direction

    def directions(self) -> dict[str, float]:
        """Return each asset's direction: 1 long, -1 short, 0 none."""
        return dict(zip(self._names, self.direction.tolist(), strict=True))

    def take_spread(self, slot: int, spread_bps: float, a: float) -> bool:
        """Add a book's spread; return False if it is over three times the usual one."""
        mean = Ewma(w=float(self.spread_w[slot]), m=float(self.spread_m[slot]))
        usual = float(np.exp(mean.m))
        is_defined = self.n_books[slot] >= BOOKS_KNOWN
        limit = SPREAD_LIMIT * usual if is_defined else spread_bps
        mean.update(float(np.log(min(spread_bps, limit))), a)
        self.spread_w[slot], self.spread_m[slot] = mean.w, mean.m
        self.n_books[slot] += 1
        return spread_bps <= limit

    def as_sound(self) -> SoundPrices:
        """Return the last prices as sound prices, for a state saved before that rule existed."""
        memory = SoundPrices()
        slots, has = memory.slots_of(self._names), self.price_us != NEVER_US
        memory.price[slots] = np.where(has, self.price, 0.0)
        for field in ("sound_us", "changed_us", "seen_us"):
            instants = getattr(memory, field)
            instants[slots] = np.where(has, self.price_us, instants[slots])
        return memory
