"""`compute_signal`: one eigen scan to one bounded target weight an asset.

The signal's state, its steps and their order belong here; the formulas of single parts
are in eigen.py, ewma.py and gates.py, sizing is in target.py. Pure and deterministic: scan
timestamps are the only clock. Formulas: docs/signal.md. Eigenvalues carry risk information
and no direction; the residual score is a small reversal effect, not a claim of profit.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.model import eigen
from dolphin_realtime.model.asset_states import AssetStates, Slots
from dolphin_realtime.model.decision import CLOSING_REASONS
from dolphin_realtime.model.ewma import Ewma, weight
from dolphin_realtime.model.gate_values import GateValues, gate_values
from dolphin_realtime.model.gates import NO_FACTORS, Book, Factors, calendar_gate, clip
from dolphin_realtime.model.scan import Scan, ScanOrder
from dolphin_realtime.model.scan_checks import failed_check, prices_of, scan_flags
from dolphin_realtime.model.signal_params import SignalParams
from dolphin_realtime.model.signal_result import REASONS, Signal

Floats = NDArray[np.float64]

SHOCK_TURBULENCE: Final = 9.0


class Fresh(msgspec.Struct, frozen=True):
    """The newest scan's signals as arrays over its priced assets, for sizing.

    Attributes:
        names: The priced assets.
        position: Index of each.
        is_closing: Whether a zero or turned signal closes what is held.
    """

    names: list[str]
    position: Mapping[str, int]
    prices: Floats
    signal: Floats
    is_closing: NDArray[np.bool_]


NOTHING_FRESH: Final = Fresh([], {}, np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_))
_CLOSING: Final = np.array([reason in CLOSING_REASONS for reason in REASONS])


class SignalState:
    """Everything the signal remembers between scans; `step` is `compute_signal`."""

    def __init__(self, params: SignalParams | None = None) -> None:
        self.params = params or SignalParams()
        self.order = ScanOrder()
        self.accepted_us: int | None = None
        self.short = Ewma()
        self.long = Ewma()
        self.market_var = Ewma()
        self.market_var_long = Ewma()
        self.assets = AssetStates()
        self.last: Signal | None = None
        self.fresh = NOTHING_FRESH
        self.n_scans = 0
        self.n_gaps = 0

    def step(
        self, scan: Scan, book: Mapping[str, Book] | None = None, factors: Factors | None = None
    ) -> Signal:
        """Take one scan and return its signal; a repeat returns the last one unchanged.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one seen.
        """
        if not self.order.accept(scan.scan_number, scan.timestamp_us, scan.epoch):
            if self.last is None:
                raise AssertionError("a duplicate has a predecessor")
            return self.last
        prices, usable = prices_of(scan)
        reason = failed_check(scan, usable, self.params.n_min)
        values = None if reason else eigen.spectrum(scan.eigenvalues, len(scan.assets))
        if reason is None and values is None:
            reason = "BAD_EIGENVALUES"
        if values is None or usable is None or reason is not None:
            self.last, self.fresh = self._failed(scan, reason or "BAD_EIGENVALUES"), NOTHING_FRESH
        else:
            self.last = self._accepted(scan, prices, usable, values, book, factors or NO_FACTORS)
        return self.last

    def save(self) -> bytes:
        """Return the whole state as MessagePack; `load` gives it back to the last bit."""
        saved = {
            "params": self.params,
            "order": self.order,
            "accepted_us": self.accepted_us,
            "averages": [self.short, self.long, self.market_var, self.market_var_long],
            "assets": self.assets.save(),
            "last": self.last,
            "n_scans": self.n_scans,
            "n_gaps": self.n_gaps,
        }
        return msgspec.msgpack.encode(saved)

    @classmethod
    def load(cls, saved: bytes) -> "SignalState":
        """Return the state held in what `save` returned."""
        raw = msgspec.msgpack.decode(saved)
        state = cls(msgspec.convert(raw["params"], SignalParams))
        state.order = msgspec.convert(raw["order"], ScanOrder)
        state.accepted_us = raw["accepted_us"]
        averages = msgspec.convert(raw["averages"], list[Ewma])
        state.short, state.long, state.market_var, state.market_var_long = averages
        state.assets = AssetStates.load(raw["assets"])
        state.last = None if raw["last"] is None else msgspec.convert(raw["last"], Signal)
        state.n_scans, state.n_gaps = raw["n_scans"], raw["n_gaps"]
        return state

    def _failed(self, scan: Scan, reason: str) -> Signal:
        zeros = [0.0] * len(scan.assets)
        ones = [1.0] * len(scan.assets)
        return Signal(
            epoch=self.order.epoch,
            scan_number=scan.scan_number,
            timestamp_us=scan.timestamp_us,
            assets=scan.assets,
            s_score=zeros,
            direction=[0] * len(scan.assets),
            r_ar=0.0,
            r_vol=0.0,
            gate_book=ones,
            gate_funding=ones,
            gate_dvol=1.0,
            gate_calendar=calendar_gate(scan.timestamp_us),
            risk_scaler=0.0,
            signal=zeros,
            reason=[reason] * len(scan.assets),
            flags=(),
            missing={},
        )

    def _accepted(
        self,
        scan: Scan,
        prices: Floats,
        usable: NDArray[np.bool_],
        values: Floats,
        book: Mapping[str, Book] | None,
        factors: Factors,
    ) -> Signal:
        n_assets = len(scan.assets)
        flags = scan_flags(values, n_assets, usable)
        now_us = scan.timestamp_us
        dt_s = None if self.accepted_us is None else (now_us - self.accepted_us) / 1e6
        rho = eigen.mean_correlation(values, n_assets)
        r_ar = self._correlation_risk(rho, dt_s)
        names = scan.assets
        if not usable.all():
            names = [a for a, ok in zip(scan.assets, usable.tolist(), strict=True) if ok]
            prices = prices[usable]
        self.assets.forget_older(now_us, self.params.tau_x_s)
        slots = self.assets.slots_of(names)
        warm = self.assets.is_warm(slots, self.params)
        self._returns(slots, prices, warm, dt_s, flags)
        self.assets.price[slots] = prices
        self.assets.price_us[slots] = now_us
        self.accepted_us = now_us
        s = self.assets.update_direction(slots, warm, self.params)
        gates = gate_values(
            self.assets, names, slots, now_us, dt_s or 0.0, self.params.tau_l_s, book, factors
        )
        r_vol = self._volatility_risk()
        q = self.assets.direction[slots] * np.minimum(1.0, np.abs(s) / self.params.s_full)
        risk = r_ar * r_vol * gates.dvol * gates.calendar
        signal = q * r_ar * r_vol * (gates.book * gates.spread) * gates.funding
        signal = signal * (gates.dvol * gates.calendar) + 0.0
        codes = _reason_codes(warm, self.assets.direction[slots], gates, r_ar * r_vol)
        self.fresh = Fresh(names, self.assets.position, prices, signal, _CLOSING[codes])
        rows = _Rows(usable, n_assets)
        self.n_scans += 1
        self.n_gaps += "gap" in flags
        return Signal(
            epoch=self.order.epoch,
            scan_number=scan.scan_number,
            timestamp_us=now_us,
            assets=scan.assets,
            s_score=rows.floats(s, 0.0),
            direction=rows.ints(self.assets.direction[slots], 0),
            r_ar=r_ar,
            r_vol=r_vol,
            gate_book=rows.floats(gates.book * gates.spread, 1.0),
            gate_funding=rows.floats(gates.funding, 1.0),
            gate_dvol=gates.dvol,
            gate_calendar=gates.calendar,
            risk_scaler=risk,
            signal=rows.floats(signal, 0.0),
            reason=[REASONS[c] for c in rows.ints(codes, len(REASONS) - 1)],
            flags=tuple(sorted(flags)),
            missing=gates.missing,
            mean_correlation=rho,
            market_share=eigen.market_mode_share(values),
        )

    def _correlation_risk(self, rho: float, dt_s: float | None) -> float:
        p = self.params
        self.short.update(rho, weight(dt_s, p.tau_s_s) if dt_s else 0.0)
        self.long.update(rho, weight(dt_s, p.tau_l_s) if dt_s else 0.0)
        v = self.long.v
        z = (self.short.m - self.long.m) / math.sqrt(v) if v >= 1e-12 else 0.0
        return clip((1.0 - z) / 2.0, 0.0, 1.0)

    def _volatility_risk(self) -> float:
        if self.market_var.m < 1e-20:
            return 1.0
        return clip(math.sqrt(self.market_var_long.m / self.market_var.m), 0.0, 1.0)

    def _returns(
        self,
        slots: Slots,
        prices: Floats,
        warm: NDArray[np.bool_],
        dt_s: float | None,
        flags: set[str],
    ) -> None:
        if dt_s is None or self.accepted_us is None:
            return
        p = self.params
        has = self.assets.price_us[slots] == self.accepted_us
        n_returns = int(has.sum())
        if dt_s > p.gap_max_s or n_returns < p.n_min:
            flags.add("gap")
            return
        if n_returns < len(prices):
            at = np.arange(slots.stop) if isinstance(slots, slice) else slots
            slots, prices, warm = at[has], prices[has], warm[has]
        last = self.assets.price[slots]
        if (last == prices).all():
            flags.add("frozen")
            return
        a = self.assets
        r = np.log(prices / last)
        sigma = np.sqrt(a.var[slots])
        limit = np.where(warm, 10.0 * np.maximum(sigma, 1e-5) * math.sqrt(dt_s), np.inf)
        r = np.clip(r, -limit, limit)
        r_m = math.fsum(r.tolist()) / n_returns
        rate = r_m * r_m / dt_s
        self.market_var.update(rate, weight(dt_s, p.tau_v_s))
        self.market_var_long.update(rate, weight(dt_s, p.tau_vol_s))
        own = r * r / dt_s
        known = warm & (a.var[slots] > 1e-20)
        n_known = int(known.sum())
        if n_known >= p.n_min:
            ratios = own[known] / a.var[slots][known]
            if math.fsum(ratios.tolist()) / n_known > SHOCK_TURBULENCE:
                flags.add("shock")
        a.take_returns(slots, r, r_m, warm, dt_s, p)


class _Rows:
    """Puts values of the priced assets back among all listed ones."""

    def __init__(self, usable: NDArray[np.bool_], n_assets: int) -> None:
        self._at = None if usable.all() else np.flatnonzero(usable)
        self._n = n_assets

    def floats(self, values: Floats, absent: float) -> list[float]:
        return self._spread(values, absent, np.float64)

    def ints(self, values: NDArray[np.int64], absent: int) -> list[int]:
        return self._spread(values, absent, np.int64)

    def _spread[T](self, values: NDArray[np.generic], absent: T, kind: type) -> list[T]:
        out: NDArray[Any] = values
        if self._at is not None:
            out = np.full(self._n, absent, dtype=kind)
            out[self._at] = values
        listed: list[T] = out.tolist()
        return listed


def _reason_codes(
    warm: NDArray[np.bool_], direction: NDArray[np.int64], gates: GateValues, scaler: float
) -> NDArray[np.int64]:
    codes = np.zeros(len(warm), dtype=np.int64)
    if scaler == 0.0:
        codes[:] = REASONS.index("RISK_SCALER")
    if gates.calendar == 0.0:
        codes[:] = REASONS.index("GATE_CALENDAR")
    codes[gates.funding == 0.0] = REASONS.index("GATE_FUNDING")
    codes[gates.book == 0.0] = REASONS.index("GATE_BOOK")
    codes[gates.spread == 0.0] = REASONS.index("GATE_SPREAD")
    codes[direction == 0] = REASONS.index("NO_DIRECTION")
    codes[~warm] = REASONS.index("WARMING_UP")
    return codes
