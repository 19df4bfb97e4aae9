"""`compute_signal`: from one eigen scan to one bounded target weight per asset.

The signal's state, its steps and their order belong here; the formulas of single parts are in
eigen.py, ewma.py and gates.py, sizing is in portfolio/sizing.py. Pure and deterministic: scan
timestamps are the only clock. Formulas: docs/signal.md. Eigenvalues carry risk information
and no direction; the residual score is a small reversal effect, not a claim of profit.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from dolphin_realtime.model.market.scan import Scan, ScanOrder
from dolphin_realtime.model.market.scan_checks import failed_list, prices_of, scan_flags
from dolphin_realtime.model.market.sound_prices import SoundPrices, Verdict, log_returns
from dolphin_realtime.model.signal import eigen
from dolphin_realtime.model.signal.asset_states import AssetStates, Ready
from dolphin_realtime.model.signal.ewma import Ewma, weight
from dolphin_realtime.model.signal.gate_values import gate_values
from dolphin_realtime.model.signal.gates import NO_FACTORS, Book, Factors, clip
from dolphin_realtime.model.signal.in_progress import (
    PendingUpdate,
    SignalInProgress,
    failed_signal,
    record_of,
)
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.model.signal.result import Signal
from dolphin_realtime.model.signal.slots import Floats, Slots

SHOCK_TURBULENCE: Final = 9.0


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
        self.sound = SoundPrices()
        self.last: Signal | None = None
        self._draft: SignalInProgress | None = None
        self._seen_slots: Slots | None = None
        self.n_scans = 0
        self.n_gaps = 0

    def step(
        self, scan: Scan, book: Mapping[str, Book] | None = None, factors: Factors | None = None
    ) -> Signal:
        """Take one scan and return its signal; a repeat returns the last one unchanged.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one seen.
        """
        if self.begin(scan, book, factors) is not None:
            return self.end()
        if self.last is None:
            raise AssertionError("a duplicate has a predecessor")
        return self.last

    def begin(
        self, scan: Scan, book: Mapping[str, Book] | None = None, factors: Factors | None = None
    ) -> SignalInProgress | None:
        """Process one scan as far as its orders need it; None for a repeat. `end` must follow.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one seen.
        """
        if self._draft is not None:
            self.end()  # sizing failed half-way: the signal still learns from that scan
        if not self.order.accept(scan.scan_number, scan.timestamp_us, scan.epoch):
            return None
        draft = self._draft = SignalInProgress(
            scan=scan, epoch=self.order.epoch, failed=failed_list(scan)
        )
        if draft.failed is None:
            self._judge(draft, book, factors or NO_FACTORS)
        return draft

    def _judge(
        self, draft: SignalInProgress, book: Mapping[str, Book] | None, factors: Factors
    ) -> None:
        """Accept a scan of distinct names, unless prices or eigenvalues fail a check."""
        scan, n_min = draft.scan, self.params.n_min
        prices, usable = prices_of(scan)
        verdict = self.sound.judge(scan.assets, prices, usable, scan.timestamp_us, n_min)
        values = eigen.spectrum(scan.eigenvalues, len(scan.assets))
        n_sound = len(prices) if verdict is None else int(verdict.sound.sum())
        if n_sound < n_min:
            draft.failed = "TOO_FEW_ASSETS"
        elif values is None:
            draft.failed = "BAD_EIGENVALUES"
        else:
            draft.flags = scan_flags(values, len(scan.assets), usable, verdict)
            self._accept(draft, prices, verdict, values, book, factors)

    def end(self) -> Signal:
        """Update the averages with the current scan and return its complete signal."""
        draft, self._draft = self._draft, None
        if draft is None:
            raise AssertionError("no scan has begun")
        if draft.failed is not None:
            self.last = draft.record = failed_signal(draft.scan, draft.epoch, draft.failed)
            return self.last
        moved, ready = draft.moved, draft.ready
        if moved is not None:
            self.assets.learn(
                moved.slots, moved.r, moved.r_m, moved.dt_s, moved.gains, self.params.tau_v_s
            )
        if ready is None or draft.gates is None:
            raise AssertionError("an accepted scan has its gates")
        self.assets.see(ready.slots, draft.prices, draft.scan.timestamp_us)
        self._seen_slots = ready.slots
        self.last = draft.record = record_of(draft, ready, draft.gates)
        self.assets.ready(ready.slots, self.params)
        return self.last

    def set_price(self, asset: str, price: float, now_us: int) -> None:
        """Set an asset's last price by an operator command; its next price is judged against it."""
        self.sound.set_price(asset, price, now_us)
        slot = self.assets.slot(asset)
        if slot is not None:
            self.assets.price[slot] = price

    def save(self) -> bytes:
        """Return the whole state as MessagePack; `load` restores it exactly."""
        if self._draft is not None:
            raise AssertionError("the scan begun has not ended")
        saved = {
            "params": self.params,
            "order": self.order,
            "accepted_us": self.accepted_us,
            "averages": [self.short, self.long, self.market_var, self.market_var_long],
            "assets": self.assets.save(),
            "sound": self.sound.save(),
            "n_scans": self.n_scans,
            "n_gaps": self.n_gaps,
            "last": self.last,
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
        state.sound = SoundPrices.load(raw["sound"]) if "sound" in raw else state.assets.as_sound()
        state.last = None if raw["last"] is None else msgspec.convert(raw["last"], Signal)
        state.n_scans, state.n_gaps = raw["n_scans"], raw["n_gaps"]
        return state

    def _accept(
        self,
        draft: SignalInProgress,
        prices: Floats,
        verdict: Verdict | None,
        values: Floats,
        book: Mapping[str, Book] | None,
        factors: Factors,
    ) -> None:
        scan, n_assets, p = draft.scan, len(draft.scan.assets), self.params
        names = scan.assets
        now_us = scan.timestamp_us
        dt_s = None if self.accepted_us is None else (now_us - self.accepted_us) / 1e6
        draft.rho = eigen.mean_correlation(values, n_assets)
        draft.share = eigen.market_mode_share(values)
        draft.r_ar = self._correlation_risk(draft.rho, dt_s)
        if verdict is not None and not verdict.sound.all():
            draft.verdict = verdict
            names = [a for a, ok in zip(names, verdict.sound.tolist(), strict=True) if ok]
            prices = prices[verdict.sound]
        if self.assets.forget_older(now_us, p.tau_x_s):
            self._seen_slots = None
        slots = self.assets.slots_of(names)
        ready = self.assets.ready(slots, p)
        draft.moved = self._returns(ready, prices, dt_s, draft.flags)
        self.accepted_us = now_us
        draft.s, draft.direction = self.assets.update_direction(ready, p)
        gates = gate_values(
            self.assets, names, slots, now_us, dt_s or 0.0, p.tau_l_s, book, factors
        )
        draft.r_vol = self._volatility_risk()
        risk = draft.r_ar * draft.r_vol * gates.dvol * gates.calendar
        signal = draft.direction * (np.minimum(1.0, np.abs(draft.s) / p.s_full) * risk)
        of_assets = gates.of_assets()
        if of_assets is not None:
            signal = signal * of_assets
        is_open = (
            gates.calendar > 0.0 if of_assets is None else (of_assets > 0.0) & bool(gates.calendar)
        )
        draft.is_closing = ready.warm & (is_open | (draft.direction == 0.0))
        draft.names, draft.position, draft.prices = names, self.assets.position, prices
        draft.signal, draft.ready, draft.gates = signal + 0.0, ready, gates
        self.n_scans += 1
        self.n_gaps += "gap" in draft.flags

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
        self, ready: Ready, prices: Floats, dt_s: float | None, flags: set[str]
    ) -> PendingUpdate | None:
        """Update the residual sums and return this scan's clipped returns, None without returns."""
        if dt_s is None:
            return None
        p, a = self.params, self.assets
        if ready.slots is not self._seen_slots:
            has = a.price_us[ready.slots] == self.accepted_us
            if not has.all():
                slots = ready.slots
                at = np.arange(slots.stop) if isinstance(slots, slice) else slots
                ready, prices = a.ready(at[has], p), prices[has]
        if dt_s > p.gap_max_s or len(prices) < p.n_min:
            flags.add("gap")
            return None
        r = log_returns(prices, a.price[ready.slots])
        if not r.any():
            flags.add("frozen")
            return None
        limit = ready.limit * math.sqrt(dt_s)
        r = np.minimum(np.maximum(r, -limit), limit)
        counted = r if ready.are_all_warm else r[ready.warm]
        counted = counted if len(counted) >= p.n_min else r
        r_m = math.fsum(counted.tolist()) / len(counted)
        rate = r_m * r_m / dt_s
        self.market_var.update(rate, weight(dt_s, p.tau_v_s))
        self.market_var_long.update(rate, weight(dt_s, p.tau_vol_s))
        if ready.n_known >= p.n_min:
            turbulence = float((r * r) @ ready.inverse_var) / (dt_s * ready.n_known)
            if turbulence > SHOCK_TURBULENCE:
                flags.add("shock")
        gains = a.take_residuals(ready, r, r_m, dt_s, p)
        return PendingUpdate(ready.slots, r, r_m, dt_s, gains)
